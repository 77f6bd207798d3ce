"""The overlap of two images is a fraction of the smaller footprint."""

import pytest
from affine import Affine
from conftest import GRID, UTM
from rasterio.crs import CRS

from s2match.core.footprint import overlap
from s2match.core.grid import Grid
from s2match.core.scene import scene_of


def grid(transform: Affine | None = GRID, size: tuple[int, int] = (1000, 800), crs: CRS | None = UTM) -> Grid:
    return Grid(size, transform, crs, size, scene_of("x.tif"))


def on_corner(x: float, y: float) -> Affine:
    """Transform of a square of 200 px, turned by 45 degrees, to pixels around (x, y)."""
    return Affine.translation(x, y) @ Affine.rotation(45) @ Affine.translation(-100, -100)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (grid(), 1.0),
        (grid(GRID @ Affine.translation(250, 0)), 0.75),
        (grid(GRID @ Affine.translation(500, -400)), 0.25),
        (grid(GRID @ Affine.translation(100, 100), (100, 100)), 1.0),
        (grid(GRID @ Affine.scale(0.5), (2000, 1600)), 1.0),
        (grid(GRID @ Affine.translation(1000, 0)), 0.0),
        (grid(GRID @ Affine.translation(5000, 0)), 0.0),
        # squares on a corner, inside and halfway inside
        (grid(GRID @ on_corner(500, 400), (200, 200)), 1.0),
        (grid(GRID @ on_corner(0, 400), (200, 200)), 0.5),
    ],
)
def test_fraction_of_the_smaller_footprint(other: Grid, expected: float) -> None:
    assert overlap(grid(), other) == pytest.approx(expected, abs=1e-6)
    assert overlap(other, grid()) == pytest.approx(expected, abs=1e-6)


def test_footprints_of_two_zones() -> None:
    """Tiles of 110 km, 6 degrees of longitude and a zone apart: seen from both zones the overlap is the same."""
    west = grid(Affine(10, 0, 699_960, 0, -10, 5_600_040), (10980, 10980))
    east = grid(Affine(10, 0, 300_000, 0, -10, 5_600_040), (10980, 10980), CRS.from_epsg(32637))
    assert overlap(west, east) == pytest.approx(overlap(east, west), abs=1e-3)
    assert 0.5 < overlap(west, east) < 1


def test_degrees_and_metres() -> None:
    degrees = grid(Affine(1e-4, 0, 34.5, 0, -1e-4, 50.5), (1000, 1000), CRS.from_epsg(4326))
    tile = grid(size=(10980, 10980))
    assert overlap(degrees, tile) == pytest.approx(1.0) and overlap(tile, degrees) == pytest.approx(1.0)
    # an image on the other side of the Earth, and one across the 180th meridian
    antipode = grid(Affine(1e-4, 0, -145.5, 0, -1e-4, 50.5), (1000, 1000), CRS.from_epsg(4326))
    assert overlap(degrees, antipode) == overlap(antipode, degrees) == overlap(tile, antipode) == 0.0
    east = grid(Affine(1e-4, 0, 179.95, 0, -1e-4, 50.5), (1000, 1000), CRS.from_epsg(4326))
    west = grid(Affine(1e-4, 0, -180.05, 0, -1e-4, 50.5), (1000, 1000), CRS.from_epsg(4326))
    assert overlap(east, west) == pytest.approx(1.0)


def test_a_footprint_with_corners_off_the_earth() -> None:
    """The full disc of a geostationary satellite contains a tile near its middle."""
    disc = CRS.from_proj4("+proj=geos +h=35785831 +lon_0=3")
    full = grid(Affine(3000, 0, -5_568_000, 0, -3000, 5_568_000), (3712, 3712), disc)
    near = grid(Affine(10, 0, 500_000, 0, -10, 1_000_000), crs=CRS.from_epsg(32631))
    assert overlap(near, full) == pytest.approx(1.0) and overlap(full, near) == pytest.approx(1.0)


def test_images_that_cannot_be_compared() -> None:
    bare = grid(None, crs=None)
    assert overlap(bare, bare) == 1.0
    assert overlap(bare, grid(None, (800, 1000), None)) == 0.0
    assert overlap(bare, grid()) == 0.0
    assert overlap(grid(crs=None), grid()) == 0.0
