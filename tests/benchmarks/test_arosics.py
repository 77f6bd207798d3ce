"""Input and output of AROSICS, with a script in its place that keeps the images and writes points."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
from conftest import GRID, UTM, make_raster, texture

from benchmarks import arosics
from benchmarks.arosics import match_arosics
from s2match.core.matches import Matches
from s2match.core.raster import Raster

VALID = np.arange(100) >= np.full((80, 1), 10)
RASTER = make_raster(texture(100, 80), valid=VALID)
HEAD = "x0,y0,x1,y1,reliability"


Match = Callable[..., Matches]


def without_georeference(raster: Raster) -> Raster:
    return replace(raster, grid=replace(raster.grid, transform=None, crs=None))


@pytest.fixture
def match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Match:
    """Match by a script called as SCRIPT REFERENCE TARGET OUT GRID_RES WINDOW MAX_SHIFT, which writes given points."""

    def call(points: str, reference: Raster, target: Raster, status: int = 0) -> Matches:
        script = tmp_path / "stub.py"
        script.write_text(
            "import pathlib, shutil, sys\n"
            f"for path in sys.argv[1:3]: shutil.copy(path, {str(tmp_path)!r})\n"
            f"pathlib.Path(sys.argv[3]).write_text({points!r})\n"
            "arguments = [sys.flags.isolated, *sys.argv[4:]]\n"
            f"pathlib.Path({str(tmp_path / 'called')!r}).write_text(' '.join(map(str, arguments)))\n"
            f"sys.exit({status} and 'broken')\n"
        )
        monkeypatch.setattr(arosics, "_SCRIPT", script)
        return match_arosics(Path(sys.executable), reference, target)

    return call


def test_points_come_back_as_matches_those_outside_the_images_dropped(match: Match, tmp_path: Path) -> None:
    points = (
        f"{HEAD}\n31.7,32.4,32.0,32.0,90.0\n64.5,8.25,64.0,8.0,65.5\n-0.3,32.0,0.0,32.0,90.0\n99.7,64,100.0,64,90\n"
    )
    matches = match(points, RASTER, RASTER)
    assert matches.xy0.tolist() == [[31.7, 32.4], [64.5, 8.25]] and matches.xy1.tolist() == [[32, 32], [64, 8]]
    assert matches.confidence == pytest.approx([0.9, 0.655]) and matches.origin.weights == "AROSICS local"
    assert (tmp_path / "called").read_text() == "1 32 256 5"


@pytest.mark.parametrize(
    ("raster", "place"),
    [
        (RASTER, (GRID, UTM)),
        (without_georeference(RASTER), (rasterio.Affine(10, 0, 5e5, 0, -10, 5.6e6), 32631)),
    ],
)
def test_it_sees_grey_images_on_one_grid_whose_nodata_is_0(
    match: Match, tmp_path: Path, raster: Raster, place: tuple[rasterio.Affine, rasterio.CRS | int]
) -> None:
    target = replace(without_georeference(raster), image=raster.image * np.array([1, 1, 0], np.uint8))
    match(f"{HEAD}\n", raster, target)
    for name, image in (("reference", raster.image), ("target", target.image)):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            assert (file.transform, file.crs, file.nodata, file.count) == (*place, 0, 1)
            assert np.allclose(file.read(1), np.where(VALID, image.mean(axis=2), 0))


def test_dark_ground_is_not_nodata(match: Match, tmp_path: Path) -> None:
    match(f"{HEAD}\n", RASTER, replace(RASTER, image=RASTER.image * np.uint8(0)))
    with rasterio.open(tmp_path / "target.tif") as file:
        assert (file.read_masks(1) > 0).tolist() == VALID.tolist()


def test_no_points_are_no_matches(match: Match) -> None:
    matches = match(f"{HEAD}\n", RASTER, RASTER)
    assert len(matches) == 0 and matches.xy0.shape == matches.xy1.shape == (0, 2)


def test_an_interpreter_without_arosics_is_an_error(match: Match) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        match(f"{HEAD}\n", RASTER, RASTER, status=1)


def test_shifts_carry_points_of_the_target_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """As measured with AROSICS 1.13.2 on images with a known shift; outliers and points without a shift are dropped."""
    table = pd.DataFrame(
        {
            "X_IM": [384.0, 64.0, 96.0],
            "Y_IM": [128.0, 32.0, 64.0],
            "X_SHIFT_PX": [-2.3, -9999.0, 1.0],
            "Y_SHIFT_PX": [1.2, -9999.0, 1.0],
            "ABS_SHIFT": [26.0, -9999.0, 14.0],
            "RELIABILITY": [88.0, -9999.0, 70.0],
            "OUTLIER": [False, False, True],
        }
    )
    call_options = {}

    def coreg_local(*images: str, **options: object) -> SimpleNamespace:
        call_options.update(options, images=images)
        return SimpleNamespace(CoRegPoints_table=table)

    stub = ModuleType("arosics")
    stub.COREG_LOCAL = coreg_local  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "arosics", stub)
    monkeypatch.delitem(sys.modules, "benchmarks.arosics_points", raising=False)
    tie_points = importlib.import_module("benchmarks.arosics_points").tie_points
    assert tie_points("a.tif", "b.tif", 32, 256, 5) == [pytest.approx([381.7, 129.2, 384.0, 128.0, 88.0])]
    assert call_options["images"] == ("a.tif", "b.tif")
    assert (call_options["grid_res"], call_options["window_size"], call_options["max_shift"]) == (32, (256, 256), 5)
