"""What a corrected file keeps, what it says where there is nothing, and that it is a Cloud Optimized GeoTIFF."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, ROOT, UTM, Writer, texture
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate
from test_pixel_map import corrected, known_shift, model_of_files, registration

from s2match.correction.pixel_map import require_same_footprint
from s2match.correction.resample_file import write_moved
from s2match.errors import CorrectionError, OutputError, UnreadableImageError
from s2match.io.cog import check_cog
from s2match.io.reader import read_grid
from s2match.registration.file_model import FileModel

SIDE = 700


@pytest.fixture
def reference(write_image: Writer) -> Path:
    return write_image("reference.tif", texture(SIDE, SIDE))


def moved(reference: Path, target: Path, by: tuple[float, float] = (2.4, -3.3)) -> FileModel:
    return model_of_files(reference, target, known_shift(SIDE, by))


def is_cog(path: Path) -> bool:
    valid, errors, warnings = cog_validate(path, strict=True)
    assert not errors and not warnings
    return valid


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_nodata_never_bleeds_and_all_else_is_kept(
    tmp_path: Path, write_image: Writer, reference: Path, dtype: str
) -> None:
    nodata = {"u": 0, "i": -9999, "f": -9999.0}[np.dtype(dtype).kind]
    image = np.stack([texture(SIDE, SIDE, seed=k).astype(dtype) for k in range(3)])
    image[:, 100:180, 300:420] = nodata
    image[1, 500:510, 500:510] = nodata
    target = write_image("target.tif", image, nodata=nodata)
    with rasterio.open(target, "r+") as file:
        file.descriptions = ("B4", "B3", "B2")
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        file.scales, file.offsets, file.units = (0.1,) * 3, (-5.0,) * 3, ("1", "1", "1")
        file.update_tags(SENSOR="MSI")
        file.update_tags(2, WAVELENGTH="560", STATISTICS_MEAN="1")
    out = corrected(moved(reference, target), target, tmp_path / "out.tif")
    with rasterio.open(out) as file:
        assert file.dtypes == (dtype,) * 3 and file.nodata == nodata and file.crs == UTM and file.transform == GRID
        assert file.descriptions == ("B4", "B3", "B2")
        assert [colour.name for colour in file.colorinterp] == ["red", "green", "blue"]
        assert file.scales == (0.1,) * 3 and file.offsets == (-5.0,) * 3 and file.units == ("1", "1", "1")
        assert file.tags()["SENSOR"] == "MSI" and file.tags(2)["WAVELENGTH"] == "560"
        assert "STATISTICS_MEAN" not in file.tags(2)
        values, valid = file.read(), file.read_masks() > 0
    # every value is a mixture of the scene's own, whatever the kernel's overshoot
    assert values[valid].min() > 5 and values[valid].max() < 240
    there = np.zeros((3, SIDE, SIDE), np.bool_)
    there[:, 3:, : SIDE - 2] = True
    # pixel (x, y) shows what the target shows at (x + 2.4, y - 3.3)
    there[:, 103:183, 298:418] = False
    there[1, 503:513, 498:508] = False
    assert (valid == there).all()
    assert is_cog(out)


def test_an_image_of_esa_gets_nodata_0_and_is_nowhere_0(tmp_path: Path, write_image: Writer, reference: Path) -> None:
    image = np.stack([np.clip(texture(SIDE, SIDE, seed=k), 60, 255) - 59 for k in range(3)])
    image[:, :, :200] = 0
    target = write_image("T36UXA_20180820T083601_TCI.jp2", image)
    with rasterio.open(corrected(moved(reference, target), target, tmp_path / "out.tif")) as file:
        assert file.nodata == 0
        values, valid = file.read(), file.read_masks() > 0
    assert (valid == valid[0]).all() and (values[valid] > 0).all()
    # one more pixel beside the nodata is mixed with it and left out, as it is when it is matched
    assert not valid[:, :, :199].any() and valid[:, 10:, 200:-5].all()


@pytest.mark.parametrize(("lowest", "fills"), [(300, True), (-400, False)])
def test_patches_of_0_are_nodata_as_they_are_when_matched(
    tmp_path: Path, write_image: Writer, reference: Path, lowest: int, fills: bool
) -> None:
    image = texture(SIDE, SIDE).astype(np.int16) * 10
    image += lowest - image.min()
    image[:, :200] = 0
    target = write_image("target.tif", image)
    with rasterio.open(corrected(moved(reference, target), target, tmp_path / "out.tif")) as file:
        values, valid = file.read(1), file.read_masks(1) > 0
    assert valid[3:, :190].all() != fills and valid[3:, 205:-2].all()
    assert not fills or values[valid].min() > 200


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_file_without_nodata_says_where_it_shows_nothing(
    tmp_path: Path, write_image: Writer, reference: Path, dtype: str
) -> None:
    target = write_image("target.tif", texture(SIDE, SIDE).astype(dtype))
    out = corrected(moved(reference, target), target, tmp_path / "out.tif")
    with rasterio.open(out) as file:
        assert file.nodata is None if dtype == "uint8" else np.isnan(file.nodata)
        valid = file.read_masks(1) > 0
    assert valid[3:, :-2].all() and valid.sum() == (SIDE - 3) * (SIDE - 2)
    assert is_cog(out)


@pytest.mark.parametrize("kind", ["mask", "alpha"])
def test_a_mask_and_an_alpha_are_kept(tmp_path: Path, write_image: Writer, reference: Path, kind: str) -> None:
    image = np.stack([texture(SIDE, SIDE, seed=k) for k in range(4 if kind == "alpha" else 3)])
    shown = np.ones((SIDE, SIDE), np.bool_)
    shown[200:300, 200:300] = False
    target = tmp_path / "target.tif"
    if kind == "alpha":
        image[3] = shown * 255
    image[:3, ~shown] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_image("target.tif", image, photometric="RGB", **({"alpha": "YES"} if kind == "alpha" else {}))
        with rasterio.open(target, "r+") as file:
            if kind == "mask":
                file.write_mask(shown)
    out = corrected(moved(reference, target), target, tmp_path / "out.tif")
    with rasterio.open(out) as file:
        assert file.count == len(image) and file.nodata is None
        values, valid = file.read(), file.dataset_mask() > 0
    expected = np.zeros((SIDE, SIDE), np.bool_)
    expected[3:, :-2] = True
    expected[203:303, 198:298] = False
    assert (valid == expected).all() and values[:3, valid].max() < 240
    assert is_cog(out)


def test_classes_are_never_mixed(tmp_path: Path, write_image: Writer, reference: Path) -> None:
    classes = (np.random.default_rng(0).integers(0, 2, (SIDE // 2, SIDE // 2)) * 8 + 1).astype(np.uint8)
    colours = {1: (255, 0, 0, 255), 9: (255, 255, 255, 255)}
    named = write_image("T36UXA_20180820T083601_SCL_20m.jp2", classes, GRID @ Affine.scale(2))
    painted = write_image("painted.tif", classes, GRID @ Affine.scale(2), photometric="PALETTE")
    with rasterio.open(painted, "r+") as file:
        file.write_colormap(1, colours)
    target = write_image("target.tif", texture(SIDE, SIDE))
    model = moved(reference, target)
    for path in (named, painted):
        out = corrected(model, path, tmp_path / f"{path.stem}_out.tif", sibling=True)
        with rasterio.open(out) as file:
            values, valid = file.read(1), file.read_masks(1) > 0
            assert set(np.unique(values[valid])) == {1, 9} and file.transform == GRID @ Affine.scale(2)
            assert all(set(np.unique(file.read(1, out_shape=(k, k)))) <= {0, 1, 9} for k in (175, 88))
            # the model is 1.2 and -1.65 px of 20 m
            assert (values[2:, :-2] == classes[:-2, 1:-1])[valid[2:, :-2]].all()
            if path is painted:
                assert file.colorinterp[0] is ColorInterp.palette
                assert {k: file.colormap(1)[k] for k in colours} == colours
        assert is_cog(out)


def test_a_mask_without_nodata_stays_clear(tmp_path: Path, write_image: Writer, reference: Path) -> None:
    """Large areas of 0 in a mask are no missing data."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[300:400, 300:400] = 1
    target = write_image("target.tif", texture(SIDE, SIDE))
    mask = write_image("clouds_mask.tif", image)
    with rasterio.open(corrected(moved(reference, target), mask, tmp_path / "out.tif", sibling=True)) as file:
        values, valid = file.read(1), file.read_masks(1) > 0
    assert valid[3:, :-2].all() and values[303:403, 298:398].all() and values.sum() == 10_000


@pytest.mark.parametrize("nodata", [None, 7])
def test_moved_pixels_are_bit_exact(tmp_path: Path, write_image: Writer, reference: Path, nodata: int | None) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (2, 350, 350)).astype(np.uint16)
    target = write_image("target.tif", texture(SIDE, SIDE))
    band = write_image("B.tif", image, GRID @ Affine.scale(2), nodata=nodata)
    model = moved(reference, target)
    for path, scale in ((target, 1), (band, 2)):
        out = tmp_path / f"{path.stem}_out.tif"
        write_moved(model, read_grid(path), out)
        with rasterio.open(out) as file, rasterio.open(path) as original:
            assert (file.read() == original.read()).all() and file.nodata == original.nodata
            assert (file.dataset_mask() == original.dataset_mask()).all()
            # the target shows the ground 2.4 px too far right and 3.3 px too far up
            expected = Affine.translation(-24, -33) @ GRID @ Affine.scale(scale)
            assert file.crs == UTM and file.transform.almost_equals(expected, 1e-6)
        assert is_cog(out)


def test_a_moved_file_of_esa_says_that_0_is_no_data(tmp_path: Path, write_image: Writer, reference: Path) -> None:
    """As resampled files do: ESA's format cannot say it."""
    image = texture(SIDE, SIDE)
    image[:, :200] = 0
    target = write_image("T36UXA_20180820T083601_TCI.jp2", image)
    write_moved(moved(reference, target), read_grid(target), tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file, rasterio.open(target) as original:
        assert original.nodata is None and file.nodata == 0
        assert (file.read() == original.read()).all()


def refused(model: FileModel, path: Path, tmp_path: Path) -> str:
    with pytest.raises(CorrectionError) as error:
        write_moved(model, read_grid(path), tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
    return str(error.value)


def test_pixels_stay_only_under_a_pure_translation(tmp_path: Path, write_image: Writer, reference: Path) -> None:
    target = write_image("target.tif", texture(SIDE, SIDE))
    turned = registration("affine", lambda xy: xy @ np.array([[1, 1e-4], [-1e-4, 1]]) + (2.0, 3.0), SIDE)
    assert "this affine does more" in refused(model_of_files(reference, target, turned), target, tmp_path)
    bent = registration("field", lambda xy: xy + np.sin(xy / 100), SIDE)
    assert "this field does more" in refused(model_of_files(reference, target, bent), target, tmp_path)
    bare = write_image("bare.tif", texture(SIDE, SIDE), None)
    assert "the reference has none" in refused(moved(bare, target), target, tmp_path)
    # of images of other ground, stretched to one size, a shift of pixels is none of the ground
    other = write_image("other.tif", texture(SIDE, SIDE), GRID @ Affine.scale(2))
    stretched = model_of_files(reference, other, known_shift(256), (256, 256))
    # images that are matched now have one pixel size, whatever size is asked for
    stretched = replace(stretched, target=read_grid(other, (256, 256)))
    assert "this translation does more" in refused(stretched, other, tmp_path)


@pytest.mark.parametrize(
    ("transform", "crs", "side", "words"),
    [
        (GRID, CRS.from_epsg(32637), SIDE, "another reference system"),
        (GRID @ Affine.translation(30, 0), UTM, SIDE, "footprint"),
        (GRID @ Affine.scale(2), UTM, SIDE, "footprint"),
        (None, None, SIDE // 2, "footprint"),
    ],
)
def test_a_file_of_other_ground_is_refused(
    write_image: Writer, reference: Path, transform: Affine | None, crs: CRS | None, side: int, words: str
) -> None:
    sibling = write_image("sibling.tif", texture(side, side), transform, crs)
    with pytest.raises(CorrectionError, match=words):
        require_same_footprint(read_grid(sibling), read_grid(reference))


def test_what_cannot_be_corrected_or_written(tmp_path: Path, write_image: Writer, reference: Path) -> None:
    radar = write_image("radar.tif", np.ones((SIDE, SIDE), np.complex64))
    with pytest.raises(UnreadableImageError, match="complex numbers"):
        corrected(moved(reference, radar), radar, tmp_path / "out.tif")
    with pytest.raises(OutputError, match=r"\.tif"):
        check_cog(tmp_path / "out.png")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError):
        corrected(moved(reference, reference), reference, tmp_path / "nowhere" / "out.tif")
    assert sorted(tmp_path.iterdir()) == before


_FULL_TILE = """
import re, sys
import numpy as np, rasterio
from pathlib import Path
from s2match.core.scene import scene_of
from s2match.correction.pixel_map import PixelMap, output_grid
from s2match.correction.resample_file import write_resampled
from s2match.registration.file_model import file_model_of
from s2match.registration.model import Registration
from s2match.io.reader import read_grid
path = Path(sys.argv[1])
grid = read_grid(scene_of(path))
matrix = np.array([[1.0001, 2e-5, -8997.7], [-3e-5, 0.9999, -9004.6], [0, 0, 1]])
model = file_model_of(grid, grid, Registration("affine", matrix, np.ones(4, bool), np.zeros(4)))
write_resampled(PixelMap(model, grid, output_grid(model)), path.with_name("out.tif"), "cubic")
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the most memory that was used is told on Linux alone")
def test_a_full_tile_takes_less_than_2_gb(tmp_path: Path) -> None:
    """Both files are full tiles; the model leaves a corner in common, so that little of them is to be resampled.

    Every pixel is written, and the part that the target does not show takes the same memory.
    """
    side, tile = 10_980, np.random.default_rng(0).integers(1, 255, (3, 1098, 1098), np.uint8)
    profile: dict[str, Any] = {"driver": "GTiff", "count": 3, "dtype": "uint8", "transform": GRID, "crs": UTM}
    path = tmp_path / "tile.tif"
    with rasterio.open(path, "w", width=side, height=side, tiled=True, SPARSE_OK=True, **profile) as file:
        for row in range(2):
            for column in range(2):
                file.write(tile, window=rasterio.windows.Window(column * 1098, row * 1098, 1098, 1098))
    done = subprocess.run([sys.executable, "-c", _FULL_TILE, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2e6
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.shape == (side, side) and file.read(1, window=rasterio.windows.Window(10_000, 10_000, 9, 9)).any()
