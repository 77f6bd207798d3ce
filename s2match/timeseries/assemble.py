"""From observations of pairs to the result of a series: adjustment, closure, and a row for each image and pair."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.ground_axes import METRES, map_step
from s2match.timeseries.adjustment import Adjustment, adjust
from s2match.timeseries.choices import Datum
from s2match.timeseries.closure import Closure, closure_of
from s2match.timeseries.date_verdict import date_verdict
from s2match.timeseries.group_terms import group_terms
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import PlannedPair
from s2match.timeseries.quick_looks import QuickLook
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, DateStatus, PairRow

# Days after which a satellite, or the other one of its kind, passes on the same orbit.
_REPEAT_DAYS = 5

# Length of the steps on the ground that are measured in pixels.
_STEP_M = 100.0


@dataclass(frozen=True)
class MatchedSeries:
    """A series whose pairs are matched.

    Attributes:
        images: The images.
        quick_looks: Quick look of each image, or the reason why it cannot be read.
        plan: The pairs.
        observations: The observation of each pair, in the order of the plan.
    """

    images: tuple[SeriesImage, ...]
    quick_looks: tuple[QuickLook | str, ...]
    plan: tuple[PlannedPair, ...]
    observations: tuple[PairObservation, ...]


def assemble(series: MatchedSeries, options: SeriesOptions, seconds: float) -> SeriesResult:
    """Adjust the shifts of a series, and describe its images and pairs.

    Args:
        series: The series.
        options: The options, with the index of the reference image.
        seconds: Time that matching took.
    """
    unit, pixel = _unit(series.observations)
    observations = tuple(_in_unit(observation, unit) for observation in series.observations)
    adjustment = adjust(len(series.images), observations, options.datum, options.reference)
    closure = closure_of(observations, adjustment.weights)
    matched = replace(series, observations=observations)
    return SeriesResult(
        images=series.images,
        quick_looks=series.quick_looks,
        plan=series.plan,
        observations=observations,
        adjustment=adjustment,
        closure=closure,
        group_terms=group_terms(series.images, adjustment.shifts, adjustment.covariance),
        dates=tuple(_date_row(matched, adjustment, image, options.datum) for image in series.images),
        pairs=tuple(_pair_row(matched, adjustment, closure, number) for number in range(len(series.plan))),
        unit=unit,
        pixel=pixel,
        options=options,
        seconds=seconds,
    )


def _unit(observations: Sequence[PairObservation]) -> tuple[str, float]:
    """The unit of most observations, and the median side of a pixel of the files in it."""
    units = Counter(observation.unit for observation in observations if observation.measured)
    if not units:
        return METRES, 1.0
    unit = max(sorted(units), key=units.__getitem__)
    return unit, float(np.median([o.pixel for o in observations if o.measured and o.unit == unit]))


def _in_unit(observation: PairObservation, unit: str) -> PairObservation:
    """The observation, as failed if it is in another unit than the series."""
    if not observation.measured or observation.unit == unit:
        return observation
    reason = f"the shift is in {observation.unit}, and those of most pairs are in {unit}"
    return replace(observation, status=PairStatus.FAILED, reason=reason)


def _date_row(series: MatchedSeries, adjustment: Adjustment, image: SeriesImage, datum: Datum) -> DateRow:
    """The row of an image."""
    index = image.index
    look = series.quick_looks[index]
    own = [k for k, pair in enumerate(series.plan) if index in (pair.reference, pair.target)]
    kept = [k for k in own if adjustment.weights[k] > 0]
    residuals = adjustment.residuals[kept]
    component = int(adjustment.components[index])
    status, reason = _date_status(series, component, image, own, datum)
    row = DateRow(
        index=index,
        file=image.scene.path.name,
        date=image.date,
        tile=image.tile,
        platform=image.platform,
        relative_orbit=image.relative_orbit,
        processing_baseline=image.baseline,
        clear_share=None if isinstance(look, str) else look.clear_share,
        pairs=len(kept),
        points=sum(series.observations[k].inliers for k in kept),
        dx_m=None,
        dy_m=None,
        dx_px=None,
        dy_px=None,
        dx_std_m=None,
        dy_std_m=None,
        dx_std_px=None,
        dy_std_px=None,
        dxdy_correlation=None,
        residual_m=_rms(residuals),
        component=None if component < 0 else component,
        status=status,
        reason=reason,
        verdict=None,
    )
    if component < 0 or isinstance(look, str):
        return row
    shift, covariance = adjustment.shifts[index], adjustment.covariance[index]
    to_pixels = _pixels_per_metre(look.grid) if look.grid.georeferenced else np.eye(2)
    covariance_px2 = to_pixels @ covariance @ to_pixels.T
    if status is DateStatus.PLACED:
        pairs = [series.observations[k] for k in kept]
        row = replace(row, verdict=date_verdict(shift, covariance, covariance_px2, pairs))
    row = replace(row, **_named(to_pixels @ shift, "px"), **_named(np.sqrt(np.diag(covariance_px2)), "std_px"))
    return _with_shift(row, look, shift, covariance)


def _with_shift(row: DateRow, look: QuickLook, shift: NDArray[np.float64], covariance: NDArray[np.float64]) -> DateRow:
    """A row with the correlation of the errors of its shift (2,), and with the shift in metres where it has one."""
    std = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = covariance[0, 1] / std.prod()
    row = replace(row, dxdy_correlation=float(correlation) if np.isfinite(correlation) else None)
    return replace(row, **_named(shift, "m"), **_named(std, "std_m")) if look.grid.georeferenced else row


def _pixels_per_metre(file: Grid) -> NDArray[np.float64]:
    """2×2 matrix that turns steps (east, north) on the ground into steps (right, down) in pixels of a file."""
    assert file.transform is not None
    steps = np.array([map_step(file, _STEP_M * axis) for axis in np.eye(2)]) / _STEP_M
    to_pixels = ~file.transform
    return np.array([[to_pixels.a, to_pixels.b], [to_pixels.d, to_pixels.e]]) @ steps.T


def _named(values: NDArray[np.float64], name: str) -> dict[str, Any]:
    return {f"dx_{name}": float(values[0]), f"dy_{name}": float(values[1])}


def _date_status(
    series: MatchedSeries, component: int, image: SeriesImage, own: list[int], datum: Datum
) -> tuple[DateStatus, str]:
    """What became of an image, and why it is not placed."""
    look = series.quick_looks[image.index]
    if isinstance(look, str):
        return DateStatus.UNREADABLE, look
    if component == 0 or (component > 0 and datum is Datum.GEOREFERENCE):
        return DateStatus.PLACED, ""
    if component > 0:
        return DateStatus.SEPARATE, "no pair that is kept connects it with most of the others"
    if not own:
        return DateStatus.NOT_SEEN, "it has no pair: no other image shows its ground"
    counts = Counter("rejected" if series.observations[k].measured else str(series.observations[k].status) for k in own)
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))
    return (
        DateStatus.NOT_SEEN,
        f"none of its {len(own)} pairs is kept ({outcomes}); {look.clear_share:.0%} is valid and not saturated",
    )


def _pair_row(series: MatchedSeries, adjustment: Adjustment, closure: Closure, number: int) -> PairRow:
    """The row of a pair."""
    pair, observation = series.plan[number], series.observations[number]
    first, second = series.images[pair.reference], series.images[pair.target]
    measured, weight = observation.measured, float(adjustment.weights[number])
    residual = _length(adjustment.residuals[number])
    status, reason = ("kept", "") if weight > 0 else (str(observation.status), observation.reason)
    if measured and weight == 0:
        status = "rejected"
        reason = "it contradicts the other pairs" + (
            "" if residual is None else f" by {residual:.2f} {observation.unit}"
        )
    std = np.sqrt(np.diag(observation.covariance))
    return PairRow(
        reference=pair.reference,
        target=pair.target,
        reference_date=first.date,
        target_date=second.date,
        days_apart=pair.days_apart,
        same_orbit=_same_orbit(first, second, pair.days_apart),
        overlap=pair.overlap,
        dx_m=observation.shift[0] if measured else None,
        dy_m=observation.shift[1] if measured else None,
        dx_std_m=float(std[0]) if measured else None,
        dy_std_m=float(std[1]) if measured else None,
        points=observation.inliers,
        weight=weight if measured else None,
        residual_m=residual,
        left_out_m=_length(adjustment.left_out[number]),
        worst_closure_m=None if np.isnan(closure.worst[number]) else float(closure.worst[number]),
        status=status,
        reason=reason,
    )


def _same_orbit(first: SeriesImage, second: SeriesImage, days_apart: int | None) -> bool | None:
    """Whether two images were sensed on one relative orbit: by their names, or else by the days between them.

    Sentinel-2 repeats an orbit every ten days, and the second satellite follows half-way. Orbits that show the same
    tile are two or three days apart.
    """
    if first.relative_orbit is not None and second.relative_orbit is not None:
        return first.relative_orbit == second.relative_orbit
    if days_apart is None or first.tile is None or first.tile != second.tile:
        return None
    return days_apart % _REPEAT_DAYS == 0


def _rms(vectors: NDArray[np.float64]) -> float | None:
    """Root mean square length of those of (N, 2) vectors that are not NaN; None without one."""
    squares = np.square(vectors).sum(axis=1)
    squares = squares[np.isfinite(squares)]
    return float(np.sqrt(squares.mean())) if len(squares) else None


def _length(vector: NDArray[np.float64]) -> float | None:
    """Length of a vector; None if it is NaN."""
    length = float(np.linalg.norm(vector))
    return length if np.isfinite(length) else None
