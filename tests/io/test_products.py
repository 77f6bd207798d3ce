"""Products of Sentinel-2 in every form that a user names them: the image, its bands, and the right shift."""

import shutil
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from products import EAST_M, SIDE_PX, SOUTH_M, Product, write_product, zipped

from s2match.core.image_path import VirtualFile
from s2match.core.scene import Scene
from s2match.dataset.catalog import open_dataset
from s2match.errors import OptionError, UnreadableImageError
from s2match.io.reader import read_grid, read_raster, with_radiometry
from s2match.io.sources import open_source
from s2match.pipeline import create_matcher, match_files
from s2match.timeseries.sources import read_source

L1C = Product()
LATER = replace(L1C, sensed="20190606T083601", displaced=True)
L2A, LATER_L2A = (replace(product, level="L2A", baseline="05.10") for product in (L1C, LATER))
OLD, LATER_OLD = (replace(product, baseline="02.04", long_names=True) for product in (L1C, LATER))

load = cache(create_matcher)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two dates of each kind of product, and the zip of each in a folder with a difficult name."""
    folder = tmp_path_factory.mktemp("products")
    hard = folder / "zips ü {x} #1"
    hard.mkdir()
    for product in (L1C, LATER, L2A, LATER_L2A, OLD, LATER_OLD):
        safe = write_product(folder, product)
        zipped(safe, hard / f"{safe.stem}.zip")
    return folder


def safe(folder: Path, product: Product) -> Path:
    return folder / product.name


def in_zip(folder: Path, product: Product) -> Path:
    return folder / "zips ü {x} #1" / f"{Path(product.name).stem}.zip"


FORMS = {
    "SAFE folder": (safe, L1C, LATER, None),
    "zip": (in_zip, L2A, LATER_L2A, None),
    "metadata": (lambda folder, product: folder / product.name / product.metadata, L2A, LATER_L2A, None),
    "metadata in a zip": (
        lambda folder, product: in_zip(folder, product) / product.name / product.metadata,
        L1C,
        LATER,
        None,
    ),
    "images": (lambda folder, product: folder / product.name / product.images, L1C, LATER, None),
    "granule without bands": (
        lambda folder, product: folder / product.name / "GRANULE" / product.granule,
        OLD,
        LATER_OLD,
        None,
    ),
    "single band": (lambda folder, product: folder / product.name / product.image("B08"), L2A, LATER_L2A, None),
    "one band": (safe, LATER_OLD, OLD, "8"),
    "three bands of a zip": (in_zip, L1C, LATER, ("4", "B3", "b02")),
    "bands of three pixel sizes": (safe, L1C, LATER, ("B11", "B08", "B01")),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_product_gives_the_right_shift(form: str, archive: Path) -> None:
    path, reference, target, bands = FORMS[form]
    result = match_files(
        path(archive, reference), path(archive, target), image_size=None, bands=bands, load_matcher=load
    )
    assert result.errors is not None and result.registration is not None
    sign = 1 if reference.displaced else -1
    assert result.errors.median_m == pytest.approx((sign * EAST_M, -sign * SOUTH_M), abs=3)
    assert [image.scene.date for image in (result.reference, result.target)] == [
        f"{product.sensed[:4]}-{product.sensed[4:6]}-{product.sensed[6:8]}" for product in (reference, target)
    ]
    assert result.reference.scene.tile == "T36UXA"
    assert result.reference.size == (SIDE_PX, SIDE_PX)


@pytest.mark.parametrize(("product", "band"), [(L1C, "TCI"), (L2A, "TCI"), (OLD, "B04")])
def test_a_zip_gives_the_pixels_of_the_folder(product: Product, band: str, archive: Path) -> None:
    """Also at reduced size, where the tiles of the codestream decide from which resolution it is read."""
    folder, member = open_source(safe(archive, product)), open_source(in_zip(archive, product))
    assert folder.path == safe(archive, product) / product.image(band)
    assert isinstance(member.path, VirtualFile) and member.path.name == folder.path.name
    assert (member.tile, member.sensed, member.bands) == (folder.tile, folder.sensed, folder.bands)
    for size in (None, (100, 100)):
        first, second = read_raster(folder, size), read_raster(member, size)
        assert np.array_equal(first.image, second.image) and first.transform == second.transform


def test_a_product_needs_no_suffix_and_may_be_a_link(archive: Path, tmp_path: Path) -> None:
    named = open_source(safe(archive, L1C).with_suffix(""))
    assert named.path == safe(archive, L1C) / L1C.image("TCI")
    (tmp_path / "link").symlink_to(safe(archive, L1C))
    assert open_source(tmp_path / "link").path.resolve() == named.path
    image = tmp_path / "red.jp2"
    image.symlink_to(safe(archive, L1C) / L1C.image("B04"))
    radiometry = with_radiometry(read_grid(image)).radiometry
    assert radiometry is not None and (radiometry.offset, radiometry.offset_from) == (1000, "metadata")


def test_archives_with_braces_in_their_names_are_read(archive: Path, tmp_path: Path) -> None:
    for name in ("a{b.zip", "a}{b.zip", "a{b}.ZIP"):
        path = shutil.copy(in_zip(archive, L1C), tmp_path / name)
        scene = open_source(path)
        assert read_grid(scene).size == (SIDE_PX, SIDE_PX) and str(scene.path).startswith(str(path))


def test_the_offset_is_that_of_the_product_and_band(archive: Path, tmp_path: Path) -> None:
    for path in (safe(archive, L2A), in_zip(archive, L2A)):
        radiometry = with_radiometry(read_grid(open_source(path, "B08"))).radiometry
        assert radiometry is not None and (radiometry.offset, radiometry.offset_from) == (1000, "metadata")
    copy = Path(shutil.copytree(safe(archive, L2A), tmp_path / L2A.name))
    metadata = copy / L2A.metadata
    text = metadata.read_text().replace('band_id="7">-1000', 'band_id="7">-900')
    metadata.write_text(text)
    stack = with_radiometry(read_grid(open_source(copy, ("4", "8", "2")))).radiometry
    assert stack is not None and [band.offset for band in stack.stack] == [1000, 900, 1000]


def test_three_bands_are_the_pixels_of_three_files(archive: Path) -> None:
    """Each with its own offset and zero values; the bands of coarser pixels are resampled to the finest."""
    scene = open_source(safe(archive, L1C), ("11", "8", "1"))
    assert scene.bands == ("B11", "B08", "B01") and scene.path.name.endswith("_B08.jp2")
    stack = read_raster(scene)
    assert stack.image.shape == (SIDE_PX, SIDE_PX, 3)
    for index, band in enumerate(scene.bands):
        single = read_raster(open_source(safe(archive, L1C), band), (SIDE_PX, SIDE_PX))
        assert np.array_equal(stack.image[..., index], single.image[..., 0])


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (("B08", "B04"), "one band or of three, and 2 are chosen: B08, B04"),
        ("B05", r"GRANULE/L1C\S* has no band B05: choose of B01, B02, B03, B04, B08, B11, TCI by --bands"),
    ],
)
def test_bands_that_are_not_there_are_named(bands: str, message: str, archive: Path) -> None:
    with pytest.raises(OptionError, match=message):
        open_source(safe(archive, L1C), bands)


def test_bands_of_a_file_are_indexes(archive: Path, tmp_path: Path) -> None:
    image = Path(shutil.copy(safe(archive, L1C) / L1C.image("TCI"), tmp_path))
    assert read_raster(open_source(image, "2")).radiometry.bands == (2,)  # type: ignore[union-attr]
    with pytest.raises(OptionError, match=r"_TCI\.jp2 has no band B08: choose of 1 to 3 by --bands"):
        read_raster(open_source(image, "B08"))
    # one of a product has the bands of the product
    for band in ("TCI", "B04"):
        scene = open_source(safe(archive, L1C) / L1C.image(band), "B08")
        assert scene.path == safe(archive, L1C) / L1C.image("B08")


def test_an_old_product_without_colours_is_bands_4_3_2(archive: Path) -> None:
    scene = open_source(safe(archive, OLD))
    assert scene.bands == ("B04", "B03", "B02")
    assert scene.notes == ("bands 4, 3 and 2, as the product has no true-colour image",)
    assert read_grid(scene).notes == scene.notes


def test_of_a_product_of_many_tiles_one_is_chosen(archive: Path, tmp_path: Path) -> None:
    other = replace(OLD, tile="T36UYA")
    write_product(tmp_path, OLD)
    path = write_product(tmp_path, other)
    with pytest.raises(UnreadableImageError) as met:
        open_source(path)
    granule = path / "GRANULE" / OLD.granule
    titles = "T36UXA 2018-08-20, T36UYA 2018-08-20"
    assert str(met.value) == f"{path} holds 2 images ({titles}): give one of them, such as {granule}."
    assert open_source(granule).tile == "T36UXA"
    packed = zipped(path, tmp_path / "old.zip")
    with pytest.raises(
        UnreadableImageError, match=r"give one of them, such as .*old\.zip/S2A_OPER_PRD\S*/GRANULE/\S*XA"
    ):
        open_source(packed)
    assert open_source(packed / path.name / "GRANULE" / other.granule).tile == "T36UYA"
    scenes: tuple[Scene, ...] = open_dataset(tmp_path)[1]
    assert [scene.tile for scene in scenes] == ["T36UXA", "T36UXA", "T36UYA", "T36UYA"]


def test_what_holds_no_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(UnreadableImageError, match=r"Cannot read the zip .*a\.zip: File is not a zip file\."):
        open_source(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("readme.txt", "x")
    with pytest.raises(UnreadableImageError, match=r"b\.zip holds no image"):
        open_source(tmp_path / "b.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableImageError, match="is a folder, not an image"):
        open_source(tmp_path / "empty")
    with pytest.raises(UnreadableImageError, match=r"is a folder of 2 products, .* such as .*a\.zip, or choose two by"):
        open_source(tmp_path)


def test_a_folder_around_a_product_is_that_product(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(safe(archive, L1C), tmp_path / "unpacked" / L1C.name)
    assert open_source(tmp_path / "unpacked").path == tmp_path / "unpacked" / L1C.name / L1C.image("TCI")


def test_a_zip_of_one_image_is_that_image(archive: Path, tmp_path: Path) -> None:
    image = safe(archive, L1C) / L1C.image("TCI")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as file:
        file.write(image, "deep/down/picture.jp2")
    assert np.array_equal(read_raster(open_source(tmp_path / "one.zip")).image, read_raster(image).image)


def test_folders_of_products_are_datasets_and_series(archive: Path) -> None:
    folder = archive / "zips ü {x} #1"
    scenes = open_dataset(folder)[1]
    assert len(scenes) == 6 and [scene.path.name for scene in scenes] == sorted(scene.path.name for scene in scenes)
    assert [scene.bands for scene in open_dataset(folder, "B08")[1]] == [("B08",)] * 6
    images = read_source(folder).images
    assert {image.platform for image in images} == {"S2A"} and {image.relative_orbit for image in images} == {64}
    assert {image.baseline for image in images} == {"05.00", "05.10", "02.04"}
