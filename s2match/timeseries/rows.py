"""The results of a series as rows: one for each image, and one for each pair."""

from dataclasses import dataclass
from enum import StrEnum

from s2match.registration.verdict import Decision


class DateStatus(StrEnum):
    """What became of an image; the values are stable."""

    PLACED = "placed"
    SEPARATE = "separate"
    NOT_SEEN = "not_seen"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class DateRow:
    """An image of the series.

    Lengths ending in ``_m`` are metres east (dx) and north (dy). Those ending in ``_px`` are pixels of the file, to the
    right and down. Those in metres are None for images without georeference. All are None if the image is not placed.

    Attributes:
        index: Index of the image.
        file: Name of the file.
        date: Sensing date, YYYY-MM-DD.
        tile: Sentinel-2 tile.
        platform: ``"S2A"`` and so on.
        relative_orbit: 1 to 143.
        processing_baseline: Such as ``"02.06"``.
        clear_share: Fraction of the image that is valid and not saturated cloud.
        pairs: Number of its pairs that are kept.
        points: Number of inliers in these pairs.
        dx_m: Georeferencing error to the east: where the image shows the ground, minus where it is.
        dy_m: The same to the north.
        dx_px: The same to the right.
        dy_px: The same down.
        dx_std_m: Standard error of ``dx_m``.
        dy_std_m: Standard error of ``dy_m``.
        dx_std_px: Standard error of ``dx_px``.
        dy_std_px: Standard error of ``dy_px``.
        dxdy_correlation: Correlation of the errors of ``dx_m`` and ``dy_m``.
        residual_m: Root mean square of the residuals of its kept pairs; in pixels without georeference.
        component: Number of the part of the graph that the image belongs to, 0 for the largest.
        status: What became of the image.
        reason: Why it is not placed; empty if it is.
        verdict: What to do with it, by the rule of a pair: its georeference is corrected if it is to be registered, and
            stays as it is otherwise. None if it is not placed.
    """

    index: int
    file: str
    date: str | None
    tile: str | None
    platform: str | None
    relative_orbit: int | None
    processing_baseline: str | None
    clear_share: float | None
    pairs: int
    points: int
    dx_m: float | None
    dy_m: float | None
    dx_px: float | None
    dy_px: float | None
    dx_std_m: float | None
    dy_std_m: float | None
    dx_std_px: float | None
    dy_std_px: float | None
    dxdy_correlation: float | None
    residual_m: float | None
    component: int | None
    status: DateStatus
    reason: str
    verdict: Decision | None


@dataclass(frozen=True)
class PairRow:
    """A pair of the series.

    Attributes:
        reference: Index of the reference.
        target: Index of the target.
        reference_date: Its date, YYYY-MM-DD.
        target_date: Date of the target.
        days_apart: Days between the dates.
        same_orbit: Whether both were sensed on one relative orbit; None if unknown.
        overlap: Fraction of the smaller footprint that both images show.
        dx_m: Shift of the target against the reference to the east; in pixels to the right without georeference.
        dy_m: The same to the north; in pixels down without georeference.
        dx_std_m: Standard error of ``dx_m``.
        dy_std_m: Standard error of ``dy_m``.
        points: Number of inliers.
        weight: Weight in the adjustment, 0 to 1; 0 if the pair is rejected.
        residual_m: Length of the measured minus the adjusted shift.
        left_out_m: Length of the measured shift minus that by all other pairs; None if no others connect the two.
        worst_closure_m: Largest closure of a triangle with this pair; None if there is no triangle.
        status: "kept", "rejected", "no_evidence" or "failed".
        reason: Why it is not kept; empty if it is.
    """

    reference: int
    target: int
    reference_date: str | None
    target_date: str | None
    days_apart: int | None
    same_orbit: bool | None
    overlap: float
    dx_m: float | None
    dy_m: float | None
    dx_std_m: float | None
    dy_std_m: float | None
    points: int
    weight: float | None
    residual_m: float | None
    left_out_m: float | None
    worst_closure_m: float | None
    status: str
    reason: str
