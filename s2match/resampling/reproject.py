"""Pixels of one grid on another: of another reference system, another pixel size, or turned."""

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from s2match.core.footprint import footprint
from s2match.core.grid import Grid
from s2match.core.projection import full_turn
from s2match.core.raster import Patch
from s2match.core.window import Window

# Pixels of the source around what is asked for, for cubic convolution.
_MARGIN_PX = 4

# Longitudes that are further than this many turns off are no longitudes.
_MOST_TURNS = 2

_ONE_MAP = CRS.from_epsg(3857)

# How far GDAL may be off where it approximates a change of reference system, in source pixels.
_TOLERANCE_PX = 0.01


def source_window(grid: Grid, window: Window) -> Window | None:
    """The part of a grid's source that a window of it is made of; None where the source shows nothing of it."""
    assert grid.source is not None
    box = footprint(_part(grid, window), grid.source)
    if box is None:
        return None
    low = np.floor(np.maximum(box[0] - _MARGIN_PX, 0)).astype(int)
    high = np.ceil(np.minimum(box[1] + _MARGIN_PX, grid.source.size)).astype(int)
    if (high <= low).any():
        return None
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def warped(patch: Patch, source: Window, grid: Grid, window: Window) -> Patch:
    """Resample a patch by cubic convolution, each pixel once, by its valid pixels alone.

    Args:
        patch: Pixels of the grid's source.
        source: Where they lie in it.
        grid: The grid to resample to.
        window: The part of it that is asked for.
    """
    assert grid.source is not None
    there, here = _part(grid.source, source), _part(grid, window)
    image = np.zeros((3, window.height, window.width), np.uint8)
    pixels = np.ascontiguousarray(patch.image.transpose(2, 0, 1))
    # GDAL needs a CRS: without one both are on one map, where any keeps them
    crs = here.crs or _ONE_MAP, there.crs or _ONE_MAP
    for onto, of in _turned(here, there):
        reproject(
            pixels,
            image,
            src_transform=of,
            src_crs=crs[1],
            # valid pixels are 1 to 255 in every band
            src_nodata=0,
            dst_transform=onto,
            dst_crs=crs[0],
            dst_nodata=0,
            # what another turn has filled stays
            init_dest_nodata=False,
            resampling=Resampling.cubic,
            tolerance=_TOLERANCE_PX,
        )
    valid = np.asarray((image > 0).all(axis=0))
    return Patch(np.ascontiguousarray(image.transpose(1, 2, 0)) * valid[..., None], valid)


def nothing(window: Window) -> Patch:
    """A window without data."""
    shape = (window.height, window.width)
    return Patch(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_))


def _turned(onto: Grid, source: Grid) -> list[tuple[Affine, Affine]]:
    """Transforms of a grid and of its source at every full turn of longitude at which GDAL finds one on the other.

    Between reference systems it knows longitudes from -180 to 180 degrees alone, and in one system it compares them as
    they are: images that cross the 180th meridian, or count to 360 degrees, are carried in parts.
    """
    assert onto.transform is not None and source.transform is not None
    if onto.crs == source.crs:
        return [(onto.transform, turned) for turned in _in_reach(source, _range_x(onto))]
    return [(first, second) for first in _in_reach(onto) for second in _in_reach(source)]


def _in_reach(grid: Grid, reach: tuple[float, float] | None = None) -> list[Affine]:
    """The transforms of a grid at every full turn of longitude that reaches a range of them; None: -180 to 180."""
    assert grid.transform is not None
    turn = full_turn(grid.crs)
    if turn is None:
        return [grid.transform]
    low, high = reach or (-turn / 2, turn / 2)
    first, last = _range_x(grid)
    turns = range(-_MOST_TURNS, _MOST_TURNS + 1)
    return [
        Affine.translation(k * turn, 0) @ grid.transform
        for k in turns
        if first + k * turn < high and last + k * turn > low
    ]


def _range_x(grid: Grid) -> tuple[float, float]:
    """The least and the largest map x of a grid."""
    assert grid.transform is not None
    x = [(grid.transform @ corner)[0] for corner in ((0, 0), (grid.size[0], 0), (0, grid.size[1]), grid.size)]
    return min(x), max(x)


def _part(grid: Grid, window: Window) -> Grid:
    """A window as a grid of its own."""
    assert grid.transform is not None
    transform = grid.transform @ Affine.translation(window.x, window.y)
    return Grid((window.width, window.height), transform, grid.crs, (window.width, window.height), grid.scene)
