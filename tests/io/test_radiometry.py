"""Radiometry: one conversion to grey levels per file, reflectance and its offset, saturation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, Writer, texture
from numpy.typing import NDArray
from test_nodata import assert_shift, matched, pair

from s2match.core.mask import Masking
from s2match.core.matches import Matches, Provenance
from s2match.core.radiometry import ReadOptions
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.correction.evaluation import measure_improvement
from s2match.correction.request import CorrectionRequest, correct
from s2match.errors import MaskError, OptionError
from s2match.io.masking import masked_grids
from s2match.io.pair_grid import grids_of
from s2match.io.radiometry import TCI_SATURATION
from s2match.io.reader import read_grid, read_raster, read_window, with_radiometry
from s2match.matching.tiled import previews_of
from s2match.registration.fit import fit
from s2match.registration.options import FitOptions
from s2match.result import assemble
from s2match.settings import Settings

SIDE = 300
CLOUDED = Masking(clouds=True)


def reflectance() -> NDArray[np.float64]:
    """3×H×W: dark ground on the left, bright bare soil, and from column 150 cloud."""
    ground = texture(SIDE, SIDE, detail_px=3) / 1500 + 0.01
    ground[:, 60:150] += 0.17
    bands = np.stack([ground, 0.9 * ground, 0.8 * ground])
    bands[:, :, 150:] = 0.5 + texture(SIDE, SIDE, seed=1)[:, 150:] / 1000
    return bands


def numbers(added: int = 0) -> NDArray[np.uint16]:
    return (reflectance() * 10_000 + added).astype(np.uint16)


def product(folder: Path, level: str, offset: int | None) -> Path:
    """The folder of the 10 m images of a product, its metadata above it."""
    name = {"1C": "RADIO_ADD_OFFSET", "2A": "BOA_ADD_OFFSET"}[level]
    offsets = "" if offset is None else "".join(f'<{name} band_id="{k}">{offset}</{name}>' for k in range(13))
    divisor = {"1C": "QUANTIFICATION_VALUE", "2A": "BOA_QUANTIFICATION_VALUE"}[level]
    root = f"Level-{level}_User_Product"
    (folder / f"MTD_MSIL{level}.xml").write_text(
        f'<?xml version="1.0"?><n1:{root} xmlns:n1="https://psd-14.sentinel2.eo.esa.int/"><n1:General_Info>'
        f"<Product_Image_Characteristics>{offsets}<L><{divisor} unit='none'>10000</{divisor}></L>"
        f"</Product_Image_Characteristics></n1:General_Info></n1:{root}>"
    )
    images = folder / "GRANULE" / "L_T36UXA" / "IMG_DATA" / ("R10m" if level == "2A" else "")
    images.mkdir(parents=True)
    return images


# One way for all windows


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int16", "uint32"])
@pytest.mark.parametrize("size", [None, (200, 200)])
def test_a_window_has_the_grey_levels_of_the_whole(
    write_image: Writer, dtype: str, size: tuple[int, int] | None
) -> None:
    """Of windows with dark ground, bright soil, or cloud alone."""
    bands = (reflectance() * (1 if dtype == "float32" else 10_000)).astype(dtype)
    grid = with_radiometry(read_grid(write_image("a.tif", bands), size))
    whole = read_raster(grid.scene, size)
    for left in (0, grid.size[0] // 3, grid.size[0] // 2 + 20):
        patch = read_window(grid, Window(left, 20, 64, 100))
        np.testing.assert_array_equal(patch.image, whole.image[20:120, left : left + 64])


def test_a_window_inside_cloud_is_cloud(write_image: Writer) -> None:
    grid = with_radiometry(read_grid(write_image("a.tif", numbers())))
    (grid, _) = masked_grids(grid, grid, CLOUDED)
    whole = read_raster(grid.scene, masking=CLOUDED)
    # cloud, and 300 m of fringe
    assert whole.masked_share == pytest.approx(0.6, abs=0.02)
    # nothing but cloud in this window, nor in what is read around it
    assert read_window(grid, Window(210, 60, 80, 100)).masked_share == 1
    assert read_window(grid, Window(0, 0, 60, 200)).masked_share == 0


def test_similarity_before_and_after_compares_like_with_like(write_image: Writer) -> None:
    """The correction moves the brightest part of the target out of the image; the rest keeps its grey levels."""
    scene = texture(SIDE + 40, SIDE + 40, detail_px=3) / 700
    scene[:, :40] += 0.6
    reference = write_image("reference.tif", scene[20 : 20 + SIDE, 40 : 40 + SIDE].astype(np.float32))
    target = write_image("target.tif", scene[20 : 20 + SIDE, 10 : 10 + SIDE].astype(np.float32), GRID)
    grids = grids_of(scene_of(reference), scene_of(target), None)
    xy = np.random.default_rng(0).uniform(40, SIDE - 40, (400, 2))
    matches = Matches(xy, xy + (30, 0), np.ones(len(xy)), Provenance("known", "cpu", 0.5))
    result = assemble(*grids, previews_of(*grids), matches, fit(matches, FitOptions("translation")), Settings())
    order = CorrectionRequest(target.parent / "out.tif", resampling="nearest")
    correct(result, order)
    found = measure_improvement(result, order.out, lambda first, second: replace(matches, xy1=matches.xy0))
    assert found is not None
    _, before, after = found.previews
    moved = after.valid[:, : SIDE - 30]
    assert moved.mean() > 0.95
    np.testing.assert_array_equal(after.image[:, : SIDE - 30][moved], before.image[:, 30:][moved])


# ESA's offset


@pytest.mark.parametrize("told", ["tags", "2.0000e-05", "metadata 1C", "metadata 2A", "option", "minimum"])
@pytest.mark.parametrize("added", [0, 1000])
def test_the_offset_is_no_reflectance(write_image: Writer, tmp_path: Path, told: str, added: int) -> None:
    """For every source of the offset, grey levels are those of reflectance, and cloud is masked, soil not."""
    options, name, steps = ReadOptions(), "T36UXA_20230820T083601_B04.tif", 10_000.0
    if told.startswith("metadata"):
        level = told.split()[1]
        folder = product(tmp_path, level, -added if added else None)
        name = str(folder.relative_to(tmp_path) / name)
    if told == "option":
        options = ReadOptions(offset=added)
    if told == "2.0000e-05":
        steps = 50_000.0
    path = write_image(name, (reflectance() * steps + added).astype(np.uint16))
    if told in ("tags", "2.0000e-05"):
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (1 / steps,) * 3, (-added / steps,) * 3
    raster = read_raster(path, masking=CLOUDED, options=options)
    assert raster.radiometry is not None and raster.radiometry.kind == "reflectance"
    assert raster.radiometry.offset == pytest.approx(added)
    assert raster.radiometry.offset_from == ("tags" if told == "2.0000e-05" else told.split()[0])
    shown = np.clip(np.rint(reflectance() * 1e4 / TCI_SATURATION * 255), 1, 255)
    off = np.abs(raster.image.transpose(2, 0, 1) - shown)[:, raster.valid]
    assert off.max() <= 1
    assert raster.masked_share == pytest.approx(0.6, abs=0.02)


def test_bare_soil_is_no_cloud(write_image: Writer) -> None:
    """Reflectance 0.26 to 0.32, and some shadow, in numbers of baseline 04.00."""
    soil = (texture(SIDE, SIDE) / 3000 + 0.25) * 10_000 + 1000
    soil[:, :15] = 1300
    raster = read_raster(write_image("a.tif", soil.astype(np.uint16)), masking=CLOUDED)
    assert raster.masked_share == 0 and raster.valid.all()
    assert raster.image.max() < 255


def test_an_older_product_has_no_offset(write_image: Writer, tmp_path: Path) -> None:
    """Its metadata name none, though its darkest pixels reach the offset."""
    name = product(tmp_path, "1C", None).relative_to(tmp_path) / "T36UXA_20180820T083601_B04.tif"
    path = write_image(str(name), numbers(1200))
    raster = read_raster(path)
    assert raster.radiometry is not None
    assert (str(raster.radiometry.offset), raster.radiometry.offset_from) == ("0.0", "metadata")


def test_a_snowy_product_is_not_all_white(write_image: Writer, tmp_path: Path) -> None:
    """Reflectance that would all be saturated is stretched, and still masked as cloud."""
    name = product(tmp_path, "1C", -1000).relative_to(tmp_path) / "T36UXA_20230120T083601_B04.tif"
    path = write_image(str(name), (texture(SIDE, SIDE) * 10.0 + 6000).astype(np.uint16))
    assert read_raster(path).image.std() > 30
    grid = with_radiometry(read_grid(path))
    assert read_window(replace(grid, masking=CLOUDED), Window(0, 0, 100, 100)).masked_share == 1


def test_without_reflectance_there_is_no_cloud_mask(write_image: Writer) -> None:
    grid = read_grid(write_image("a.tif", (texture(SIDE, SIDE) * 10.0 + 9000).astype(np.uint16)))
    with pytest.raises(MaskError, match=r"Cloud cannot be masked in a\.tif"):
        masked_grids(grid, grid, CLOUDED)


def test_the_command_reports_the_source_of_the_offset(write_image: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    paths = pair(write_image, 0, "uint16", 10_000)
    for path in paths:
        with rasterio.open(path, "r+") as file:
            bands = file.read()
            file.write(np.where(bands > 0, bands + 1000, 0).astype(np.uint16))
    code, facts = matched(*paths)
    assert code == 0
    assert_shift(facts)
    assert (facts["target"]["offset"], facts["target"]["offset_from"]) == (1000, "minimum")
    assert facts["target"]["values"] == "reflectance"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("offset")]
    assert len(lines) == 2 and all("1000" in line and "--offset" in line for line in lines)
    code, facts = matched(*paths, "--offset", 0)
    assert code == 0
    assert_shift(facts)
    assert (facts["target"]["offset"], facts["target"]["offset_from"]) == (0, "option")
    assert "offset" not in capsys.readouterr().out


def test_offsets_that_apply_to_no_image_are_refused(write_image: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match="Offset -1000 is out of range"):
        Settings(offset=-1000)
    code, facts = matched(*pair(write_image, 0, "uint8", 700), "--offset", 1000)
    assert code == OptionError.exit_code and not facts
    assert "16 bits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dtype", "nodata", "summary"),
    [
        ("uint8", None, "true colour, nodata 0 (zeros)"),
        ("uint16", 7, "reflectance, nodata 7 (declared), offset 0 (minimum)"),
        ("float32", None, "stretched, every number is data"),
    ],
)
def test_the_radiometry_of_a_file_is_logged(
    write_image: Writer, caplog: pytest.LogCaptureFixture, dtype: str, nodata: int | None, summary: str
) -> None:
    path = write_image("a.tif", texture(SIDE, SIDE).astype(dtype), nodata=nodata)
    with caplog.at_level("INFO", logger="s2match.io"):
        with_radiometry(read_grid(path))
    assert caplog.messages == [f"a.tif: {summary}"]
