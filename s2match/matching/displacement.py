"""A smooth map between two images by correlation, refined round by round.

The affine model of the network's matches is within a few pixels of the truth. In each round the target is resampled by
the map of the round before, shifts are measured in windows all over the reference, and a smooth field is fitted to
them. So the last shifts are close to 0, where a parabola through a peak has no bias.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage
from s2match.core.point_maps import PointMap
from s2match.matching.cell_correlation import CELL_PX, CellProducts, LocalShifts, correlate, distinct_shifts
from s2match.matching.orientations import FinePixels, Orientations, fine_pixels, orientations, warped
from s2match.registration.bspline_field import Observations, fit_by_evidence
from s2match.registration.model import apply_matrix

# Images whose sides are all this long are first compared at half of their resolution.
_HALVED_SIDE_PX = 256

# Radius of the shifts of the first round, at half or at full resolution, and of the others. A peak lies at least two
# shifts from the edge.
_HALF_RADIUS_PX, _FIRST_RADIUS_PX, _RADIUS_PX = 4, 8, 4

# Standard deviations of the windows in cells: the narrowest has the weight of a Hann window of 64 px.
_HALF_SIGMAS = (1.0, 1.6, 2.5, 3.5)
SIGMAS = (1.6, 2.5, 3.5, 5.0, 7.0)

# Least prominence of the peaks that the field is fitted to.
_PROMINENCE = 2.0

# Cells between the windows that the field is fitted to.
_STRIDE = 4

# Most rounds at full resolution, and the largest change (RMS) of the map after which it has converged.
_ROUNDS, _CONVERGED_PX = 4, 0.02

# Standard deviation of errors that a window's scatter does not show.
_LEAST_DEVIATION_PX = 0.05

# Fewest shifts that a field is fitted to.
_FEWEST = 8

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Aligned:
    """Two images, compared after the target is resampled by a map.

    Attributes:
        map_points: (N, 2) reference pixels (x, y) to target pixels, GDAL frame.
        linear: 2×2, steps (x, y) in the reference to steps in the target.
        products: Products of the reference with the target, resampled by the map.
    """

    map_points: PointMap
    linear: NDArray[np.float64]
    products: CellProducts

    def target_xy(self, xy: NDArray[np.float64], shifts: LocalShifts) -> NDArray[np.float64]:
        """(N, 2) target pixels of reference pixels (N, 2) with the shifts measured there."""
        return np.asarray(self.map_points(xy) + shifts.shift_px @ self.linear.T)


def align(images: tuple[GreyImage, GreyImage], start: NDArray[np.float64]) -> Aligned:
    """Align two images by correlation.

    Args:
        images: Reference and target.
        start: 3×3 affine map from reference to target pixels, GDAL frame, within about 4 px of the truth.
    """
    linear, map_points = start[:2, :2], _affine_map(start)
    if min(*images[0].valid.shape, *images[1].valid.shape) >= _HALVED_SIDE_PX:
        halves = _half(images[0]), _half(images[1])
        scale = np.diag([0.5, 0.5, 1.0])
        halved = _round(
            (orientations(halves[0]), fine_pixels(halves[1])),
            _affine_map(scale @ start @ np.linalg.inv(scale)),
            linear,
            _HALF_RADIUS_PX,
        )
        map_points = _refit(halved, start, _HALF_SIGMAS, 2.0) or map_points
        radius = _RADIUS_PX
    else:
        radius = _FIRST_RADIUS_PX
    pixels = orientations(images[0]), fine_pixels(images[1])
    samples = _cell_centres(_strided(images[0].valid.shape))
    for number in range(_ROUNDS):
        aligned = _round(pixels, map_points, linear, radius)
        refitted = _refit(aligned, start, SIGMAS, 1.0) if number < _ROUNDS - 1 else None
        if refitted is None:
            break
        change_px = float(np.sqrt(np.square(refitted(samples) - map_points(samples)).sum(axis=1).mean()))
        _LOG.debug("round %d: the map changes by %.3f px", number + 1, change_px)
        if change_px < _CONVERGED_PX:
            break
        map_points, radius = refitted, _RADIUS_PX
    return aligned


def _round(
    pixels: tuple[Orientations, FinePixels], map_points: PointMap, linear: NDArray[np.float64], radius: int
) -> Aligned:
    """Resample the target by a map, and compare it with the reference."""
    height, width = pixels[0].valid.shape
    return Aligned(map_points, linear, correlate(pixels[0], warped(pixels[1], map_points, (width, height), radius)))


def _refit(aligned: Aligned, start: NDArray[np.float64], sigmas: tuple[float, ...], pixel_px: float) -> PointMap | None:
    """The map by a smooth field fitted to the shifts of a round; None if there are too few shifts.

    Args:
        aligned: The round.
        start: 3×3 affine part of the field, in pixels of the full resolution.
        sigmas: Standard deviations of the windows, in cells.
        pixel_px: Side of a pixel of the round, in pixels of the full resolution.
    """
    rows, columns = aligned.products.shape
    stride = min(1 if pixel_px > 1 else _STRIDE, max(1, min(rows, columns) // 8))
    cells = _strided((rows * CELL_PX, columns * CELL_PX), stride)
    shifts = distinct_shifts(aligned.products, cells, sigmas, _PROMINENCE)
    if len(shifts) < _FEWEST:
        return None
    xy = _cell_centres(shifts.cells)
    xy1 = aligned.target_xy(xy, replace(shifts, shift_px=_unlocked(shifts.shift_px)))
    variance = np.trace(shifts.covariance_px2, axis1=1, axis2=2) / 2 + _LEAST_DEVIATION_PX**2
    # neighbouring windows share cells
    overlap = np.maximum(4 * np.pi * shifts.sigma_cells**2 / stride**2, 1)
    points = Observations(xy * pixel_px, xy1 * pixel_px, 1 / (variance * pixel_px**2 * overlap))
    field = fit_by_evidence(points, start)
    return field.apply


def _unlocked(shift_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shifts of peaks that are triangles, from the shifts (N, 2) of parabolas through them.

    The peak of sharp features is nearly a triangle. A parabola through the three highest points of a triangle with its
    apex at d, up to half a pixel, has its vertex at d / (2 - 2 |d|): at half of d where d is small. So the map would
    take many rounds to arrive.
    """
    whole = np.rint(shift_px)
    vertex = shift_px - whole
    return np.asarray(whole + 2 * vertex / (1 + 2 * np.abs(vertex)))


def _strided(shape: tuple[int, ...], stride: int = _STRIDE) -> NDArray[np.intp]:
    """(N, 2) rows and columns of every ``stride``-th cell of an image of a shape (H, W)."""
    rows, columns = (np.arange((side // CELL_PX % stride) // 2, side // CELL_PX, stride) for side in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def _cell_centres(cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """(N, 2) centres (x, y) of cells (row, column), pixels of the reference."""
    return np.asarray((cells[:, ::-1] + 0.5) * CELL_PX)


def _affine_map(matrix: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda xy: apply_matrix(matrix, xy)


def _half(image: GreyImage) -> GreyImage:
    """An image at half of its resolution; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in image.valid.shape)
    size = width // 2, height // 2
    grey = cv2.resize(image.grey[:height, :width], size, interpolation=cv2.INTER_AREA)
    valid = cv2.resize(image.valid[:height, :width].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return replace(image, grey=grey, valid=valid > 1 - 1e-6)
