"""Masks that are rasters, of any CRS and pixel size: the pixels of an image that their masked samples touch."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from s2match.core.bounds import Bounds
from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath
from s2match.core.mask import MASKED_CLASSES, Mask
from s2match.core.point_maps import grid_points
from s2match.core.projection import apply_transform, reproject, reproject_bounds, wrapped
from s2match.core.window import Window
from s2match.errors import MaskError
from s2match.io.image_file import ImageFile
from s2match.io.open_file import open_image
from s2match.io.placement import placement_of

# File names of ESA's cloud masks with the bands opaque cloud, cirrus and snow; the first two mask.
_CLOUD_MASK_NAME = re.compile(r"(^|_)MSK_CLASSI_B00\.", re.IGNORECASE)
_CLOUD_BANDS = [1, 2]

# File names of ESA's Scene Classifications.
_SCENE_CLASSIFICATION_NAME = re.compile(r"(^|_)SCL[_.]", re.IGNORECASE)

# Samples of a mask that are read at once: a full tile is read in some thirty strips.
_SAMPLES_AT_ONCE = 1 << 22

# A fine mask is reduced while it is read, to blocks of at most this part of a pixel: masks may grow by as much.
_BLOCK_PX = 1 / 2

# Pixel corners this far apart are reprojected; between them coordinates are interpolated linearly, to centimetres.
_KNOT_PX = 16

# Overlaps of a sample and a pixel below this, in samples, are the rounding of coordinates.
_ROUNDING = 1e-6

_FIRST, _LAST = slice(None, -1), slice(1, None)

# CRS of images and maps without one: any in which coordinates stay as they are.
_NO_CRS = CRS.from_epsg(3857)


@dataclass(frozen=True)
class Frame:
    """Pixels on a map: those of a window, or the samples of a mask.

    Attributes:
        transform: Pixel (x, y) in the GDAL frame to map coordinates.
        crs: CRS of the map coordinates.
        size: Width and height in pixels.
    """

    transform: Affine
    crs: CRS
    size: tuple[int, int]

    @property
    def bounds(self) -> Bounds:
        """Bounding box in map coordinates."""
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * self.size
        ground = apply_transform(self.transform, corners)
        (left, bottom), (right, top) = ground.min(axis=0).tolist(), ground.max(axis=0).tolist()
        return left, bottom, right, top

    def window_of(self, bounds: Bounds, margin: int = 0) -> Window | None:
        """The pixels in a box of map coordinates and a margin; None if there are none."""
        corners = np.array([[x, y] for x in bounds[::2] for y in bounds[1::2]])
        pixels = apply_transform(~self.transform, corners)
        return Window.covering(pixels.min(axis=0) - margin, pixels.max(axis=0) + margin, self.size)


def frame_of(grid: Grid, window: Window | None = None) -> Frame:
    """The frame of a window of a grid; None: of the whole grid."""
    window = window or Window(0, 0, *grid.size)
    corner = Affine.translation(window.x, window.y)
    transform = corner if grid.transform is None else grid.transform @ corner
    return Frame(transform, grid.crs or _NO_CRS, (window.width, window.height))


def mask_frame(file: ImageFile, grid: Grid) -> Frame | None:
    """The frame of the samples of a mask.

    A mask without a georeference has the pixels of the image's file, if their sizes are equal.

    Args:
        file: The mask, open.
        grid: The image.

    Returns:
        The frame, in the CRS of the mask; None if the mask has no position on the image.
    """
    placement, size = placement_of(file), (file.width, file.height)
    if placement.transform is not None and placement.crs is not None:
        return Frame(placement.transform, placement.crs, size) if grid.crs is not None else None
    if placement.transform is not None and grid.georeferenced:
        # a mask without a CRS is taken to be on the map of the image, if they then overlap
        frame = Frame(placement.transform, grid.crs or _NO_CRS, size)
        if frame.window_of(frame_of(grid).bounds) is not None:
            return frame
    source = grid.source or grid
    if size != (source.file_size or source.native_size):
        return None
    frame = frame_of(source)
    scale = Affine.scale(source.size[0] / source.native_size[0], source.size[1] / source.native_size[1])
    corner = Affine.translation(-source.corner[0], -source.corner[1])
    return Frame(frame.transform @ scale @ corner, frame.crs, size)


def touches(file: ImageFile, samples: Frame, pixels: Frame) -> bool:
    """Whether a mask has samples on the bounding box of an image, which are then checked to be readable.

    Raises:
        MaskError: The mask cannot hold its samples.
    """
    boxes = reproject_bounds(pixels.bounds, pixels.crs, samples.crs)
    windows = [window for box in boxes if (window := samples.window_of(box)) is not None]
    for window in windows:
        file.check(1, window.width, window.height)
    return bool(windows)


def masked_pixels(file: ImageFile, mask: Mask, samples: Frame, pixels: Frame) -> NDArray[np.bool_]:
    """Pixels of a window that a masked sample touches.

    The nearest sample alone, or a mean of samples, would miss masked ones. A pixel is the bounding box of its corners
    in samples. Much finer masks are reduced to blocks of samples of up to half a pixel, masked if any sample is.

    Args:
        file: The mask, open.
        mask: The mask.
        samples: Frame of its samples.
        pixels: Frame of the window.

    Returns:
        H×W bool, True where masked; False beyond the edges of the mask.

    Raises:
        MaskError: The CRS of the mask cannot express the window.
    """
    masked = np.zeros(pixels.size[::-1], np.bool_)
    for box in reproject_bounds(pixels.bounds, pixels.crs, samples.crs):
        window = samples.window_of(box, margin=1)
        if window is None:
            continue
        step = max(1, int(min(window.width / pixels.size[0], window.height / pixels.size[1]) * _BLOCK_PX))
        blocks = _read_blocks(file, mask, window, step)
        transform = samples.transform @ Affine.translation(window.x, window.y) @ Affine.scale(step)
        corners = _pixel_corners(pixels, Frame(transform, samples.crs, blocks.shape[::-1]), (box[0] + box[2]) / 2)
        if not np.isfinite(corners).all():
            raise MaskError(f"The mask {mask.path} has a coordinate reference system that is not valid at the image.")
        masked |= _touch_pixels(blocks, corners)
    return masked


@contextmanager
def opened_mask(path: ImagePath) -> Iterator[ImageFile]:
    """Open a mask raster: one band, with or without alpha, or a cloud mask of ESA.

    Raises:
        MaskError: The file is missing, damaged, or has more bands.
    """
    with open_image(path, failure=MaskError, what="the mask ") as file:
        colours = sum(colour is not ColorInterp.alpha for colour in file.colorinterp)
        if colours > 1 and not _CLOUD_MASK_NAME.search(path.name):
            raise MaskError(f"The mask {path} has {file.count} bands: a mask has one.")
        if any(dtype.startswith("complex") for dtype in file.dtypes):
            raise MaskError(f"The mask {path} contains complex numbers.")
        yield file


def _pixel_corners(pixels: Frame, samples: Frame, middle: float) -> NDArray[np.float64]:
    """(2, H + 1, W + 1) corners of ``pixels``, as positions (x, y) in the grid ``samples``.

    Longitudes are wrapped to within 180 degrees of ``middle`` before they are converted to positions.
    """
    (across, columns), (down, rows) = (_knots(side) for side in pixels.size)
    knots = grid_points(columns, rows)
    ground = reproject(apply_transform(pixels.transform, knots), pixels.crs, samples.crs)
    # longitudes continue beyond the 180th meridian, so that the corners of a pixel enclose its ground
    ground = wrapped(ground, samples.crs, middle)
    xy = apply_transform(~samples.transform, ground).reshape(len(rows), len(columns), 2)
    return np.asarray(down @ xy.transpose(2, 0, 1) @ across.T)


def _knots(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(side + 1, K) weights of linear interpolation from knots to pixel corners along a side, and (K,) knots."""
    knots = np.linspace(0, side, math.ceil(side / _KNOT_PX) + 1)
    return np.clip(1 - np.abs(np.arange(side + 1)[:, None] - knots) / knots[1], 0, None), knots


def _touch_pixels(samples: NDArray[np.bool_], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """H×W whether a masked sample overlaps the bounding box of a pixel's corners, (2, H + 1, W + 1)."""
    # summed-area table
    above_left = np.pad(samples.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), [(1, 0), (1, 0)])
    four = [corners[:, rows, columns] for rows in (_FIRST, _LAST) for columns in (_FIRST, _LAST)]
    low = np.floor(np.minimum.reduce(four) + _ROUNDING).astype(np.int32)
    high = np.ceil(np.maximum.reduce(four) - _ROUNDING).astype(np.int32)
    (left, right), (top, bottom) = (
        (np.clip(low[axis], 0, size), np.clip(high[axis], 0, size)) for axis, size in enumerate(samples.shape[::-1])
    )
    count = above_left[bottom, right] - above_left[top, right] - above_left[bottom, left] + above_left[top, left]
    return np.asarray(count > 0)


def _read_blocks(file: ImageFile, mask: Mask, window: Window, step: int) -> NDArray[np.bool_]:
    """Read a window of a mask strip by strip, in blocks of ``step`` × ``step`` samples: True where any is masked."""
    file.check(1, window.width, window.height)
    rows = max(1, _SAMPLES_AT_ONCE // window.width // step) * step
    strips = []
    for top in range(0, window.height, rows):
        strip = RasterioWindow(window.x, window.y + top, window.width, min(rows, window.height - top))
        masked = _read_masked(file, mask, strip)
        padded = np.pad(masked, [(0, -side % step) for side in masked.shape])
        blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
        strips.append(blocks.any(axis=(1, 3)))
    return np.concatenate(strips)


def _read_masked(file: ImageFile, mask: Mask, window: RasterioWindow) -> NDArray[np.bool_]:
    """H×W bool, whether the samples of a window are masked: by the values of the mask, or, without values, if not 0."""
    if _CLOUD_MASK_NAME.search(mask.path.name) and file.count > 1:
        return np.asarray((file.read(_CLOUD_BANDS, window=window) != 0).any(axis=0))
    numbers = file.read(1, window=window)
    values = mask.values
    if values is None and _SCENE_CLASSIFICATION_NAME.search(mask.path.name):
        values = MASKED_CLASSES
    if values is not None:
        return np.isin(numbers, values)
    return np.asarray((np.nan_to_num(numbers) != 0) & (file.read_masks(1, window=window) > 0))
