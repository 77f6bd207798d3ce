"""The map from pixels of a corrected file to pixels of the file that it is resampled from."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.footprint import outline
from s2match.core.georeference import comparable
from s2match.core.grid import Grid
from s2match.core.ground_axes import pixel_sides_m
from s2match.core.point_maps import grid_points, jacobian
from s2match.core.projection import apply_transform, full_turn
from s2match.core.window import Window
from s2match.errors import CorrectionError
from s2match.registration.file_model import FileModel

# Largest deviation of a model from a pure translation, pixels of the target's file.
_TRANSLATION_TOLERANCE_PX = 0.01

# Largest distance between the edges of two files of one footprint, in the larger of their pixels: sizes are whole
# numbers.
_SAME_EDGE_PX = 1.0

# Decimals of the ratio of two pixel sizes; further ones are rounding.
_RATIO_DECIMALS = 6

# Spacing of the pixels at which a model is evaluated; positions between them are interpolated linearly.
_KNOT_PX = 4

# Positions that differ by less are the same.
_ROUNDING_PX = 1e-9

# A source with less than so many pixels per output pixel is not averaged.
_SMALLEST_STRETCH = 1.1

# Kernels are not widened more than this: no image has pixels so much larger than those of another one.
_LARGEST_STRETCH = 1000.0

_MORE_THAN_A_SHIFT = "--no_resample needs a pure translation, and this {} does more: leave it out."


@dataclass(frozen=True)
class OutputGrid:
    """The pixels of a corrected file.

    Attributes:
        grid: Their number and georeference.
        step_px: Their spacing along x and y, in pixels of the reference's file.
    """

    grid: Grid
    step_px: tuple[float, float]


def output_grid(model: FileModel, source: Grid | None = None) -> OutputGrid:
    """The pixels of a corrected file.

    Args:
        model: The model of the pair.
        source: Every pixel of the file, one that passes :func:`require_same_footprint`; None for the target.

    Returns:
        For the target the pixels of the reference's file. For another file the reference's extent in pixels of that
        file's size; the last row and column reach beyond it where whole pixels do not fit.
    """
    whole, target = model.reference, model.target
    if source is None:
        return OutputGrid(whole, (1.0, 1.0))
    ratio = np.ones(2)
    if comparable(whole, target):
        ratio = np.divide(pixel_sides_m(target, target.transform), pixel_sides_m(whole, whole.transform))
    scale = to_target(source, target)
    sides = np.array([math.hypot(scale.a, scale.d), math.hypot(scale.b, scale.e)])
    across, down = (float(step) for step in np.round(sides * ratio, _RATIO_DECIMALS))
    width = math.ceil(whole.size[0] / across - 10**-_RATIO_DECIMALS)
    height = math.ceil(whole.size[1] / down - 10**-_RATIO_DECIMALS)
    transform = None if whole.transform is None else whole.transform @ Affine.scale(across, down)
    grid = replace(whole, size=(width, height), native_size=(width, height), transform=transform)
    return OutputGrid(grid, (across, down))


def moved_transform(model: FileModel, source: Grid) -> Affine:
    """The transform, in the reference's CRS, that corrects a file without resampling it.

    Args:
        model: The model of the pair.
        source: Every pixel of the target's file, or of one that passes :func:`require_same_footprint`.

    Raises:
        CorrectionError: The model is not a translation, or the reference has no georeference.
    """
    reference, target = model.reference, model.target
    if reference.transform is None:
        raise CorrectionError("--no_resample moves the georeference, and the reference has none: leave it out.")
    not_a_shift = CorrectionError(_MORE_THAN_A_SHIFT.format(model.name))
    if model.file_px is None or (target.georeferenced and target.crs != reference.crs):
        raise CorrectionError("--no_resample needs images of the same reference system: leave it out.")
    if model.file_px.control is not None:
        raise not_a_shift
    placed = target.transform or reference.transform
    edge = outline(reference)
    before = apply_transform(placed, model.apply(edge))
    shifts = apply_transform(reference.transform, edge) - before
    shift = shifts.mean(axis=0)
    pixel = math.sqrt(abs(placed.determinant))
    if np.linalg.norm(shifts - shift, axis=1).max() > _TRANSLATION_TOLERANCE_PX * pixel:
        raise not_a_shift
    return Affine.translation(*shift) @ placed @ to_target(source, target)


@dataclass(frozen=True)
class PixelMap:
    """The map from pixels of a corrected file to pixels of its source, both in the GDAL frame.

    Attributes:
        model: The model of the pair.
        source: Every pixel of the target's file, or of one that passes :func:`require_same_footprint`.
        output: The pixels of the corrected file.
    """

    model: FileModel
    source: Grid
    output: OutputGrid

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map positions in the corrected file to positions in its source.

        Args:
            xy: (N, 2) positions (x, y).

        Returns:
            (N, 2) positions (x, y); they may lie outside of the file, and are not finite outside the valid area of a
            CRS.
        """
        target_xy = self.model.apply(xy * self.output.step_px)
        return apply_transform(~to_target(self.source, self.model.target), target_xy)

    def positions(self, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions in the source of the centres of a window's pixels.

        Args:
            window: The window, in pixels of the corrected file.

        Returns:
            x and y of H×W pixels: H×W, but 1×W if all rows have the same x, and H×1 if all columns have the same y.
        """
        knots = [np.arange(0, side + _KNOT_PX, _KNOT_PX, dtype=float) for side in (window.width, window.height)]
        xy = grid_points(knots[0] + window.x, knots[1] + window.y)
        mapped = self.apply(xy).reshape(len(knots[1]), len(knots[0]), 2)
        x, y = mapped[..., 0], mapped[..., 1]
        with np.errstate(invalid="ignore"):
            if np.ptp(x, axis=0).max() < _ROUNDING_PX and np.ptp(y, axis=1).max() < _ROUNDING_PX:
                return _interpolate(x[:1].T, window.width).T, _interpolate(y[:, :1], window.height)
            x, y = (_interpolate(_interpolate(at, window.height).T, window.width).T for at in (x, y))
        return x, y

    @cached_property
    def stretch(self) -> tuple[float, float]:
        """Pixels of the source per pixel of the corrected file, along x and y, in its middle; at least 1.

        Raises:
            CorrectionError: There are so many that the model cannot be one of this file.
        """
        sides = np.hypot(*jacobian(self.apply, np.array([self.output.grid.size]) / 2)[0].T)
        if not np.isfinite(sides).all():
            return 1.0, 1.0
        if sides.max() > _LARGEST_STRETCH:
            raise CorrectionError(
                f"{self.source.scene.path.name} cannot be corrected: by the model a pixel would be {sides.max():.3g} "
                "pixels of the file."
            )
        along_x, along_y = (float(side) if side > _SMALLEST_STRETCH else 1.0 for side in sides)
        return along_x, along_y


def require_same_footprint(source: Grid, target: Grid) -> None:
    """Refuse a file that does not have the footprint of the target.

    Args:
        source: Every pixel of the file.
        target: Every pixel of the target's file.

    Raises:
        CorrectionError: Its reference system or footprint differs from that of the target. If one of them has no
            georeference, the sizes must be equal. If neither has one, the sizes must be equal up to a whole factor.
    """
    name = source.scene.path.name
    if source.georeferenced and target.georeferenced:
        if source.crs != target.crs:
            raise CorrectionError(
                f"{name} has another reference system than the target and cannot be corrected with it."
            )
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        onto_target = to_target(source, target)
        off = apply_transform(onto_target, corners * source.size) - corners * target.size
        pixel = max(1.0, math.sqrt(abs(onto_target.determinant)))
        same = bool(np.abs(off).max() <= _SAME_EDGE_PX * pixel)
    elif source.georeferenced or target.georeferenced:
        same = source.size == target.size
    else:
        (width, height), (across, down) = sorted([source.size, target.size])
        same = across % width == 0 and down % height == 0 and across * height == down * width
    if not same:
        raise CorrectionError(f"{name} does not have the footprint of the target and cannot be corrected with it.")


def to_target(source: Grid, target: Grid) -> Affine:
    """Affine map from pixels of a file with the target's footprint to pixels of the target's file."""
    if source.transform is not None and target.transform is not None:
        turn = full_turn(target.crs) or 0.0
        turns = round((target.transform.c - source.transform.c) / turn) if turn else 0
        onto: Affine = ~target.transform @ Affine.translation(turns * turn, 0) @ source.transform
        return onto
    return Affine.scale(target.size[0] / source.size[0], target.size[1] / source.size[1])


def _interpolate(knots: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Values at the centres of ``size`` pixels along the first axis, linear between those at the knots."""
    position = (np.arange(size) + 0.5) / _KNOT_PX
    first = position.astype(np.intp)
    part = (position - first)[:, None]
    return np.asarray(knots[first] * (1 - part) + knots[first + 1] * part)
