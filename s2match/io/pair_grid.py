"""The grids two images are matched on: of one ground, at one pixel size where they know where they lie."""

import math
from dataclasses import replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.file_pixels import whole_file
from s2match.core.footprint import common_corners, footprint, require_overlap, share_ground
from s2match.core.georeference import comparable
from s2match.core.grid import Grid
from s2match.core.ground_axes import GroundAxes, pixel_sides_m
from s2match.core.image_size import MAX_SIDE_PX, MIN_SIDE_PX, check_size
from s2match.core.mask import Masking
from s2match.core.radiometry import AS_FILES_SAY, ReadOptions
from s2match.core.raster import HasGrid
from s2match.core.scene import Scene
from s2match.core.window import Window
from s2match.errors import ImageSizeError, OptionError
from s2match.io.reader import read_grid, with_radiometry

# Of a target in another reference system, what lies further than this share of the reference's sides away is left out.
_BEYOND = 0.5

# An image shows much more ground than another where a side of its footprint is so many times as long. What is kept of
# it then reaches beyond the other's footprint by this share of its sides: georeferences may be wrong.
_MUCH_LARGER, _AROUND = 1.5, 0.25

# Transforms that differ by less, in map units, differ by rounding.
_SAME = 1e-6


def grids_of(
    reference: Scene,
    target: Scene,
    size: tuple[int, int] | None,
    overlap_only: bool = False,
    options: ReadOptions = AS_FILES_SAY,
) -> tuple[Grid, Grid]:
    """The grids that two images are matched on: of one ground pixel size where both are georeferenced.

    Images of one reference system are resampled along their own axes. A target of another one is put on the lattice of
    the reference's pixels, as far as it lies within or near it. Where one image shows much more ground than the other,
    what lies far from the other's ground is left out. Proportions of files are kept.

    Args:
        reference: Its image.
        target: Its image.
        size: Width and height of the box that the reference is fitted into, pixels; the target gets the same ground
            pixel size, or is fitted into the box, too, where an image has no georeference. Both get larger where a side
            would be shorter than ``MIN_SIDE_PX``. None for every pixel of the reference.
        overlap_only: Leave out what only one of them shows. ``size`` then is how many pixels the common ground gets, in
            its own proportions and no more than the reference has.
        options: What is known of the numbers of both beside what the files say.

    Raises:
        ImageSizeError: ``size`` is out of range, or the common ground is too small.
        OptionError: ``overlap_only`` without a georeference, or an offset for images that do not have 16 bits.
        UnreadableImageError: A file is missing or is not an image.
        NoOverlapError: Two georeferenced images share no ground.
    """
    if size is not None:
        check_size(size)
    first, second = read_pair(reference, target)
    whole = with_radiometry(first, options), with_radiometry(second, options)
    _check_offset(options, *whole)
    if not comparable(*whole):
        if overlap_only:
            raise OptionError("The overlap of two images is known only where both are georeferenced.")
        return _fitted(whole[0], size), _fitted(whole[1], size)
    require_overlap(*whole)
    part = _overlap if overlap_only else _near
    grid0, grid1 = part(whole[0], whole[1]), part(whole[1], whole[0])
    if size is not None:
        grid0 = _scaled(grid0, _scale(grid0, grid1, size, overlap_only))
    if grid0.crs != grid1.crs or not _upright(grid0, grid1):
        return grid0, on_lattice(grid1, grid0)
    return grid0, grid1.resized(_at_pixel_of(grid1, grid0))


def read_pair(reference: Scene, target: Scene) -> tuple[Grid, Grid]:
    """The grids of every pixel of two images, with what has to be assumed to compare their georeferences.

    An image whose geotransform names no reference system is taken to be in the other's, where it then lies on the
    other's ground. Where neither names one, both are taken to be on one map, in units of it, if they overlap there.

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
        return _in_crs_of(second, first), second
    return (first, second) if second.crs is not None else (first, _in_crs_of(first, second))


def _in_crs_of(other: Grid, grid: Grid) -> Grid:
    """A grid without a CRS, in that of another one where it then lies on its ground; or a note."""
    assumed = replace(grid, crs=other.crs)
    assert other.crs is not None
    name = GroundAxes(other.crs).title
    if share_ground(assumed, other):
        return replace(assumed, notes=(*grid.notes, f"taken to be in {name}, as the other image is"))
    apart = f"in {name}, as the other image is, it would lie elsewhere: the pair is matched without georeference"
    return replace(grid, notes=(*grid.notes, apart))


def _check_offset(options: ReadOptions, *grids: Grid) -> None:
    """Refuse an offset where no image has use for it.

    Raises:
        OptionError: None of them is reflectance in 16 bits.
    """
    used = any(grid.radiometry is not None and grid.radiometry.offset_from == "option" for grid in grids)
    if options.offset is not None and not used:
        raise OptionError("The offset says which number of 16 bits means reflectance 0, and neither image has 16 bits.")


def on_lattice(grid: Grid, reference: Grid) -> Grid:
    """The part of an image that lies within or near a reference, on the lattice of the reference's pixels."""
    assert reference.transform is not None
    box = footprint(grid, reference)
    assert box is not None, "footprints that share no ground were refused"
    beyond = _BEYOND * np.array(reference.size)
    low = np.floor(np.maximum(box[0], -beyond)).astype(int)
    high = np.ceil(np.minimum(box[1], reference.size + beyond)).astype(int)
    transform = reference.transform @ Affine.translation(*low)
    width, height = (int(side) for side in high - low)
    source = _shrunk(grid, reference)
    on_it = Grid((width, height), transform, reference.crs, grid.native_size, grid.scene, grid.corner, source)
    return replace(on_it, radiometry=grid.radiometry, notes=grid.notes)


def resampled_onto(reference: Grid, file: Grid, masking: Masking) -> Grid:
    """The pixels of a reference, filled from another file where its georeference puts it.

    Args:
        reference: Georeferenced.
        file: Every pixel of a georeferenced file.
        masking: Where not to match.
    """
    own = whole_file(reference)
    assert own.transform is not None and file.transform is not None
    if (own.size, own.crs) == (file.size, file.crs) and own.transform.almost_equals(file.transform, _SAME):
        return replace(reference, scene=file.scene, masking=masking, radiometry=file.radiometry, notes=file.notes)
    return Grid(
        reference.size,
        reference.transform,
        reference.crs,
        file.native_size,
        file.scene,
        source=_shrunk(file, reference),
        masking=masking,
        radiometry=file.radiometry,
        notes=file.notes,
    )


def _shrunk(grid: Grid, reference: HasGrid) -> Grid:
    """A grid at about a reference's pixel size, but no finer than its file."""
    width, height = (min(n, most) for n, most in zip(_at_pixel_of(grid, reference), grid.native_size, strict=True))
    return grid.resized((width, height))


def _fitted(grid: Grid, size: tuple[int, int] | None) -> Grid:
    """A grid that fits into a box, in its own proportions; as it is without one."""
    return grid if size is None else _scaled(grid, max(_fit(grid.size, size), MIN_SIDE_PX / min(grid.size)))


def _scale(grid: Grid, other: Grid, size: tuple[int, int], by_count: bool) -> float:
    """Factor for the sides of a grid: it fits into a box, and no side of it or the other gets too short to match.

    Args:
        grid: Every pixel of the reference that is matched.
        other: Of the target.
        size: Width and height of the box.
        by_count: The grid gets as many pixels as the box has instead, and no more than it has now.
    """
    scale = min(1.0, math.sqrt(math.prod(size) / math.prod(grid.size))) if by_count else _fit(grid.size, size)
    shortest = min(*grid.size, *_at_pixel_of(other, grid))
    needed = max(scale, MIN_SIDE_PX / shortest)
    if needed > scale and max(grid.size) * needed > MAX_SIDE_PX:
        raise ImageSizeError(
            f"{other.scene.path.name} is {shortest} px wide at the pixel size of {grid.scene.path.name}, and "
            f"{MIN_SIDE_PX} px are needed: with pixels that small the other image would be too large to match."
        )
    return needed


def _fit(size: tuple[int, int], box: tuple[int, int]) -> float:
    """Factor that makes a size fit into a box."""
    return min(most / side for side, most in zip(size, box, strict=True))


def _scaled(grid: Grid, scale: float) -> Grid:
    """The same ground with so many times as many pixels along each side."""
    width, height = (round(side * scale) for side in grid.size)
    check_size((width, height))
    return grid.resized((width, height))


def _near(grid: Grid, other: Grid) -> Grid:
    """The pixels of a file without what lies far from another's ground, along axes where it shows much more ground.

    Footprints of about one size are left as they are, though they share no more than a strip.
    """
    box = footprint(other, grid)
    if box is None:
        return grid
    low, high = box
    size = np.array(grid.size)
    kept = np.ceil((high - low) * (1 + 2 * _AROUND)).astype(int)
    # at the edge of the file there is as much of it, on the other side
    first = np.clip(np.floor((low + high - kept) / 2).astype(int), 0, np.maximum(size - kept, 0))
    much = size >= _MUCH_LARGER * (high - low)
    first, kept = np.where(much, first, 0), np.where(much, np.minimum(kept, size), size)
    if (kept == size).all():
        return grid
    return grid.cropped(Window(int(first[0]), int(first[1]), int(kept[0]), int(kept[1])))


def _overlap(grid: Grid, other: Grid) -> Grid:
    """The pixels of a file that show ground that another one shows, too."""
    corners = common_corners(grid, other)
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    width, height = (int(side) for side in high - low)
    if min(width, height) < MIN_SIDE_PX:
        raise ImageSizeError(
            f"The common ground is {width} x {height} px of {grid.scene.path.name}: "
            f"each side must be {MIN_SIDE_PX} px or more."
        )
    return grid.cropped(Window(int(low[0]), int(low[1]), width, height))


def _at_pixel_of(grid: Grid, reference: HasGrid) -> tuple[int, int]:
    """The size at which pixels of an image are as large on the ground as those of a reference."""
    if grid.crs == reference.crs and _upright(grid, reference):
        # in map units: those of degrees are as long on the ground of both images only where they overlap
        wanted, has = _map_sides(reference), _map_sides(grid)
    else:
        wanted, has = pixel_sides_m(reference, reference.transform), pixel_sides_m(grid, grid.transform)
    width, height = (max(1, round(n * h / w)) for n, h, w in zip(grid.size, has, wanted, strict=True))
    return width, height


def _upright(grid: HasGrid, other: HasGrid) -> bool:
    """Whether the axes of two grids of one reference system point the same way."""
    axes, others = (_steps(one) / np.linalg.norm(_steps(one), axis=1, keepdims=True) for one in (grid, other))
    return bool(np.allclose(axes, others, atol=1e-6))


def _map_sides(grid: HasGrid) -> tuple[float, float]:
    """Width and height of a pixel in units of the map."""
    across, down = np.linalg.norm(_steps(grid), axis=1)
    return float(across), float(down)


def _steps(grid: HasGrid) -> NDArray[np.float64]:
    """(2, 2) steps on the map, (x, y), to the next column and to the next row."""
    assert grid.transform is not None
    return np.array([[grid.transform.a, grid.transform.d], [grid.transform.b, grid.transform.e]])
