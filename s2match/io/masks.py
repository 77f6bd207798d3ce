"""Masks on images: read mask files, remove masked pixels. A masked point never becomes a match."""

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize

from s2match.core.grid import Grid
from s2match.core.ground_axes import pixel_sides_m
from s2match.core.image_path import ImagePath
from s2match.core.mask import Mask
from s2match.core.polygons import Polygons
from s2match.core.raster import Patch
from s2match.core.window import Window
from s2match.errors import MaskError
from s2match.io.mask_raster import Frame, frame_of, mask_frame, masked_pixels, opened_mask, touches
from s2match.io.polygons import SUFFIXES, read_polygons
from s2match.io.saturated_cloud import radius_px, saturated_cloud

_LOG = logging.getLogger(__name__)


def with_margin(window: Window, grid: Grid) -> Window:
    """The window, enlarged by the margin that masking its pixels depends on."""
    if not grid.masking.clouds:
        return window
    return window.with_margin(radius_px(_pixel_m(grid)), grid.size)


def without_masked(patch: Patch, grid: Grid, outer: Window, window: Window) -> Patch:
    """The pixels of a window, with masked pixels set invalid.

    Args:
        patch: The pixels of ``outer``.
        grid: The image.
        outer: The window with its margin, see :func:`with_margin`.
        window: The window.

    Raises:
        MaskError: A mask cannot be read, or has no place on this image.
    """
    if not grid.masking:
        return patch
    row, column = window.y - outer.y, window.x - outer.x
    inner = (slice(row, row + window.height), slice(column, column + window.width))
    image, data = patch.image[inner], patch.valid[inner]
    cloud = np.zeros(data.shape, np.bool_)
    if grid.masking.clouds:
        saturated = None if grid.radiometry is None else grid.radiometry.saturated
        if saturated is None:
            raise no_cloud_error(grid)
        cloud = saturated_cloud(patch.image, _pixel_m(grid), saturated)[inner]
    masked = cloud.copy()
    for mask in grid.masking.masks:
        masked |= read_mask(mask, grid, window)
    if grid.masking.area is not None:
        masked |= _outside(grid.masking.area, frame_of(grid, window))
    valid = data & ~masked
    return Patch(image * valid[..., None], valid, float((data & masked).mean()), float((data & cloud).mean()))


def read_mask(mask: Mask, grid: Grid, window: Window) -> NDArray[np.bool_]:
    """Read a mask on a window of an image; only the part under the window is read.

    A pixel is masked if a masked sample of a raster (:func:`s2match.io.mask_raster.masked_pixels`) or a geometry of a
    vector file touches it. Beyond the edges of a mask nothing is masked.

    Args:
        mask: The mask.
        grid: The image.
        window: The window, inside the grid.

    Returns:
        H×W bool, True where masked.

    Raises:
        MaskError: The mask cannot be read, or has no place on this image.
    """
    pixels = frame_of(grid, window)
    if not is_vector(mask.path):
        with opened_mask(mask.path) as file:
            samples = mask_frame(file, grid)
            if samples is None:
                raise misplaced_error(mask, grid)
            return masked_pixels(file, mask, samples, pixels)
    if grid.crs is None:
        raise misplaced_error(mask, grid)
    polygons, bounds = mask.polygons, pixels.bounds
    if polygons is None or not polygons.covers(bounds, pixels.crs):
        polygons = read_polygons(mask.path, bounds, pixels.crs)
    geometries = polygons.geometries_in(bounds)
    if not geometries:
        return np.zeros((window.height, window.width), np.bool_)
    shape = (window.height, window.width)
    return np.asarray(rasterize(geometries, shape, transform=pixels.transform, all_touched=True) > 0)


def _outside(area: Polygons, pixels: Frame) -> NDArray[np.bool_]:
    """H×W bool, True for pixels whose centres lie outside of an area."""
    width, height = pixels.size
    geometries = area.geometries_in(pixels.bounds)
    if not geometries:
        return np.ones((height, width), np.bool_)
    return np.asarray(rasterize(geometries, (height, width), transform=pixels.transform) == 0)


def is_vector(path: ImagePath) -> bool:
    """Whether a mask is a vector file, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def mask_on(mask: Mask, grid: Grid) -> Mask | None:
    """The mask with its polygons on an image; None if it does not touch the image.

    Raises:
        MaskError: The mask cannot be read.
    """
    pixels = frame_of(grid)
    if is_vector(mask.path):
        polygons = None if grid.crs is None else read_polygons(mask.path, pixels.bounds, pixels.crs)
        on_grid = replace(mask, polygons=polygons) if polygons else None
    else:
        with opened_mask(mask.path) as file:
            samples = mask_frame(file, grid)
            on_grid = mask if samples is not None and touches(file, samples, pixels) else None
    _LOG.info("mask %s %s %s", mask.path.name, "lies on" if on_grid else "does not touch", grid.scene.path.name)
    return on_grid


def no_cloud_error(grid: Grid) -> MaskError:
    """The error for an image whose cloud cannot be masked."""
    return MaskError(
        f"Cloud cannot be masked in {grid.scene.path.name}: it must be a true-colour image of 8 bits, or reflectance "
        "in 16 bits, with a georeference."
    )


def misplaced_error(mask: Mask, *grids: Grid) -> MaskError:
    """The error for a mask that overlaps neither image."""
    names = " or ".join(grid.scene.path.name for grid in grids)
    return MaskError(
        f"The mask {mask.path} lies on no ground of {names}, nor is it a raster of their size without a georeference."
    )


def _pixel_m(grid: Grid) -> float:
    return min(pixel_sides_m(grid, grid.transform))
