"""Images across the 180th meridian, and longitudes from 0 to 360 degrees."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import UTM, Writer, texture
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from s2match.core.footprint import common_corners, require_overlap
from s2match.core.georeference import predict
from s2match.core.ground_errors import ground_errors
from s2match.core.mask import Mask, Masking
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.io.masks import mask_on, read_mask
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid, read_whole

DEGREES = CRS.from_epsg(4326)
FIJI = CRS.from_epsg(32701)
SIDE = 240


def on_the_meridian(zone: CRS = FIJI, longitude: float = 180.0, latitude: float = -17.0) -> Affine:
    """10 m pixels whose middle lies on a meridian."""
    (east,), (north,) = transform(DEGREES, zone, [longitude], [latitude])
    return Affine(10, 0, round(east, -1) - 5 * SIDE, 0, -10, round(north, -1) + 5 * SIDE)


def in_degrees(
    image: NDArray[np.uint8], place: Affine, zone: CRS, longitude: float
) -> tuple[NDArray[np.uint8], Affine]:
    """Write an image of a zone in degrees, exactly, with longitudes within half a turn of one."""
    x, y = np.meshgrid([0, SIDE], [0, SIDE])
    east, north = place @ (x.ravel(), y.ravel())
    west_to_east, south_to_north = transform(zone, DEGREES, east, north)
    longitudes = np.array(west_to_east)
    longitudes += 360 * np.round((longitude - longitudes) / 360)
    pixel = 9e-5
    onto = Affine(pixel, 0, longitudes.min(), 0, -pixel, max(south_to_north))
    size = int(np.ptp(south_to_north) / pixel), int(np.ptp(longitudes) / pixel)
    columns, rows = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    out = np.zeros(size, np.uint8)
    # pixel by pixel, so that the test does not rest on how GDAL warps past the meridian
    east, north = transform(DEGREES, zone, *(v.ravel() for v in onto @ (columns, rows)))
    at = ~place @ (np.array(east), np.array(north))
    x, y = (np.floor(v).astype(int) for v in at)
    inside = (x >= 0) & (y >= 0) & (x < SIDE) & (y < SIDE)
    out.ravel()[inside] = image[y[inside], x[inside]]
    return out, onto


@pytest.mark.parametrize(
    ("zone", "turned", "latitude"), [(FIJI, 180.0, -17.0), (FIJI, -180.0, -17.0), (UTM, 393.0, 50.0)]
)
@pytest.mark.parametrize("degrees_first", [False, True])
def test_all_common_ground_is_matched(
    write_image: Writer, zone: CRS, turned: float, latitude: float, degrees_first: bool
) -> None:
    image = np.maximum(texture(SIDE, SIDE, seed=2), 1)
    place = on_the_meridian(zone, turned, latitude)
    degrees, onto = in_degrees(image, place, zone, turned)
    files = write_image("a.tif", image, place, zone), write_image("b.tif", degrees, onto, DEGREES, nodata=0)
    pair = tuple(scene_of(file) for file in (files[::-1] if degrees_first else files))
    reference, target = (read_whole(grid) for grid in grids_of(*pair, None))
    offset = predict(np.zeros((1, 2)), reference, target)[0]
    assert np.abs(offset).max() < 30
    low, high = common_corners(reference, target)[[0, 3]]
    assert ((high - low) > 0.95 * np.array(reference.size)).all()
    x, y = np.meshgrid(np.arange(10, reference.size[0] - 10), np.arange(10, reference.size[1] - 10))
    there = np.rint(np.stack([x, y], -1) + offset).astype(int)
    mine = reference.image[y, x, 0].astype(int)
    both = reference.valid[y, x] & target.valid[there[..., 1], there[..., 0]]
    assert both.mean() > 0.93
    assert np.median(np.abs(target.image[there[..., 1], there[..., 0], 0] - mine)[both]) < 3


def test_two_images_in_degrees_of_different_turns(write_image: Writer) -> None:
    pixel = 1e-4
    files = [
        write_image(f"{k}.tif", texture(80, 80), Affine(pixel, 0, longitude, 0, -pixel, 51.0), DEGREES)
        for k, longitude in enumerate((-10.0, 350.0 + 3 * pixel))
    ]
    first, second = (read_grid(scene_of(file)) for file in files)
    require_overlap(first, second)
    xy = np.array([[10.0, 20.0]])
    np.testing.assert_allclose(predict(xy, first, second), [[7, 20]], atol=1e-6)
    errors = ground_errors(first, second, xy, xy - (3, 0))
    assert errors is not None and errors.rmse_m < 0.01


@pytest.mark.parametrize("turn", [0.0, 360.0])
@pytest.mark.parametrize("kind", ["raster", "polygon"])
def test_masks_of_any_turn_lie_on_an_image_of_any(write_image: Writer, tmp_path: Path, turn: float, kind: str) -> None:
    """The mask covers the ground west of the meridian, with longitudes a full turn off those of the image."""
    pixel = 1e-4
    image = read_grid(
        scene_of(write_image("a.tif", texture(80, 80), Affine(pixel, 0, 180 - 40 * pixel, 0, -pixel, 1), DEGREES))
    )
    if kind == "raster":
        place = Affine(0.001, 0, 179.98 - turn, 0, -0.001, 1.005)
        path = write_image("mask.tif", np.ones((20, 20), np.uint8), place, DEGREES)
    else:
        west, east = (179.9 - turn, 180 - turn)
        ring = [[west, 0.9], [east, 0.9], [east, 1.1], [west, 1.1], [west, 0.9]]
        path = tmp_path / "mask.geojson"
        path.write_text(
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": '
            f'{{"type": "Polygon", "coordinates": [{ring}]}}}}]}}'
        )
    assert mask_on(Mask(path), image) is not None
    masked = read_mask(Mask(path), image, Window(0, 0, 80, 80))
    assert masked[:, :39].all() and not masked[:, 42:].any()


def test_the_mask_of_an_image_across_the_meridian_is_applied(write_image: Writer) -> None:
    place = on_the_meridian()
    scene = scene_of(write_image("a.tif", texture(SIDE, SIDE), place, FIJI))
    mask = write_image("mask.tif", np.ones((40, 20), np.uint8), Affine(0.001, 0, 179.98, 0, -0.001, -16.98), DEGREES)
    grid = read_grid(scene)
    masked = read_mask(Mask(mask), grid, Window(0, 0, SIDE, SIDE))
    assert masked[:, : SIDE // 2 - 5].all() and not masked[:, SIDE // 2 + 8 :].any()
    assert Masking((Mask(mask),))
