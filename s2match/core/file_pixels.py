"""Where pixels of a grid lie in its file: grids may be cropped, resized, or on the lattice of another image."""

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.georeference import predict
from s2match.core.grid import Grid, HasGrid, native_transform


def whole_file(placed: HasGrid) -> Grid:
    """The grid of every pixel of an image's file.

    Args:
        placed: A grid, or a raster that covers all of its file, as :func:`s2match.io.reader.read_raster` reads it.
    """
    if isinstance(placed, Grid) and placed.source is not None:
        return whole_file(placed.source)
    corner, size = (0, 0), placed.native_size
    if isinstance(placed, Grid):
        corner, size = placed.corner, placed.file_size or placed.native_size
    transform = native_transform(placed)
    if transform is not None:
        transform = transform @ Affine.translation(-corner[0], -corner[1])
    return Grid(size, transform, placed.crs, size, placed.scene, radiometry=placed.radiometry)


def to_file(placed: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (N, 2) pixels (x, y) of an image, GDAL frame, to pixels of its file, likewise.

    Args:
        placed: See :func:`whole_file`.
        xy: Positions.
    """
    if isinstance(placed, Grid) and placed.source is not None:
        return to_file(placed.source, predict(xy, placed, placed.source))
    scale, corner = _scale_and_corner(placed)
    return np.asarray(xy * scale + corner)


def from_file(placed: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (N, 2) pixels (x, y) of an image's file to pixels of the image: the inverse of :func:`to_file`."""
    if isinstance(placed, Grid) and placed.source is not None:
        return predict(from_file(placed.source, xy), placed.source, placed)
    scale, corner = _scale_and_corner(placed)
    return np.asarray((xy - corner) / scale)


def file_affine(placed: HasGrid) -> Affine | None:
    """Affine map from pixels of an image to pixels of its file, GDAL frame; None where there is none.

    There is none where the file has another reference system than the image, which lies on another one's pixels.
    """
    if isinstance(placed, Grid) and placed.source is not None and placed.source.crs != placed.crs:
        return None
    width, height = placed.size
    origin, right, down = to_file(placed, np.array([[0.0, 0.0], [width, 0.0], [0.0, height]]))
    across, along = (right - origin) / width, (down - origin) / height
    return Affine(*map(float, (across[0], along[0], origin[0], across[1], along[1], origin[1])))


def file_pixels_per_pixel(placed: HasGrid) -> float:
    """Pixels of the file along a pixel of the image in its middle, the mean of both axes."""
    middle = np.array(placed.size) / 2
    origin, right, down = to_file(placed, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return float(np.sqrt(abs(np.linalg.det(np.stack([right - origin, down - origin])))))


def _scale_and_corner(placed: HasGrid) -> tuple[NDArray[np.float64], tuple[int, int]]:
    scale = np.array(placed.native_size) / np.array(placed.size)
    return scale, placed.corner if isinstance(placed, Grid) else (0, 0)
