"""Pixels of one grid on another: of another reference system, another pixel size, or turned."""

import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from s2match.georeference import outline, predict
from s2match.images import Grid, Patch, Window

# Pixels of the source around what is asked for, for cubic convolution.
_MARGIN_PX = 4

# How far GDAL may be off where it approximates a change of reference system, in source pixels.
_TOLERANCE_PX = 0.01


def source_window(grid: Grid, window: Window) -> Window | None:
    """The part of a grid's source that a window of it is made of; None where the source shows nothing of it."""
    assert grid.source is not None
    edge = predict(outline(_part(grid, window)), _part(grid, window), grid.source)
    if not np.isfinite(edge).all():
        return None
    low = np.maximum(np.floor(edge.min(axis=0)) - _MARGIN_PX, 0).astype(int)
    high = np.minimum(np.ceil(edge.max(axis=0)) + _MARGIN_PX, grid.source.size).astype(int)
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
    reproject(
        np.ascontiguousarray(patch.image.transpose(2, 0, 1)),
        image,
        src_transform=there.transform,
        src_crs=there.crs,
        # valid pixels are 1 to 255 in every band
        src_nodata=0,
        dst_transform=here.transform,
        dst_crs=here.crs,
        dst_nodata=0,
        resampling=Resampling.cubic,
        tolerance=_TOLERANCE_PX,
    )
    valid = np.asarray((image > 0).all(axis=0))
    return Patch(np.ascontiguousarray(image.transpose(1, 2, 0)) * valid[..., None], valid)


def nothing(window: Window) -> Patch:
    """A window without data."""
    shape = (window.height, window.width)
    return Patch(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_))


def _part(grid: Grid, window: Window) -> Grid:
    """A window as a grid of its own."""
    assert grid.transform is not None
    transform = grid.transform @ Affine.translation(window.x, window.y)
    return Grid((window.width, window.height), transform, grid.crs, (window.width, window.height), grid.scene)
