"""Pixels of an image in pixels of its file: grids may be cropped, resized, or lie on the pixels of another image."""

from functools import partial

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.georeference import predict
from s2match.core.grid import Grid
from s2match.core.point_maps import jacobian
from s2match.core.raster import HasGrid, grid_of


def whole_file(image: HasGrid) -> Grid:
    """The grid of every pixel of an image's file."""
    grid = stored_grid(image)
    size, transform = grid.file_size or grid.native_size, grid.native_transform
    if transform is not None:
        # as the file has it, where it is known: scaling forth and back rounds
        transform = grid.file_transform or transform @ Affine.translation(-grid.corner[0], -grid.corner[1])
    return Grid(size, transform, grid.crs, size, grid.scene, radiometry=grid.radiometry)


def stored_grid(image: HasGrid) -> Grid:
    """The grid, along the axes of the file, from which an image was resampled.

    It is the image's own grid if the image was not resampled from another one.
    """
    grid = grid_of(image)
    return grid if grid.source is None else stored_grid(grid.source)


def to_file(image: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (N, 2) pixels (x, y) of an image to pixels of its file, both in the GDAL frame."""
    grid = grid_of(image)
    if grid.source is not None:
        return to_file(grid.source, predict(xy, grid, grid.source))
    return np.asarray(xy * _file_pixels(grid) + grid.corner)


def from_file(image: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (N, 2) pixels (x, y) of an image's file to pixels of the image: the inverse of :func:`to_file`."""
    grid = grid_of(image)
    if grid.source is not None:
        return predict(from_file(grid.source, xy), grid.source, grid)
    return np.asarray((xy - grid.corner) / _file_pixels(grid))


def file_affine(image: HasGrid) -> Affine | None:
    """Affine map from pixels of an image to pixels of its file, both in the GDAL frame.

    Returns:
        The map; None if the file has another reference system than the image, which lies on another one's pixels.
    """
    grid = grid_of(image)
    if grid.source is not None and grid.source.crs != grid.crs:
        return None
    width, height = grid.size
    origin, right, down = to_file(grid, np.array([[0.0, 0.0], [width, 0.0], [0.0, height]]))
    across, along = (right - origin) / width, (down - origin) / height
    return Affine(*map(float, (across[0], along[0], origin[0], across[1], along[1], origin[1])))


def file_pixels_per_pixel(image: HasGrid) -> float:
    """Pixels of the file along a pixel of the image in its middle, the mean of both axes."""
    middle = np.array([image.size]) / 2
    return float(np.sqrt(abs(np.linalg.det(jacobian(partial(to_file, image), middle)[0]))))


def _file_pixels(grid: Grid) -> NDArray[np.float64]:
    """(2,) size of a pixel of the grid in pixels of the file, (x, y); the grid must have the axes of the file."""
    return np.asarray(np.array(grid.native_size) / np.array(grid.size))
