"""Reproject pixels to another grid: another reference system, pixel size or orientation."""

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

# Margin of source pixels around a window, for a kernel of radius 3 that is widened up to twofold.
_MARGIN_PX = 8

# Longitudes are searched up to this many full turns away.
_MAX_TURNS = 2

# Any projected CRS, for grids without one.
_PLACEHOLDER_CRS = CRS.from_epsg(3857)

# Error that GDAL may make by approximating a coordinate transformation, in source pixels.
_TOLERANCE_PX = 0.01


def source_window(grid: Grid, window: Window) -> Window | None:
    """Window of a grid's source that covers a window of the grid; None if they share no ground.

    Args:
        grid: A grid with a source.
        window: Window of the grid, in its pixels.
    """
    assert grid.source is not None
    box = footprint(_subgrid(grid, window), grid.source)
    if box is None:
        return None
    return Window.covering(box[0] - _MARGIN_PX, box[1] + _MARGIN_PX, grid.source.size)


def warp(patch: Patch, source: Window, grid: Grid, window: Window) -> Patch:
    """Reproject a patch by a Lanczos kernel of radius 3, from its valid pixels only.

    Args:
        patch: Pixels of a window of the grid's source.
        source: That window, in pixels of the source.
        grid: A grid with a source.
        window: Window of the grid to fill, in its pixels.
    """
    assert grid.source is not None
    source_grid, target_grid = _subgrid(grid.source, source), _subgrid(grid, window)
    image = np.zeros((3, window.height, window.width), np.uint8)
    pixels = np.ascontiguousarray(patch.image.transpose(2, 0, 1))
    # GDAL needs a CRS; grids without one share a map, so that any CRS changes nothing
    target_crs, source_crs = (part.crs or _PLACEHOLDER_CRS for part in (target_grid, source_grid))
    for target_transform, source_transform in _transform_pairs(target_grid, source_grid):
        reproject(
            pixels,
            image,
            src_transform=source_transform,
            src_crs=source_crs,
            # valid pixels are 1 to 255 in every band
            src_nodata=0,
            dst_transform=target_transform,
            dst_crs=target_crs,
            dst_nodata=0,
            # keep pixels that another turn of longitude has filled
            init_dest_nodata=False,
            # cubic convolution pulls details of 4 to 5 px by up to 0.04 px towards the pixels of the source
            resampling=Resampling.lanczos,
            tolerance=_TOLERANCE_PX,
        )
    valid = np.asarray((image > 0).all(axis=0))
    return Patch(np.ascontiguousarray(image.transpose(1, 2, 0)) * valid[..., None], valid)


def empty_patch(window: Window) -> Patch:
    """Patch of a window without data."""
    shape = (window.height, window.width)
    return Patch(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_))


def _transform_pairs(target: Grid, source: Grid) -> list[tuple[Affine, Affine]]:
    """Pairs of transforms of two grids, shifted by multiples of 360 degrees of longitude, that may overlap.

    GDAL reprojects only longitudes from -180 to 180 degrees. Within the same CRS it compares longitudes as numbers. So
    images that cross the 180th meridian, or have longitudes up to 360 degrees, are reprojected in parts.
    """
    assert target.transform is not None and source.transform is not None
    if target.crs == source.crs:
        return [(target.transform, turned) for turned in _turned_transforms(source, _range_x(target))]
    return [(first, second) for first in _turned_transforms(target) for second in _turned_transforms(source)]


def _turned_transforms(grid: Grid, x_range: tuple[float, float] | None = None) -> list[Affine]:
    """Transforms of a grid, shifted by multiples of 360°, that overlap a range of map x; None: -180 to 180 degrees."""
    assert grid.transform is not None
    turn = full_turn(grid.crs)
    if turn is None:
        return [grid.transform]
    low, high = x_range or (-turn / 2, turn / 2)
    first, last = _range_x(grid)
    turns = range(-_MAX_TURNS, _MAX_TURNS + 1)
    return [
        Affine.translation(k * turn, 0) @ grid.transform
        for k in turns
        if first + k * turn < high and last + k * turn > low
    ]


def _range_x(grid: Grid) -> tuple[float, float]:
    """Lowest and highest map x of a grid's corners."""
    assert grid.transform is not None
    x = [(grid.transform @ corner)[0] for corner in ((0, 0), (grid.size[0], 0), (0, grid.size[1]), grid.size)]
    return min(x), max(x)


def _subgrid(grid: Grid, window: Window) -> Grid:
    """Part of a grid in a window, as a grid."""
    assert grid.transform is not None
    transform = grid.transform @ Affine.translation(window.x, window.y)
    return Grid((window.width, window.height), transform, grid.crs, (window.width, window.height), grid.scene)
