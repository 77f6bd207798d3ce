"""Where the pixels of a corrected image come from: a map from the reference's pixels to those of a file to correct."""

import math
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.file_pixels import from_file, to_file
from s2match.core.footprint import outline
from s2match.core.georeference import comparable
from s2match.core.grid import Grid, HasGrid, georeferenced
from s2match.core.ground_axes import pixel_sides_m
from s2match.core.projection import apply_transform, full_turn
from s2match.errors import CorrectionError
from s2match.registration.model import Registration

# How far a model may move what it only should shift, pixels of the target's file.
_SHIFT_ALONE_PX = 0.01

# How far the edges of a file may lie from the target's, in the larger of their pixels: sizes are whole numbers.
_SAME_EDGE_PX = 1.0

# Decimals of the ratio of two pixel sizes that are more than rounding.
_DECIMALS = 6

_MORE_THAN_A_SHIFT = "--no_resample needs a pure translation, and this {} does more: leave it out."


@dataclass(frozen=True)
class OutputGrid:
    """The pixels of a corrected file.

    Attributes:
        grid: Their number, and where they lie.
        step_px: (x, y) pixels of the reference's file from one to the next.
    """

    grid: Grid
    step_px: tuple[float, float]


@dataclass(frozen=True)
class Correction:
    """What moves a target, and every file that shows the same ground, onto the reference.

    Attributes:
        reference: The image whose pixels the model takes, at the size it was matched at.
        target: The image whose pixels it gives, likewise.
        registration: The model.
        reference_file: Every pixel of the reference's file.
        target_file: Every pixel of the target's.
    """

    reference: HasGrid
    target: HasGrid
    registration: Registration
    reference_file: Grid
    target_file: Grid

    def lattice(self, source: Grid | None = None) -> OutputGrid:
        """The pixels of a corrected file.

        Args:
            source: Every pixel of the file, one that passes :func:`require_same_footprint`; None for the target.

        Returns:
            For the target the pixels of the reference's file. For another file the reference's extent in pixels of that
            file's size; the last row and column reach beyond it where whole pixels do not fit.
        """
        whole, target = self.reference_file, self.target_file
        if source is None:
            return OutputGrid(whole, (1.0, 1.0))
        ratio = np.ones(2)
        if comparable(whole, target):
            ratio = np.divide(pixel_sides_m(target, target.transform), pixel_sides_m(whole, whole.transform))
        onto = _onto_target(source, target)
        sides = np.array([math.hypot(onto.a, onto.d), math.hypot(onto.b, onto.e)])
        across, down = (float(step) for step in np.round(sides * ratio, _DECIMALS))
        width = math.ceil(whole.size[0] / across - 10**-_DECIMALS)
        height = math.ceil(whole.size[1] / down - 10**-_DECIMALS)
        transform = None if whole.transform is None else whole.transform @ Affine.scale(across, down)
        grid = replace(whole, size=(width, height), native_size=(width, height), transform=transform)
        return OutputGrid(grid, (across, down))

    def source_pixels(self, source: Grid, lattice: OutputGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry (N, 2) pixels (x, y) of a corrected file to pixels of the file it is made of, GDAL frame.

        Args:
            source: Every pixel of the target's file, or of one that passes :func:`require_same_footprint`.
            lattice: The pixels of the corrected file.
            xy: Positions.

        Returns:
            (N, 2) positions; they may lie outside of the file, and are not finite where a reference system ends.
        """
        matched = from_file(self.reference, xy * lattice.step_px)
        target_xy = to_file(self.target, self.registration.apply(matched))
        return apply_transform(~_onto_target(source, self.target_file), target_xy)

    def moved_transform(self, source: Grid) -> Affine:
        """The transform, in the reference's CRS, that puts a file in its place where the model only shifts it.

        Args:
            source: As for :meth:`source_pixels`.

        Raises:
            CorrectionError: The model does more than shift, or the reference has no georeference.
        """
        reference, target = self.reference_file, self.target_file
        if reference.transform is None:
            raise CorrectionError("--no_resample moves the georeference, and the reference has none: leave it out.")
        more = CorrectionError(_MORE_THAN_A_SHIFT.format(self.registration.model))
        if georeferenced(target) and target.crs != reference.crs:
            raise CorrectionError("--no_resample needs images of one reference system: leave it out.")
        if self.registration.field is not None:
            raise more
        placed = target.transform or reference.transform
        edge = outline(reference)
        said = apply_transform(placed, self.source_pixels(target, self.lattice(), edge))
        shifts = apply_transform(reference.transform, edge) - said
        shift = shifts.mean(axis=0)
        pixel = math.sqrt(abs(placed.determinant))
        if np.linalg.norm(shifts - shift, axis=1).max() > _SHIFT_ALONE_PX * pixel:
            raise more
        return Affine.translation(*shift) @ placed @ _onto_target(source, target)


def require_same_footprint(source: Grid, target: Grid) -> None:
    """Refuse a file that the correction of a target says nothing about.

    Args:
        source: Every pixel of the file.
        target: Every pixel of the target's file.

    Raises:
        CorrectionError: It has another reference system or shows other ground than the target; or, where one of them
            has no georeference, its size is not the target's, nor, where neither has one, a multiple or a part.
    """
    name = source.scene.path.name
    if georeferenced(source) and georeferenced(target):
        if source.crs != target.crs:
            raise CorrectionError(f"{name} has another reference system than the target: it cannot be moved with it.")
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        onto = _onto_target(source, target)
        off = apply_transform(onto, corners * source.size) - corners * target.size
        pixel = max(1.0, math.sqrt(abs(onto.determinant)))
        same = bool(np.abs(off).max() <= _SAME_EDGE_PX * pixel)
    elif georeferenced(source) or georeferenced(target):
        same = source.size == target.size
    else:
        (width, height), (across, down) = sorted([source.size, target.size])
        same = across % width == 0 and down % height == 0 and across * height == down * width
    if not same:
        raise CorrectionError(f"{name} does not have the footprint of the target: it cannot be moved with it.")


def _onto_target(source: Grid, target: Grid) -> Affine:
    """Pixels of a file with the target's footprint to pixels of the target's file."""
    if source.transform is not None and target.transform is not None:
        turn = full_turn(target.crs) or 0.0
        turns = round((target.transform.c - source.transform.c) / turn) if turn else 0
        onto: Affine = ~target.transform @ Affine.translation(turns * turn, 0) @ source.transform
        return onto
    return Affine.scale(target.size[0] / source.size[0], target.size[1] / source.size[1])
