"""What goes to AROSICS and what comes back; in its place stands a script that keeps the images and writes points."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, UTM, make_raster, texture

from benchmarks.arosics import match_arosics
from s2match.images import Raster

VALID = np.arange(100) >= np.full((80, 1), 10)
RASTER = make_raster(texture(100, 80), valid=VALID)
HEAD = "x0,y0,x1,y1,reliability"


def interpreter(tmp_path: Path, points: str, status: int = 0) -> Path:
    """What is called as PYTHON -I SCRIPT REFERENCE TARGET OUT GRID_RES WINDOW MAX_SHIFT."""
    (tmp_path / "given.csv").write_text(points)
    path = tmp_path / "python"
    path.write_text(
        f'#!/bin/sh\ncp "$3" "$4" "{tmp_path}" && cp "{tmp_path}/given.csv" "$5"\n'
        f'echo "$1 $(basename "$2") $6 $7 $8" > "{tmp_path}/called"\necho broken >&2\nexit {status}\n'
    )
    path.chmod(0o755)
    return path


def test_points_come_back_as_matches_those_outside_the_images_dropped(tmp_path: Path) -> None:
    points = (
        f"{HEAD}\n31.7,32.4,32.0,32.0,90.0\n64.5,8.25,64.0,8.0,65.5\n-0.3,32.0,0.0,32.0,90.0\n99.7,64,100.0,64,90\n"
    )
    found = match_arosics(interpreter(tmp_path, points), RASTER, RASTER)
    assert found.xy0.tolist() == [[31.7, 32.4], [64.5, 8.25]] and found.xy1.tolist() == [[32, 32], [64, 8]]
    assert found.confidence == pytest.approx([0.9, 0.655]) and found.origin.weights == "AROSICS local"
    assert (tmp_path / "called").read_text() == "-I arosics_points.py 32 256 5\n"


@pytest.mark.parametrize(
    ("raster", "place"),
    [
        (RASTER, (GRID, UTM)),
        (replace(RASTER, transform=None, crs=None), (rasterio.Affine(10, 0, 5e5, 0, -10, 5.6e6), 32631)),
    ],
)
def test_it_sees_grey_images_on_one_grid_whose_nodata_is_0(
    tmp_path: Path, raster: Raster, place: tuple[rasterio.Affine, rasterio.CRS | int]
) -> None:
    target = replace(raster, image=raster.image * np.array([1, 1, 0], np.uint8), transform=None, crs=None)
    match_arosics(interpreter(tmp_path, f"{HEAD}\n"), raster, target)
    for name, image in (("reference", raster.image), ("target", target.image)):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            assert (file.transform, file.crs, file.nodata, file.count) == (*place, 0, 1)
            assert np.allclose(file.read(1), np.where(VALID, image.mean(axis=2), 0))


def test_dark_ground_is_not_nodata(tmp_path: Path) -> None:
    match_arosics(interpreter(tmp_path, f"{HEAD}\n"), RASTER, replace(RASTER, image=RASTER.image * np.uint8(0)))
    with rasterio.open(tmp_path / "target.tif") as file:
        assert (file.read_masks(1) > 0).tolist() == VALID.tolist()


def test_no_points_are_no_matches(tmp_path: Path) -> None:
    found = match_arosics(interpreter(tmp_path, f"{HEAD}\n"), RASTER, RASTER)
    assert len(found) == 0 and found.xy0.shape == found.xy1.shape == (0, 2)


def test_an_interpreter_without_arosics_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        match_arosics(interpreter(tmp_path, f"{HEAD}\n", status=1), RASTER, RASTER)
