"""Runs on products: masks of their own, every band corrected, lists, tie points, a run repeated, a series."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from products import EAST_M, SIDE_PX, SOUTH_M, Product, write_product, zipped

import match_series
from s2match.cli.main import main
from s2match.core.mask import Masking
from s2match.errors import MaskError, OptionError
from s2match.io.masking import masked_grids, masking_of
from s2match.io.reader import read_grid, read_whole, with_radiometry
from s2match.io.sources import open_source

pytestmark = pytest.mark.usefixtures("coarse_figures")

CLEAR = Product("L2A", baseline="05.10")
CLOUDY = replace(CLEAR, sensed="20190606T083601", displaced=True, cloudy=True)

# The kinds of masks, and the name of the file that each product has.
KINDS = {
    "Scene Classification": (CLOUDY, "T36UXA_20190606T083601_SCL_20m.jp2"),
    "raster of Level-1C": (replace(CLOUDY, level="L1C", baseline="04.00"), "MSK_CLASSI_B00.jp2"),
    "polygons of Level-1C": (replace(CLOUDY, level="L1C", baseline="02.07"), "MSK_CLOUDS_B00.gml"),
    "polygons in long names": (
        replace(CLOUDY, level="L1C", baseline="02.04", long_names=True),
        "S2A_OPER_MSK_CLOUDS_SGS__20160929T154211_A006640_T36UXA_B00_MSIL1C.gml",
    ),
}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zips of two dates, the later with a georeference that is wrong and a cloud."""
    folder = tmp_path_factory.mktemp("zips")
    for product in (CLEAR, CLOUDY):
        zipped(write_product(folder / "safe", product), folder / f"{Path(product.name).stem}.zip")
    return folder


def zip_of(folder: Path, product: Product) -> str:
    return str(folder / f"{Path(product.name).stem}.zip")


def masked_shares(paths: tuple[Path, Path], masking: Masking) -> tuple[list[float], list[tuple[str, ...]]]:
    """The masked share and the notes of two images."""
    grids = masked_grids(*(with_radiometry(read_grid(open_source(path))) for path in paths), masking)
    return [read_whole(grid).masked_share for grid in grids], [grid.notes for grid in grids]


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_is_masked_by_the_mask_of_its_product(kind: str, tmp_path: Path) -> None:
    """A quarter of the one image is cloud, and the other, which has none, is not masked."""
    cloudy, name = KINDS[kind]
    clear = replace(cloudy, cloudy=False, displaced=False, sensed="20180820T083601")
    first, second = write_product(tmp_path, cloudy), write_product(tmp_path, clear)
    shares, notes = masked_shares((first, second), masking_of(["auto"]))
    assert shares == [pytest.approx(0.25, abs=0.02), 0.0]
    assert notes[0][-1] == f"masked by {name} of its product"
    packed = (zipped(first, tmp_path / "a.zip"), zipped(second, tmp_path / "b.zip"))
    assert masked_shares(packed, masking_of(["auto"]))[0] == shares


def test_values_choose_the_classes_of_the_product(tmp_path: Path) -> None:
    paths = (write_product(tmp_path, CLEAR), write_product(tmp_path, CLOUDY))
    assert masked_shares(paths, masking_of(["auto"], [9]))[0] == [0.0, pytest.approx(0.25)]
    assert masked_shares(paths, masking_of(["auto"], [5]))[0] == [0.0, 0.0]
    others = tuple(write_product(tmp_path, replace(product, level="L1C")) for product in (CLEAR, CLOUDY))
    with pytest.raises(OptionError, match="Mask values have no effect"):
        masked_shares(others, masking_of(["auto"], [9]))


def test_a_cloud_mask_of_a_product_may_be_named(tmp_path: Path) -> None:
    """As any mask, it masks the ground in both images."""
    cloudy, name = KINDS["polygons of Level-1C"]
    clear = replace(cloudy, cloudy=False, displaced=False, sensed="20180820T083601")
    paths = (write_product(tmp_path, cloudy), write_product(tmp_path, clear))
    mask = paths[0] / "GRANULE" / cloudy.granule / "QI_DATA" / name
    shares, _ = masked_shares(paths, masking_of([mask]))
    assert all(0.2 < share < 0.3 for share in shares)
    mask.write_text("<a/>")
    with pytest.raises(MaskError, match=r"\.gml is not a cloud mask of Sentinel-2"):
        masked_shares(paths, masking_of([mask]))


def test_an_image_without_a_product_has_no_mask(tmp_path: Path) -> None:
    safe = write_product(tmp_path, CLEAR)
    image = Path(shutil.copy(safe / CLEAR.image("TCI"), tmp_path / "T36UXA_20180820T083601_TCI.jp2"))
    with pytest.raises(MaskError, match=r"_TCI\.jp2 has neither a Scene Classification nor a cloud mask in a product"):
        masked_shares((image, safe), masking_of(["auto"]))
    # a classification beside the image is its own, too
    shutil.copy(safe / CLEAR.image("SCL"), tmp_path)
    assert masked_shares((image, safe), masking_of(["auto"]))[0] == [0.0, 0.0]


def test_a_granule_without_its_product_has_bands_and_masks(tmp_path: Path) -> None:
    safe = write_product(tmp_path, CLOUDY)
    granule = Path(shutil.move(safe / "GRANULE" / CLOUDY.granule, tmp_path / "granule"))
    shutil.rmtree(safe)
    for place in (granule, granule / "IMG_DATA", granule / "MTD_TL.xml", granule / "IMG_DATA" / "R10m"):
        scene = open_source(place, "B08")
        assert (scene.path.name, scene.tile) == ("T36UXA_20190606T083601_B08_10m.jp2", "T36UXA")
        grid = with_radiometry(read_grid(scene))
        assert grid.radiometry is not None and grid.radiometry.offset_from == "minimum"
        assert read_whole(masked_grids(grid, grid, masking_of(["auto"]))[0]).masked_share == pytest.approx(0.25)
    with pytest.raises(OptionError, match=r"granule has no band B11: choose of B02, B03, B04, B08, TCI by --bands"):
        open_source(granule / "IMG_DATA" / "R10m", "B11")


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        assert file.transform[2] == 600000
        return np.asarray(file.read())


def test_every_band_of_a_product_is_corrected(archive: Path, tmp_path: Path, capsys: Capture) -> None:
    """Three bands of zips are matched, with the masks of the products; the same run is repeated from its JSON."""
    images = [zip_of(archive, CLEAR), zip_of(archive, CLOUDY)]
    out, result = tmp_path / "out.tif", tmp_path / "result.json"
    options = ["--image_size", "native", "--bands", "4", "3", "2", "--mask", "auto", "--no-show", "--no-figure"]
    written = ["--json", str(result), "--coregister", str(out), "--apply_to", "product"]
    points = ["--tie_points", str(tmp_path / "points.csv")]
    assert main(["match", "--images", *images, *options, *written, *points]) == 0
    text = capsys.readouterr().out
    assert "T36UXA_20190606T083601_B04_10m.jp2  (240 x 240 px of 10 m, bands B04 B03 B02, 25% masked)" in text
    assert "masked by T36UXA_20190606T083601_SCL_20m.jp2 of its product" in text
    facts = json.loads(result.read_text())
    assert facts["target"]["bands"] == ["B04", "B03", "B02"]
    assert (facts["target"]["offset"], facts["target"]["offset_from"]) == (1000, "metadata")
    assert facts["target"]["masks"] == ["T36UXA_20190606T083601_SCL_20m.jp2"]
    shift = facts["ground_errors"]["inliers"]
    assert (shift["median_east_m"], shift["median_north_m"]) == pytest.approx((-EAST_M, SOUTH_M), abs=3)
    stem = "T36UXA_20190606T083601"
    names = [f"{stem}_{band}_{side}m" for band, side in (("B02", 10), ("B03", 10), ("B04", 10), ("B08", 10))]
    names += [f"{stem}_B01_60m", f"{stem}_B11_20m", f"{stem}_SCL_20m", f"{stem}_TCI_10m"]
    assert sorted(path.stem for path in tmp_path.glob("*_coregistered.tif")) == sorted(
        f"{name}_coregistered" for name in names
    )
    assert_corrected(archive, tmp_path, out)
    again = tmp_path / "again.json"
    assert main(["match", "--config", str(result), "--no-figure", "--no-show", "--json", str(again)]) == 0
    repeated = json.loads(again.read_text())
    assert repeated["registration"] == facts["registration"] and repeated["target"] == facts["target"]
    later = ["apply", str(tmp_path / "points.csv"), *images, "--bands", "4", "3", "2", "--image_size", "native"]
    assert main([*later, "--coregister", str(tmp_path / "later.tif"), "--no-show", "--no-figure"]) == 0
    assert np.abs(read(tmp_path / "later.tif").astype(int) - read(out).astype(int)).mean() < 5


def assert_corrected(archive: Path, folder: Path, out: Path) -> None:
    """Each corrected band agrees with that of the reference, as it did not before; classes stay classes."""
    inner = slice(20, -20)
    safe, stem = archive / "safe", "T36UXA_20190606T083601"
    corrected = read(out)
    with rasterio.open(out) as file:
        assert file.descriptions == ("B04", "B03", "B02") and file.nodata == 0
    for index, band in enumerate(("B04", "B03", "B02")):
        reference = rasterio.open(safe / CLEAR.name / CLEAR.image(band)).read(1)
        before = rasterio.open(safe / CLOUDY.name / CLOUDY.image(band)).read(1)
        after = np.corrcoef(corrected[index][inner, inner].ravel(), reference[inner, inner].ravel())[0, 1]
        assert after > 0.98 > np.corrcoef(before.ravel(), reference.ravel())[0, 1]
        alone = read(folder / f"{stem}_{band}_10m_coregistered.tif")[0]
        assert np.array_equal(alone, corrected[index])
    classes = read(folder / f"{stem}_SCL_20m_coregistered.tif")
    assert classes.shape == (1, SIDE_PX // 2, SIDE_PX // 2) and set(np.unique(classes)) == {0, 4, 9}
    assert read(folder / f"{stem}_B01_60m_coregistered.tif").shape == (1, SIDE_PX // 6, SIDE_PX // 6)


def test_a_flat_file_has_no_product_to_correct(archive: Path, tmp_path: Path, capsys: Capture) -> None:
    image = shutil.copy(archive / "safe" / CLEAR.name / CLEAR.image("TCI"), tmp_path / "picture.jp2")
    words = ["match", "--images", zip_of(archive, CLOUDY), str(image), "--coregister", str(tmp_path / "out.tif")]
    assert main([*words, "--apply_to", "product", "--no-show"]) == 27
    assert "--apply_to product: picture.jp2 is not part of a product of Sentinel-2." in capsys.readouterr().err


def test_products_of_a_folder_are_listed(archive: Path, capsys: Capture) -> None:
    assert main(["list", "--dataset_path", str(archive), "--bands", "8"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split() for row in rows] == [
        ["0", "T36UXA", "2018-08-20", "240", "x", "240", "0%", "T36UXA_20180820T083601_B08_10m.jp2"],
        ["1", "T36UXA", "2019-06-06", "240", "x", "240", "0%", "T36UXA_20190606T083601_B08_10m.jp2"],
    ]


def test_a_series_of_products_uses_their_masks(archive: Path, tmp_path: Path, capsys: Capture) -> None:
    """An image without a mask is matched without one, with a note."""
    folder = tmp_path / "images"
    folder.mkdir()
    for product in (CLEAR, CLOUDY):
        shutil.copy(zip_of(archive, product), folder)
    bare = replace(CLEAR, sensed="20200101T083601")
    shutil.rmtree(write_product(folder, bare) / "GRANULE" / bare.granule / "QI_DATA")
    (folder / bare.name / bare.image("SCL")).unlink()
    words = [folder, "--out", tmp_path / "series", "--bands", 8, "--mask", "auto", "--image_size", "native"]
    words += ["--coregister", tmp_path / "corrected", "--apply_to", "product", "--datum", "reference"]
    assert match_series.main([*map(str, words), "--reference", "0"]) == 0
    note = "T36UXA_20200101T083601_B08_10m.jp2 has neither a Scene Classification nor a cloud mask in a product"
    assert f"{note}: it is matched without a mask." in capsys.readouterr().err
    dates = json.loads((tmp_path / "series" / "series.json").read_text())["dates"]
    assert [date["file"][-11:] for date in dates] == ["B08_10m.jp2"] * 3
    assert (dates[1]["dx_m"], dates[1]["dy_m"]) == pytest.approx((-EAST_M, SOUTH_M), abs=3)
    written = {path.name for path in (tmp_path / "corrected").iterdir()}
    stem = "T36UXA_20190606T083601"
    assert {f"{stem}_{name}_coregistered.tif" for name in ("B08_10m", "B11_20m", "SCL_20m", "TCI_10m")} <= written
    assert len(written) == 8 + 8 + 7
