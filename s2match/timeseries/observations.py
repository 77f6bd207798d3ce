"""Observations of a series: the shift between two of its images, with a covariance."""

from dataclasses import dataclass
from enum import StrEnum

from s2match.core.ground_axes import METRES


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
        shift: Mean over the common ground, (east, north) in metres; for images without georeference (right, down) in
            pixels of the files.
        covariance: 2×2 covariance of ``shift``, in squares of its unit.
        unit: Unit of ``shift``: "m", "px", or map units.
        pixel: Side of a pixel of the files in ``unit``.
        decision: The verdict of the pair, such as "already registered".
        model: Name of the model; empty without one.
        matches: Number of matches.
        inliers: Number of inliers.
        residual: Root mean square of the inliers' distances from the model, in ``unit``.
        seconds: Time that the pair took.
        encoded: Number of images whose features were computed for the pair: 0 to 2.
    """

    reference: int
    target: int
    status: PairStatus
    reason: str = ""
    shift: tuple[float, float] = (0.0, 0.0)
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    unit: str = METRES
    pixel: float = 1.0
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
