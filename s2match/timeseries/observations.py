"""Observations of a series: the shift between two of its images, with a covariance."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from s2match.core.ground_axes import METRES
from s2match.core.ground_errors import ground_errors
from s2match.registration.model import Registration
from s2match.registration.uncertainty import covariance_px2
from s2match.registration.verdict import NORMAL_975, displacement_over
from s2match.result import PairResult

# Most inliers at which a model is evaluated.
_SAMPLES = 2000


class PairStatus(StrEnum):
    """What became of a pair; the values are stable."""

    MEASURED = "measured"
    NO_EVIDENCE = "no_evidence"
    FAILED = "failed"


@dataclass(frozen=True)
class PairObservation:
    """The shift of a target against a reference: its georeferencing error minus that of the reference.

    All values are plain numbers and text: an observation is picklable, and its fields are JSON.

    Attributes:
        reference: Index of the reference in the series.
        target: Index of the target.
        status: Whether the shift was measured.
        reason: Why it was not; empty if it was.
        shift: Mean of the model at its inliers, (east, north) in metres; for images without georeference (right, down)
            in pixels of the files.
        covariance: 2×2 covariance of ``shift``, in squares of its unit.
        unit: Unit of ``shift``: "m", "px", or map units.
        pixel: Side of a pixel of the files in ``unit``.
        matched_pixel: Side of a pixel at the size that the pair was matched at, likewise.
        decision: The verdict of the pair, such as "already registered".
        model: Name of the model; empty without one.
        matches: Number of matches.
        inliers: Number of inliers.
        residual: Root mean square of the inliers' distances from the model, in ``unit``.
        seconds: Time that the pair took.
        encoded: Number of images whose features were computed for the pair; 0 if all were kept from
            other pairs.
    """

    reference: int
    target: int
    status: PairStatus
    reason: str = ""
    shift: tuple[float, float] = (0.0, 0.0)
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    unit: str = METRES
    pixel: float = 1.0
    matched_pixel: float = 1.0
    decision: str = ""
    model: str = ""
    matches: int = 0
    inliers: int = 0
    residual: float = 0.0
    seconds: float = 0.0
    encoded: int = 0

    @property
    def measured(self) -> bool:
        """Whether there is a shift."""
        return self.status is PairStatus.MEASURED


def observe(result: PairResult, reference: int, target: int) -> PairObservation:
    """The observation of a matched pair.

    The model is evaluated at its inliers, where it is most certain: the common ground of a pair under cloud is larger
    than what both images show.

    Args:
        result: The pair.
        reference: Index of its reference in the series.
        target: Index of its target.
    """
    registration = result.registration
    matches = len(result.matches)
    if registration is None:
        reason = "no model" if result.refusal is None else result.refusal.cause
        return PairObservation(reference, target, PairStatus.NO_EVIDENCE, reason, matches=matches)
    xy = result.matches.xy0[registration.inliers]
    xy = xy[:: math.ceil(len(xy) / _SAMPLES)]
    displacement = displacement_over(result.reference, result.target, result.matches, registration, xy)
    if displacement is None:
        reason = "the images have no common georeference and not the same size"
        return PairObservation(reference, target, PairStatus.FAILED, reason, matches=matches)
    along_axes = _covariance(result, registration, xy.mean(axis=0))
    variance = (displacement.shift_error / NORMAL_975) ** 2
    covariance = (along_axes * (2 * variance / np.trace(along_axes))).tolist()
    matched_pixel = displacement.native_pixel * result.target.native_size[0] / result.target.size[0]
    return PairObservation(
        reference,
        target,
        PairStatus.MEASURED,
        shift=displacement.shift,
        covariance=(tuple(covariance[0]), tuple(covariance[1])),
        unit=displacement.unit,
        pixel=displacement.native_pixel,
        matched_pixel=matched_pixel,
        decision=str(result.verdict.decision),
        model=registration.model,
        matches=matches,
        inliers=int(registration.inliers.sum()),
        residual=float(np.sqrt(np.mean(registration.residual_px[registration.inliers] ** 2))) * matched_pixel,
    )


def _covariance(result: PairResult, registration: Registration, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """2×2 covariance of the model at a point (x, y) of the reference, along the axes of the shift."""
    covariance = covariance_px2(registration, result.matches, xy[None])[0]
    steps = registration.apply(xy[None]) + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    errors = ground_errors(result.reference, result.target, np.repeat(xy[None], 3, axis=0), steps)
    if errors is None:
        return np.asarray(covariance)
    origin, right, down = np.stack([errors.east_m, errors.north_m], axis=1)
    axes = np.stack([right - origin, down - origin], axis=1)
    return np.asarray(axes @ covariance @ axes.T)
