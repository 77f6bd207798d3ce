"""The grids two images are matched on: of one ground, at one pixel size where they know where they lie."""

import math
from dataclasses import replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.catalog import Scene
from s2match.errors import ImageSizeError, OptionError
from s2match.filepixels import whole_file
from s2match.georeference import common_corners, outline, pixel_sides_m, predict, require_overlap
from s2match.images import AS_FILES_SAY, Grid, Masking, Placed, ReadOptions, Window, georeferenced
from s2match.raster import MIN_SIDE_PX, check_size, measured, read_grid

# Of a target in another reference system, what lies further than this share of the reference's sides away is left out.
_BEYOND = 0.5

# Transforms that differ by less, in map units, differ by rounding.
_SAME = 1e-6


def grids_of(
    reference: Scene,
    target: Scene,
    size: tuple[int, int] | None,
    overlap_only: bool = False,
    options: ReadOptions = AS_FILES_SAY,
) -> tuple[Grid, Grid]:
    """The grids that two images are matched on.

    Images of one reference system are resampled along their own axes. A target of another one is put on the lattice of
    the reference's pixels, as far as it lies within or near it.

    Args:
        reference: Its image.
        target: Its image.
        size: Width and height of both; None for every pixel of the reference, and the target, where both are
            georeferenced, at the same pixel size on the ground.
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
    whole = measured(read_grid(reference), options), measured(read_grid(target), options)
    _check_offset(options, *whole)
    if not all(georeferenced(grid) for grid in whole):
        if overlap_only:
            raise OptionError("The overlap of two images is known only where both are georeferenced.")
        return _sized(whole[0], size), _sized(whole[1], size)
    require_overlap(*whole)
    grids = (_overlap(*whole), _overlap(*reversed(whole))) if overlap_only else whole
    if overlap_only and size is not None:
        size = _in_proportion(grids[0].size, math.prod(size))
    grid0, grid1 = _sized(grids[0], size), grids[1]
    if grid0.crs != grid1.crs or not _upright(grid0, grid1):
        return grid0, on_lattice(grid1, grid0)
    if overlap_only:
        return grid0, grid1.resized(grid0.size)
    return grid0, grid1.resized(size or _at_pixel_of(grid1, grid0))


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
    edge = predict(outline(grid), grid, reference)
    beyond = _BEYOND * np.array(reference.size)
    low = np.floor(np.maximum(edge.min(axis=0), -beyond)).astype(int)
    high = np.ceil(np.minimum(edge.max(axis=0), reference.size + beyond)).astype(int)
    transform = reference.transform @ Affine.translation(*low)
    width, height = (int(side) for side in high - low)
    source = _shrunk(grid, reference)
    on_it = Grid((width, height), transform, reference.crs, grid.native_size, grid.scene, grid.corner, source)
    return replace(on_it, radiometry=grid.radiometry)


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
        return replace(reference, scene=file.scene, masking=masking, radiometry=file.radiometry)
    return Grid(
        reference.size,
        reference.transform,
        reference.crs,
        file.native_size,
        file.scene,
        source=_shrunk(file, reference),
        masking=masking,
        radiometry=file.radiometry,
    )


def _shrunk(grid: Grid, reference: Placed) -> Grid:
    """A grid at about a reference's pixel size, but no finer than its file."""
    width, height = (min(n, most) for n, most in zip(_at_pixel_of(grid, reference), grid.native_size, strict=True))
    return grid.resized((width, height))


def _sized(grid: Grid, size: tuple[int, int] | None) -> Grid:
    return grid if size is None else grid.resized(size)


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


def _in_proportion(native: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The size of about so many pixels, in the proportions of a native size and no larger."""
    scale = min(1.0, math.sqrt(pixels / math.prod(native)))
    width, height = (max(MIN_SIDE_PX, round(side * scale)) for side in native)
    return width, height


def _at_pixel_of(grid: Grid, reference: Placed) -> tuple[int, int]:
    """The size at which pixels of an image are as large on the ground as those of a reference."""
    wanted, has = pixel_sides_m(reference, reference.transform), pixel_sides_m(grid, grid.transform)
    width, height = (max(1, round(n * h / w)) for n, h, w in zip(grid.size, has, wanted, strict=True))
    return width, height


def _upright(grid: Grid, other: Grid) -> bool:
    """Whether the axes of two grids of one reference system point the same way."""
    return bool(np.allclose(_axes(grid), _axes(other), atol=1e-6))


def _axes(grid: Grid) -> NDArray[np.float64]:
    """(2, 2) directions of a row and of a column."""
    assert grid.transform is not None
    steps = np.array([[grid.transform.a, grid.transform.d], [grid.transform.b, grid.transform.e]])
    return np.asarray(steps / np.linalg.norm(steps, axis=1, keepdims=True))
