"""The grids on which two images are matched: common ground, with the same ground pixel size if georeferenced."""

import logging
import math
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.area import AreaOfInterest
from s2match.core.file_pixels import whole_file
from s2match.core.footprint import common_corners, footprint, require_overlap, share_ground
from s2match.core.georeference import comparable
from s2match.core.grid import Grid
from s2match.core.ground_axes import GroundAxes, pixel_sides_m
from s2match.core.image_size import MAX_SIDE_PX, MIN_SIDE_PX, check_size
from s2match.core.mask import Masking
from s2match.core.radiometry import AS_FILES_SAY, ReadOptions
from s2match.core.scene import Scene
from s2match.core.window import Window
from s2match.errors import ImageSizeError, OptionError
from s2match.io.area import crop_to_area
from s2match.io.reader import read_grid, with_radiometry

_LOG = logging.getLogger(__name__)

# Margin around the reference in which a target of another CRS is matched, relative to the sides of the reference.
_BEYOND = 0.5

# An image is cropped along an axis where it is this many times as long as the other's footprint. The margin around the
# footprint, relative to its sides, allows for errors of the georeferences.
_MUCH_LARGER, _MARGIN = 1.5, 0.25

# Pixels of two images whose sides differ by less are of one size: scales of map projections differ by as much.
_SAME_PIXEL = 0.01

# Transforms that differ by less, in map units, are the same but for rounding.
_ROUNDING = 1e-6


def grids_of(  # noqa: PLR0913
    reference: Scene,
    target: Scene,
    size: tuple[int, int] | None,
    overlap_only: bool = False,
    options: ReadOptions = AS_FILES_SAY,
    enlarge: bool = False,
    area: AreaOfInterest | None = None,
) -> tuple[Grid, Grid]:
    """The grids on which two images are matched, with the same ground pixel size if both are georeferenced.

    Images of the same CRS keep their own axes. A target of another CRS is resampled onto the pixels of the reference
    and a margin around it. An image that is much larger on the ground than the other is cropped to the other's
    footprint and a margin. The proportions of the files are kept. No image is matched at more pixels than its file has,
    unless ``enlarge`` is set: of two georeferenced images the one with the larger pixels on the ground limits both.
    There are more than five parameters because each is an option.

    Args:
        reference: The reference.
        target: The target.
        size: (width, height) in pixels of the box that the reference is fitted into. The target gets the same ground
            pixel size or, without a georeference, is fitted into the box, too. Both become larger if a side would be
            shorter than ``MIN_SIDE_PX``. None: every pixel.
        overlap_only: Crop both images to their common ground. The common ground is sampled with width x height pixels,
            in its own proportions.
        options: Options that override what the files declare about their numbers.
        enlarge: Whether to fill the box even where an image has fewer pixels. Without a box: every pixel of the
            reference, and the target at its pixel size.
        area: The ground that is matched: both images are cropped to its bounding box, and ``size`` applies to the
            cropped images. None for all of it.

    Returns:
        The grids of reference and target, with their radiometry.

    Raises:
        ImageSizeError: ``size`` is out of range, or an image or the common ground is too small.
        OptionError: ``overlap_only`` or an area without a georeference, or an offset for images that do not have 16
            bits.
        UnreadableImageError: A file is missing or is not an image.
        NoOverlapError: Two georeferenced images share no ground, or none of the area.
        MaskError: The file of an area cannot be read.
    """
    if size is not None:
        check_size(size)
    first, second = read_pair(reference, target)
    whole = with_radiometry(first, options), with_radiometry(second, options)
    _check_offset(options, *whole)
    require_overlap(*whole)
    if area is not None:
        whole = crop_to_area(whole, area)
    if not comparable(*whole):
        if overlap_only:
            raise OptionError("The overlap of two images is known only where both are georeferenced.")
        return _fit_into(whole[0], size, enlarge), _fit_into(whole[1], size, enlarge)
    crop = _common_ground if overlap_only else _without_far_ground
    grid0, grid1 = crop(whole[0], whole[1]), crop(whole[1], whole[0])
    grid0 = _resize(grid0, _scale(grid0, grid1, _Box(size, overlap_only, enlarge)))
    if grid0.crs != grid1.crs or not _same_axes(grid0, grid1):
        return grid0, on_reference(grid1, grid0)
    width, height = _size_at_pixel_of(grid1, grid0)
    if not enlarge:
        width, height = min(width, grid1.native_size[0]), min(height, grid1.native_size[1])
    return grid0, grid1.resized((width, height))


def read_pair(reference: Scene, target: Scene) -> tuple[Grid, Grid]:
    """The grids of all pixels of two images, with the CRS that their georeferences are compared in.

    An image without a CRS is assumed to be in that of the other image if they then overlap. Two images without a CRS
    are assumed to be in the same CRS if their map coordinates overlap. ``notes`` of the grids contain these
    assumptions.

    Raises:
        UnreadableImageError: A file is missing or is not an image.
    """
    first, second = read_grid(reference), read_grid(target)
    if not (first.georeferenced and second.georeferenced):
        return first, second
    if first.crs is None and second.crs is None:
        if share_ground(first, second):
            return first, second
        apart = "what it has does not lie on the reference, and is not used: the pair is matched without georeference"
        return first, replace(second, transform=None, notes=(*second.notes, apart))
    if first.crs is None:
        return _with_crs_of(second, first), second
    return (first, second) if second.crs is not None else (first, _with_crs_of(first, second))


def _with_crs_of(other: Grid, grid: Grid) -> Grid:
    """A grid without a CRS with that of another image, if they then overlap, and with a note."""
    assumed = replace(grid, crs=other.crs)
    assert other.crs is not None
    name = GroundAxes(other.crs).title
    if share_ground(assumed, other):
        return replace(assumed, notes=(*grid.notes, f"taken to be in {name}, as the other image is"))
    apart = f"in {name}, as the other image is, it would lie elsewhere: the pair is matched without georeference"
    return replace(grid, notes=(*grid.notes, apart))


def _check_offset(options: ReadOptions, *grids: Grid) -> None:
    """Check that an offset applies to one of the images.

    Raises:
        OptionError: An offset is given, but neither image has 16-bit reflectance.
    """
    used = any(grid.radiometry is not None and grid.radiometry.offset_from == "option" for grid in grids)
    if options.offset is not None and not used:
        raise OptionError("The offset is the 16-bit pixel value of reflectance 0, and neither image has 16 bits.")


def on_reference(grid: Grid, reference: Grid) -> Grid:
    """The part of an image within the reference and a margin, as a grid along the reference's pixels."""
    assert reference.transform is not None
    box = footprint(grid, reference)
    assert box is not None, "footprints that share no ground were refused"
    margin = _BEYOND * np.array(reference.size)
    low = np.floor(np.maximum(box[0], -margin)).astype(int)
    high = np.ceil(np.minimum(box[1], reference.size + margin)).astype(int)
    transform = reference.transform @ Affine.translation(*low)
    width, height = (int(side) for side in high - low)
    return Grid(
        (width, height),
        transform,
        reference.crs,
        grid.native_size,
        grid.scene,
        grid.corner,
        source=_at_most_native(grid, reference),
        radiometry=grid.radiometry,
        notes=grid.notes,
    )


def resampled_onto(reference: Grid, file: Grid, masking: Masking) -> Grid:
    """The grid of a reference with another file as the source of its pixels, by the georeference of that file.

    Args:
        reference: Georeferenced grid.
        file: Grid of all pixels of a georeferenced file.
        masking: Masks of the grid returned.
    """
    reference_file = whole_file(reference)
    assert reference_file.transform is not None and file.transform is not None
    same_pixels = (reference_file.size, reference_file.crs) == (file.size, file.crs)
    if same_pixels and reference_file.transform.almost_equals(file.transform, _ROUNDING):
        return replace(reference, scene=file.scene, masking=masking, radiometry=file.radiometry, notes=file.notes)
    return Grid(
        reference.size,
        reference.transform,
        reference.crs,
        file.native_size,
        file.scene,
        source=_at_most_native(file, reference),
        masking=masking,
        radiometry=file.radiometry,
        notes=file.notes,
    )


def _at_most_native(grid: Grid, reference: Grid) -> Grid:
    """A grid at about the ground pixel size of a reference, but no finer than its file."""
    size = zip(_size_at_pixel_of(grid, reference), grid.native_size, strict=True)
    width, height = (min(side, native) for side, native in size)
    return grid.resized((width, height))


@dataclass(frozen=True)
class _Box:
    """The size that images are matched at.

    Attributes:
        size: (width, height) in pixels; None for every pixel.
        by_count: Whether an image gets the pixel count of the box, instead of fitting into it.
        enlarge: Whether an image may get more pixels than its file has.
    """

    size: tuple[int, int] | None
    by_count: bool
    enlarge: bool

    def scale_of(self, grid: Grid) -> float:
        """Factor for the sides of a grid of the file's pixels."""
        if self.size is None:
            return 1.0
        if self.by_count:
            return math.sqrt(math.prod(self.size) / math.prod(grid.size))
        return _fit(grid.size, self.size)


def _fit_into(grid: Grid, size: tuple[int, int] | None, enlarge: bool) -> Grid:
    """A grid resized to fit into a box, in its own proportions."""
    box = _Box(size, by_count=False, enlarge=enlarge)
    needed = max(box.scale_of(grid), MIN_SIDE_PX / min(grid.size))
    if needed <= 1 or enlarge:
        return _resize(grid, needed)
    _check_sides(grid.scene, grid.size)
    return grid


def _scale(grid: Grid, other: Grid, box: _Box) -> float:
    """Factor for the sides of the reference, so that it fits into a box and no side becomes too short to match.

    Args:
        grid: The reference, in pixels of its file.
        other: The target, likewise.
        box: The box.

    Raises:
        ImageSizeError: A side of an image is too short to match.
    """
    other_size = _size_at_pixel_of(other, grid)
    shortest = min(*grid.size, *other_size)
    scale = box.scale_of(grid)
    needed = max(scale, MIN_SIDE_PX / shortest)
    if box.enlarge:
        if needed > scale and max(grid.size) * needed > MAX_SIDE_PX:
            raise ImageSizeError(
                f"{other.scene.path.name} is {shortest} px wide at the pixel size of {grid.scene.path.name}, and "
                f"{MIN_SIDE_PX} px are needed: with pixels that small the other image would be too large to match."
            )
        return needed
    coarser = math.sqrt(math.prod(_pixel_ratio(other, grid)))
    most = 1.0 if coarser < 1 + _SAME_PIXEL else 1 / coarser
    if needed <= most:
        return needed
    smaller, size = min((grid, grid.size), (other, other_size), key=lambda image: min(image[1]))
    width, height = (round(side * most) for side in size)
    _check_sides(smaller.scene, (width, height))
    return most


def _check_sides(scene: Scene, size: tuple[int, int]) -> None:
    """Check that the pixels of a file suffice.

    Raises:
        ImageSizeError: A side is too short to match.
    """
    if min(size) < MIN_SIDE_PX:
        raise ImageSizeError(
            f"{scene.path.name} has {size[0]} x {size[1]} px to match, and each side must have {MIN_SIDE_PX} px or "
            "more: with --enlarge (enlarge=True in Python) it is matched with smaller pixels than those of the files."
        )


def _fit(size: tuple[int, int], box: tuple[int, int]) -> float:
    """Factor by which a size fits into a box."""
    return min(limit / side for side, limit in zip(size, box, strict=True))


def _resize(grid: Grid, scale: float) -> Grid:
    """The same ground with the sides in pixels multiplied by a factor."""
    if scale == 1:
        return grid
    width, height = (round(side * scale) for side in grid.size)
    check_size((width, height))
    return grid.resized((width, height))


def _without_far_ground(grid: Grid, other: Grid) -> Grid:
    """An image cropped to the footprint of another one and a margin, along axes where it is much longer.

    Images of about the same size are not cropped, even if they share only a strip.
    """
    box = footprint(other, grid)
    if box is None:
        return grid
    low, high = box
    size = np.array(grid.size)
    cropped = np.ceil((high - low) * (1 + 2 * _MARGIN)).astype(int)
    # at an edge of the file the window is moved inwards, not cut off
    first = np.clip(np.floor((low + high - cropped) / 2).astype(int), 0, np.maximum(size - cropped, 0))
    much_larger = size >= _MUCH_LARGER * (high - low)
    first, cropped = np.where(much_larger, first, 0), np.where(much_larger, np.minimum(cropped, size), size)
    if (cropped == size).all():
        return grid
    window = Window.from_corners(first, first + cropped)
    _LOG.info("%s is much larger than the other image: cropped to %s", grid.scene.path.name, window)
    return grid.cropped(window)


def _common_ground(grid: Grid, other: Grid) -> Grid:
    """An image cropped to its common ground with another one."""
    corners = common_corners(grid, other)
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    width, height = (int(side) for side in high - low)
    if min(width, height) < MIN_SIDE_PX:
        raise ImageSizeError(
            f"The common ground is {width} x {height} px of {grid.scene.path.name}: "
            f"each side must be {MIN_SIDE_PX} px or more."
        )
    return grid.cropped(Window.from_corners(low, high))


def _size_at_pixel_of(grid: Grid, reference: Grid) -> tuple[int, int]:
    """The size at which the pixels of an image are as large on the ground as those of a reference."""
    ratio = _pixel_ratio(grid, reference)
    width, height = (max(1, round(count * by)) for count, by in zip(grid.size, ratio, strict=True))
    return width, height


def _pixel_ratio(grid: Grid, reference: Grid) -> tuple[float, float]:
    """Width and height of a pixel of an image on the ground, relative to those of a pixel of a reference."""
    if grid.crs == reference.crs and _same_axes(grid, reference):
        # in units of the map: in metres, pixels in degrees would have another size in the middle of each image
        wanted, sides = _map_sides(reference), _map_sides(grid)
    else:
        wanted, sides = pixel_sides_m(reference, reference.transform), pixel_sides_m(grid, grid.transform)
    return sides[0] / wanted[0], sides[1] / wanted[1]


def _same_axes(grid: Grid, other: Grid) -> bool:
    """Whether the axes of two grids of the same CRS have the same directions."""
    axes, other_axes = (_steps(one) / np.linalg.norm(_steps(one), axis=1, keepdims=True) for one in (grid, other))
    return bool(np.allclose(axes, other_axes, atol=1e-6))


def _map_sides(grid: Grid) -> tuple[float, float]:
    """Width and height of a pixel in units of the map."""
    across, down = np.linalg.norm(_steps(grid), axis=1)
    return float(across), float(down)


def _steps(grid: Grid) -> NDArray[np.float64]:
    """(2, 2) vectors in map coordinates, (x, y): from a pixel to the next column, and to the next row."""
    assert grid.transform is not None
    return np.array([[grid.transform.a, grid.transform.d], [grid.transform.b, grid.transform.e]])
