"""Masks: files, and the image itself, say where nothing is to be matched. A masked point never becomes a match."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from rasterio.windows import Window as RasterioWindow

from s2match.core.bounds import Bounds
from s2match.core.grid import Grid
from s2match.core.ground_axes import pixel_sides_m
from s2match.core.mask import Mask
from s2match.core.projection import apply_transform, reproject, reproject_bounds, wrapped
from s2match.core.raster import Patch
from s2match.core.window import Window
from s2match.errors import MaskError
from s2match.io.cloud_mask import radius_px, saturated_cloud
from s2match.io.placement import placement_of
from s2match.io.polygons import SUFFIXES, read_drawing
from s2match.io.quiet import open_image
from s2match.util.gdal import FILE_ERRORS, gdal_message

# ESA's Scene Classification: no data, saturated or defective, cloud shadow, cloud of medium and of high probability,
# thin cirrus.
SCENE_CLASSIFICATION = (0, 1, 3, 8, 9, 10)
_SCENE_CLASSIFICATION_NAME = re.compile(r"(^|_)SCL[_.]", re.IGNORECASE)

# Samples of a mask that are read at a time: a full tile comes in some thirty pieces.
_PIECE_SAMPLES = 1 << 22

# A mask is reduced while it is read to samples of this part of a pixel at most: so far may what it masks grow.
_REDUCED_PX = 1 / 2

# Coordinates are carried into another CRS at pixel corners this far apart; between them they are linear to centimetres.
_KNOT_PX = 16

# Less of a sample than this in a pixel is the rounding of coordinates.
_NOTHING = 1e-6

_FIRST, _LAST = slice(None, -1), slice(1, None)

# Stands for the pixels of images that lie nowhere, and for maps without a CRS: any that keeps them where they are.
_PIXELS = CRS.from_epsg(3857)


@dataclass(frozen=True)
class _Frame:
    """Where the pixels of something lie: a transform to map coordinates, and what those are."""

    transform: Affine
    crs: CRS


def with_margin(window: Window, grid: Grid) -> Window:
    """The window and what around it has a say in what of it is masked."""
    if not grid.masking.clouds:
        return window
    reach = radius_px(_pixel_m(grid))
    left, top = max(window.x - reach, 0), max(window.y - reach, 0)
    right = min(window.x + window.width + reach, grid.size[0])
    bottom = min(window.y + window.height + reach, grid.size[1])
    return Window(left, top, right - left, bottom - top)


def without_masked(patch: Patch, grid: Grid, around: Window, window: Window) -> Patch:
    """The pixels of a window less those that are masked.

    Args:
        patch: The pixels of ``around``.
        grid: The image they are of.
        around: The window with its margin.
        window: The window.

    Raises:
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    if not grid.masking:
        return patch
    row, column = window.y - around.y, window.x - around.x
    inner = (slice(row, row + window.height), slice(column, column + window.width))
    image, data = patch.image[inner], patch.valid[inner]
    cloud = np.zeros(data.shape, np.bool_)
    if grid.masking.clouds:
        level = None if grid.radiometry is None else grid.radiometry.saturated
        if level is None:
            raise clouds_unknown(grid)
        cloud = saturated_cloud(patch.image, _pixel_m(grid), level)[inner]
    masked = cloud.copy()
    for mask in grid.masking.masks:
        masked |= read_mask(mask, grid, window)
    valid = data & ~masked
    return Patch(image * valid[..., None], valid, float((data & masked).mean()), float((data & cloud).mean()))


def read_mask(mask: Mask, grid: Grid, window: Window) -> NDArray[np.bool_]:
    """Lay a mask over a window of an image; only the part under it is read.

    A raster, of any CRS and pixel size, masks every pixel that one of its masked samples reaches into: the nearest
    sample alone, or a mean, would pass over masked ones beside it. What counts is the box about the pixel in the rows
    and columns of the mask, and of a raster much finer than the image blocks of samples up to half a pixel wide. A
    drawing masks every pixel that it touches. Where a mask ends, nothing is masked.

    Args:
        mask: The mask.
        grid: The image.
        window: The part, inside the grid.

    Returns:
        H×W bool, True where masked.

    Raises:
        MaskError: The mask cannot be read, or nobody knows where it lies on this image.
    """
    masked = np.zeros((window.height, window.width), np.bool_)
    onto = _frame(grid, window)
    if is_vector(mask.path):
        if grid.crs is None:
            raise misplaced(mask, grid)
        bounds = _bounds(onto, window)
        drawing = mask.polygons
        if drawing is None or not drawing.covers(bounds, onto.crs):
            drawing = read_drawing(mask.path, bounds, onto.crs)
        drawn = drawing.geometries_in(bounds)
        return rasterize(drawn, masked.shape, transform=onto.transform, all_touched=True) > 0 if drawn else masked
    with opened_mask(mask.path) as file:
        placed = _placed(file, grid)
        if placed is None:
            raise misplaced(mask, grid)
        for box in reproject_bounds(_bounds(onto, window), onto.crs, placed.crs):
            masked |= _masked_under(file, mask, placed, box, onto, window)
    return masked


def is_vector(path: Path) -> bool:
    """Whether a mask is drawn, by its name, and no raster."""
    return path.suffix.lower() in SUFFIXES


def laid_on(mask: Mask, grid: Grid) -> Mask | None:
    """A mask that lies on an image, with what it draws there; None where no sample or drawing of it touches the image.

    Raises:
        MaskError: The mask cannot be read.
    """
    window = Window(0, 0, *grid.size)
    onto = _frame(grid, window)
    if is_vector(mask.path):
        drawing = None if grid.crs is None else read_drawing(mask.path, _bounds(onto, window), onto.crs)
        return replace(mask, polygons=drawing) if drawing else None
    with opened_mask(mask.path) as file:
        placed = _placed(file, grid)
        if placed is None:
            return None
        boxes = reproject_bounds(_bounds(onto, window), onto.crs, placed.crs)
        return mask if any(_part_under(file, placed, box, margin=0) is not None for box in boxes) else None


def clouds_unknown(grid: Grid) -> MaskError:
    """What to say of an image that cloud cannot be told from."""
    return MaskError(
        f"Cloud cannot be told from {grid.scene.path.name}: it must be a true-colour image of 8 bits, or reflectance "
        "in 16 bits, with a georeference."
    )


def misplaced(mask: Mask, *grids: Grid) -> MaskError:
    """What to say of a mask that lies on none of some images."""
    names = " or ".join(grid.scene.path.name for grid in grids)
    return MaskError(
        f"The mask {mask.path} lies on no ground of {names}, nor is it a raster of their size without a georeference."
    )


def _pixel_m(grid: Grid) -> float:
    return min(pixel_sides_m(grid, grid.transform))


def _frame(grid: Grid, window: Window) -> _Frame:
    """The transform and CRS of a window's pixels."""
    corner = Affine.translation(window.x, window.y)
    if grid.transform is None:
        return _Frame(corner, _PIXELS)
    return _Frame(grid.transform @ corner, grid.crs or _PIXELS)


def _placed(file: rasterio.DatasetReader, grid: Grid) -> _Frame | None:
    """Where the samples of a raster lie: by its georeference, or on the pixels of an image's file; None: nowhere."""
    place = placement_of(file)
    if place.transform is not None and place.crs is not None:
        return _Frame(place.transform, place.crs) if grid.crs is not None else None
    if place.transform is not None and grid.georeferenced:
        # without a CRS it is taken to be on the map of the image, if it then lies on its ground
        frame, whole = _Frame(place.transform, grid.crs or _PIXELS), Window(0, 0, *grid.size)
        if _part_under(file, frame, _bounds(_frame(grid, whole), whole), margin=0) is not None:
            return frame
    own = grid.source or grid
    if (file.width, file.height) != (own.file_size or own.native_size):
        return None
    frame = _frame(own, Window(0, 0, *own.size))
    scale = Affine.scale(own.size[0] / own.native_size[0], own.size[1] / own.native_size[1])
    return _Frame(frame.transform @ scale @ Affine.translation(-own.corner[0], -own.corner[1]), frame.crs)


def _bounds(frame: _Frame, window: Window) -> Bounds:
    """The box of map coordinates about a window."""
    corners = np.array([[0, 0], [window.width, 0], [0, window.height], [window.width, window.height]], float)
    ground = apply_transform(frame.transform, corners)
    (left, bottom), (right, top) = ground.min(axis=0).tolist(), ground.max(axis=0).tolist()
    return left, bottom, right, top


def _part_under(file: rasterio.DatasetReader, placed: _Frame, box: Bounds, margin: int = 1) -> Window | None:
    """The samples of a raster in a box of ground and some around; None where there are none."""
    corners = np.array([[x, y] for x in box[::2] for y in box[1::2]])
    samples = apply_transform(~placed.transform, corners)
    low = np.clip(np.floor(samples.min(axis=0)) - margin, 0, None).astype(int)
    high = np.clip(np.ceil(samples.max(axis=0)) + margin, None, [file.width, file.height]).astype(int)
    if (high <= low).any():
        return None
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _masked_under(
    file: rasterio.DatasetReader, mask: Mask, placed: _Frame, box: Bounds, onto: _Frame, window: Window
) -> NDArray[np.bool_]:
    """What a raster masks of a window, by its samples in a box."""
    part = _part_under(file, placed, box)
    if part is None:
        return np.zeros((window.height, window.width), np.bool_)
    step = max(1, int(min(part.width / window.width, part.height / window.height) * _REDUCED_PX))
    samples = _read_samples(file, mask, part, step)
    here = _Frame(placed.transform @ Affine.translation(part.x, part.y) @ Affine.scale(step), placed.crs)
    corners = _pixel_corners(window, onto, here, (box[0] + box[2]) / 2)
    if not np.isfinite(corners).all():
        raise MaskError(f"The mask {mask.path} has a coordinate reference system that does not reach the image.")
    return _reached(samples, corners)


def _pixel_corners(window: Window, onto: _Frame, placed: _Frame, middle: float) -> NDArray[np.float64]:
    """(2, H + 1, W + 1) where the corners of a window's pixels lie, (x, y) in samples of a raster."""
    (down, rows), (across, columns) = (_knots(side) for side in (window.height, window.width))
    knots = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)
    ground = reproject(apply_transform(onto.transform, knots), onto.crs, placed.crs)
    # beyond the 180th meridian longitudes go on: what lies between the corners of a pixel must be its ground
    ground = wrapped(ground, placed.crs, middle)
    samples = apply_transform(~placed.transform, ground).reshape(len(rows), len(columns), 2)
    return np.asarray(down @ samples.transpose(2, 0, 1) @ across.T)


def _knots(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(side + 1, K) weights that carry values at K knots along a side to every pixel corner, linear; and the knots."""
    knots = np.linspace(0, side, math.ceil(side / _KNOT_PX) + 1)
    return np.clip(1 - np.abs(np.arange(side + 1)[:, None] - knots) / knots[1], 0, None), knots


def _reached(samples: NDArray[np.bool_], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """H×W whether a masked sample lies in the box about the corners, (2, H + 1, W + 1), of a pixel."""
    # so many masked samples lie above and to the left of a place
    before = np.pad(samples.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), [(1, 0), (1, 0)])
    four = [corners[:, rows, columns] for rows in (_FIRST, _LAST) for columns in (_FIRST, _LAST)]
    low = np.floor(np.minimum.reduce(four) + _NOTHING).astype(np.int32)
    high = np.ceil(np.maximum.reduce(four) - _NOTHING).astype(np.int32)
    (left, right), (top, bottom) = (
        (np.clip(low[axis], 0, size), np.clip(high[axis], 0, size)) for axis, size in enumerate(samples.shape[::-1])
    )
    return np.asarray(before[bottom, right] - before[top, right] - before[bottom, left] + before[top, left] > 0)


def _read_samples(file: rasterio.DatasetReader, mask: Mask, part: Window, step: int) -> NDArray[np.bool_]:
    """Read a part of a mask piece by piece, each block of samples as one: True where any of them is masked."""
    rows = max(1, _PIECE_SAMPLES // part.width // step) * step
    pieces = []
    for top in range(0, part.height, rows):
        piece = RasterioWindow(part.x, part.y + top, part.width, min(rows, part.height - top))
        masked = _masked_samples(file, mask, piece)
        whole = np.pad(masked, [(0, -side % step) for side in masked.shape])
        blocks = whole.reshape(whole.shape[0] // step, step, whole.shape[1] // step, step)
        pieces.append(blocks.any(axis=(1, 3)))
    return np.concatenate(pieces)


def _masked_samples(file: rasterio.DatasetReader, mask: Mask, piece: RasterioWindow) -> NDArray[np.bool_]:
    values = file.read(1, window=piece)
    chosen = mask.values
    if chosen is None and _SCENE_CLASSIFICATION_NAME.search(mask.path.name):
        chosen = SCENE_CLASSIFICATION
    if chosen is not None:
        return np.isin(values, chosen)
    return np.asarray((np.nan_to_num(values) != 0) & (file.read_masks(1, window=piece) > 0))


@contextmanager
def opened_mask(path: Path) -> Iterator[rasterio.DatasetReader]:
    """Open a mask that is a raster, of one band beside its transparency.

    Raises:
        MaskError: It is missing, damaged, or has more bands.
    """
    try:
        # one decoding thread: GDAL loses the errors of damaged tiles met in others
        with rasterio.Env(GDAL_NUM_THREADS="1"), open_image(path) as file:
            if sum(colour is not ColorInterp.alpha for colour in file.colorinterp) > 1:
                raise MaskError(f"The mask {path} has {file.count} bands: a mask has one.")
            yield file
    except FILE_ERRORS as error:
        raise MaskError(f"Cannot read the mask {path}: {gdal_message(error)}.") from error
