"""File pixels of grids and rasters that are cropped, resized, or resampled onto another image."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS

from s2match.core.file_pixels import file_affine, file_pixels_per_pixel, from_file, to_file, whole_file
from s2match.core.grid import Grid
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import HasGrid, Raster
from s2match.core.window import Window
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid, read_whole
from s2match.io.sources import open_pair
from s2match.registration.file_model import file_model_of
from s2match.registration.model import Registration
from s2match.result import assemble
from s2match.settings import Settings
from s2match.tiepoints.points import tie_points_of

WIDTH, HEIGHT = 240, 180
NEXT_ZONE = CRS.from_epsg(32637)

# 40.3 px further east, 20.6 px further south, and pixels of 8 m by 12 m
EAST = GRID @ Affine.translation(40.3, 20.6) @ Affine.scale(0.8, 1.2)


def next_zone() -> Affine:
    """Transform of an image in the next zone whose middle is near that of GRID."""
    x, y = Transformer.from_crs(UTM, NEXT_ZONE, always_xy=True).transform(*(GRID @ (WIDTH / 2, HEIGHT / 2)))
    return Affine(10, 0, round(x) - 10 * WIDTH // 2, 0, -10, round(y) + 10 * HEIGHT // 2)


# The target's transform and CRS, the size matched at, and whether at the overlap alone
CASES: dict[str, tuple[Affine, CRS, tuple[int, int] | None, bool]] = {
    "whole": (EAST, UTM, None, False),
    "overlap": (EAST, UTM, None, True),
    "overlap resized": (EAST, UTM, (120, 100), True),
    "turned overlap": (EAST @ Affine.rotation(7), UTM, (120, 100), True),
    "other zone overlap": (next_zone(), NEXT_ZONE, None, True),
}


def read_pair_of(write_image: Writer, case: str) -> tuple[tuple[Grid, Grid], tuple[Raster, Raster]]:
    transform, crs, size, overlap = CASES[case]
    image = texture(WIDTH, HEIGHT)
    grids = grids_of(
        *open_pair(write_image("a.tif", image), write_image("b.tif", image, transform, crs)), size, overlap
    )
    return grids, (read_whole(grids[0]), read_whole(grids[1]))


def by_georeference(image: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of an image in its file, by way of map coordinates and the georeference of the file."""
    assert image.transform is not None
    x, y = image.transform @ tuple(xy.T)
    with rasterio.open(image.scene.path) as file:
        x, y = Transformer.from_crs(image.crs, file.crs, always_xy=True).transform(x, y)
        return np.stack(~file.transform @ (x, y), axis=1)


@pytest.mark.parametrize("case", CASES)
def test_pixels_of_an_image_are_those_of_its_file(case: str, write_image: Writer) -> None:
    xy = np.random.default_rng(0).uniform(0, 60, (40, 2))
    for images in zip(*read_pair_of(write_image, case), strict=True):
        expected = by_georeference(images[0], xy)
        for image in images:
            np.testing.assert_allclose(to_file(image, xy), expected, atol=1e-6)
            np.testing.assert_allclose(from_file(image, expected), xy, atol=1e-6)
            whole, file = whole_file(image), read_grid(image.scene)
            assert (whole.size, whole.crs) == ((WIDTH, HEIGHT), file.crs)
            assert whole.transform is not None and whole.transform.almost_equals(file.transform, 1e-6)
        assert file_affine(images[0]) == file_affine(images[1])
        assert file_pixels_per_pixel(images[0]) == file_pixels_per_pixel(images[1])


@pytest.mark.parametrize("case", CASES)
def test_tie_points_and_models_of_rasters_are_those_of_their_grids(case: str, write_image: Writer) -> None:
    grids, rasters = read_pair_of(write_image, case)
    xy0 = np.random.default_rng(1).uniform(0, 60, (50, 2))
    matrix = np.array([[1.01, 0.02, 3.4], [-0.03, 0.98, -5.6], [0, 0, 1]])
    registration = Registration("affine", matrix, np.ones(50, np.bool_), np.zeros(50))
    matches = Matches(xy0, registration.apply(xy0), np.ones(50), Provenance("test", "cpu", 0.0))
    expected = [by_georeference(grid, xy) for grid, xy in zip(grids, (matches.xy0, matches.xy1), strict=True)]
    for images in (grids, rasters):
        points = tie_points_of(assemble(*images, rasters, matches, registration, Settings()))
        np.testing.assert_allclose(points.xy0_px, expected[0], atol=1e-6)
        np.testing.assert_allclose(points.xy1_px, expected[1], atol=1e-6)
        file_px = file_model_of(*images, registration).file_px
        assert (file_px is None) == (case == "other zone overlap")
        if file_px is not None:
            np.testing.assert_allclose(file_px.apply(expected[0]), expected[1], atol=1e-6)


@pytest.mark.parametrize("size", [(80, 100), (160, 150)])
def test_a_crop_without_a_georeference(size: tuple[int, int], write_image: Writer) -> None:
    grid = read_grid(write_image("a.tif", texture(WIDTH, HEIGHT), None, None))
    raster = read_whole(grid.cropped(Window(70, 30, 80, 100)).resized(size))
    corners = np.array([[0.0, 0.0], size])
    np.testing.assert_allclose(to_file(raster, corners), [[70, 30], [150, 130]])
    np.testing.assert_allclose(from_file(raster, to_file(raster, corners)), corners)
    assert file_affine(raster) == Affine(80 / size[0], 0, 70, 0, 100 / size[1], 30)
    assert whole_file(raster).size == (WIDTH, HEIGHT)
