"""Ground errors of matches: signs, units and CRS."""

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, REAL, UTM, make_raster, texture
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from s2match.core.footprint import common_corners, require_overlap
from s2match.core.georeference import expected_linear, predict
from s2match.core.ground_axes import pixel_sides_m
from s2match.core.ground_errors import GroundErrors, ground_errors
from s2match.errors import NoOverlapError

XY = np.array([[10.5, 20.0], [100.0, 30.25], [64.0, 64.0]])
IMAGE = texture(128, 128)


def test_a_target_that_shows_the_ground_too_far_east_has_a_positive_shift() -> None:
    """Content moved 3 px right and 2 px down under the same georeference: 30 m east, 20 m south."""
    raster = make_raster(IMAGE)
    errors = ground_errors(raster, raster, XY, XY + [3, 2])
    assert errors is not None
    np.testing.assert_allclose(errors.east_m, 30)
    np.testing.assert_allclose(errors.north_m, -20)
    assert errors.median_m == pytest.approx((30, -20))
    assert errors.native_pixel_m == pytest.approx(10)


def test_true_matches_have_no_error_across_scale_turn_and_shift() -> None:
    """A target on a 2× coarser grid turned by 180° that starts elsewhere."""
    target = make_raster(IMAGE, GRID @ Affine.translation(256, 300) @ Affine.rotation(180) @ Affine.scale(2))
    reference = make_raster(IMAGE)
    predicted = predict(XY, reference, target)
    np.testing.assert_allclose(predicted, ([256, 300] - XY) / 2, atol=1e-6)
    errors = ground_errors(reference, target, XY, predicted)
    assert errors is not None and errors.rmse_m == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("other", [32635, 4326, 3857])
def test_another_crs(other: int) -> None:
    """A target in another UTM zone, in degrees or in web Mercator: true matches have no error, shifts are in metres."""
    crs = CRS.from_epsg(other)
    (left, right), (top, bottom) = warp_points(UTM, crs, [600000, 601280], [5600040, 5598760])
    grid = Affine((right - left) / 128, 0, left, 0, (bottom - top) / 128, top)
    reference, target = make_raster(IMAGE), make_raster(IMAGE, grid, crs)
    predicted = predict(XY, reference, target)
    errors = ground_errors(reference, target, XY, predicted)
    assert errors is not None and errors.rmse_m < 1e-3
    moved = ground_errors(target, reference, predicted, XY + [1, 0])
    assert moved is not None
    assert moved.rmse_m == pytest.approx(10, rel=0.01)


def test_both_images_in_degrees_are_measured_in_their_utm_zone() -> None:
    grid = Affine(1e-4, 0, 33.0, 0, -1e-4, -28.0)
    raster = make_raster(IMAGE, grid, CRS.from_epsg(4326))
    errors = ground_errors(raster, raster, XY, XY + [1, 0])
    assert errors is not None
    assert errors.median_m[0] == pytest.approx(9.83, abs=0.02)
    assert errors.native_pixel_m == pytest.approx(np.sqrt(9.83 * 11.08), rel=0.01)


def test_web_mercator_metres_are_turned_into_metres_on_the_ground() -> None:
    (left,), (top,) = warp_points(CRS.from_epsg(4326), CRS.from_epsg(3857), [33.0], [51.0])
    raster = make_raster(IMAGE, Affine(10, 0, left, 0, -10, top), CRS.from_epsg(3857))
    errors = ground_errors(raster, raster, XY, XY + [1, 0])
    assert errors is not None
    assert errors.median_m[0] == pytest.approx(10 * np.cos(np.deg2rad(51)), rel=0.01)
    assert errors.native_pixel_m == pytest.approx(6.3, rel=0.01)


def test_pixel_size_of_turned_and_oblong_grids() -> None:
    turned = make_raster(IMAGE, GRID @ Affine.rotation(90))
    oblong = make_raster(IMAGE, GRID @ Affine.scale(4, 1))
    assert pixel_sides_m(turned, turned.transform) == pytest.approx((10, 10), rel=1e-3)
    assert pixel_sides_m(oblong, oblong.transform) == pytest.approx((40, 10), rel=1e-3)


def test_corners_of_the_ground_in_common() -> None:
    target = make_raster(IMAGE, GRID @ Affine.translation(100, -20))
    corners = common_corners(make_raster(IMAGE), target)
    np.testing.assert_allclose(corners, [[100, 0], [128, 0], [100, 108], [128, 108]], atol=1e-6)
    np.testing.assert_array_equal(common_corners(make_raster(IMAGE, None, None), target)[3], [128, 128])


def test_the_expected_linear_part_of_two_grids() -> None:
    coarse = make_raster(IMAGE, GRID @ Affine.rotation(180) @ Affine.scale(2))
    np.testing.assert_allclose(expected_linear(make_raster(IMAGE), coarse), [[-0.5, 0], [0, -0.5]], atol=1e-6)
    np.testing.assert_array_equal(expected_linear(make_raster(IMAGE, None, None), coarse), np.eye(2))


def test_figures_of_known_errors() -> None:
    errors = GroundErrors(np.array([3.0] * 9 + [0.0]), np.array([4.0] * 9 + [50.0]), 10.0)
    assert errors.rmse_m == pytest.approx(np.sqrt((9 * 25 + 2500) / 10))
    assert errors.ce90_m == pytest.approx(9.5)
    assert errors.subset(np.arange(10) < 9).ce90_m == pytest.approx(5)


def test_without_georeference_there_are_no_metres() -> None:
    raster, bare = make_raster(IMAGE), make_raster(IMAGE, None, None)
    assert ground_errors(raster, bare, XY, XY) is None
    require_overlap(raster, bare)


@pytest.mark.parametrize("x", [-128, 128, 5_000_000])
def test_footprints_apart(x: int) -> None:
    with pytest.raises(NoOverlapError, match="share no ground"):
        require_overlap(make_raster(IMAGE), make_raster(IMAGE, GRID @ Affine.translation(x, 0)))


def test_footprints_that_share_a_strip() -> None:
    reference, target = make_raster(IMAGE), make_raster(IMAGE, GRID @ Affine.translation(127, 0))
    require_overlap(reference, target)
    np.testing.assert_allclose(np.ptp(common_corners(reference, target), axis=0), [1, 128], atol=1e-6)


@pytest.mark.real
def test_two_sensors_two_crs() -> None:
    """A valley in Sentinel-2 at 20 m in UTM and in EMIT at 60 m in degrees."""
    from s2match.io.reader import read_raster

    sentinel, emit = (read_raster(REAL / "cross_sensor" / f"{name}_Haib_resize.tif") for name in ("S2", "EMIT"))
    require_overlap(sentinel, emit)
    centre = np.array([[475.0, 264.0]])
    errors = ground_errors(sentinel, emit, centre, predict(centre, sentinel, emit))
    assert errors is not None and errors.rmse_m < 0.01
    assert errors.native_pixel_m == pytest.approx(20)
