"""The numbers of a pair that matter most, each on a card at the top of the page."""

from dataclasses import dataclass

from s2match.core.ground_axes import MAP_UNITS, METRES, pixel_m
from s2match.correction.decision import CorrectionOutcome
from s2match.correction.evaluation import Improvement
from s2match.outputs.agreement import measure_text
from s2match.outputs.coverage import covered_share, patch_side_px
from s2match.outputs.figures.map_marks import length_name
from s2match.registration.verdict import Decision, Displacement
from s2match.result import PairResult

_VERDICTS = {
    Decision.REGISTERED: "already registered",
    Decision.REGISTER: "correct the target",
    Decision.INDISTINCT: "hidden in noise",
    Decision.UNKNOWN: "not enough evidence",
}

# Directions of both axes of a shift.
_GROUND, _PIXELS, _MAP = ("east", "north"), ("right", "down"), ("along x", "along y")


@dataclass(frozen=True)
class Card:
    """A number that matters.

    Attributes:
        name: What it is.
        value: The number with its unit.
        more: A second line in small letters.
    """

    name: str
    value: str
    more: str


def pair_cards(result: PairResult, outcome: CorrectionOutcome | None) -> tuple[Card, ...]:
    """Shift along both axes, CE90, inliers, share of the ground covered, and the verdict in three words."""
    improvement = None if outcome is None else outcome.improvement
    return (
        *_shift_cards(result.verdict.displacement, improvement),
        _accuracy_card(result, improvement),
        _inlier_card(result),
        _coverage_card(result),
        _verdict_card(result, improvement),
    )


def _shift_cards(displacement: Displacement | None, improvement: Improvement | None) -> tuple[Card, Card]:
    if displacement is None:
        east, north = (Card(f"Shift {name}", "unknown", "no model, or nothing to compare it with") for name in _GROUND)
        return east, north
    axes = {METRES: _GROUND, MAP_UNITS: _MAP}.get(displacement.unit, _PIXELS)
    cards = []
    for axis, name in enumerate(axes):
        shift, unit = displacement.shift[axis], displacement.unit
        more = "of the model, 95 % interval"
        if displacement.on_ground:
            more = f"{more}; {shift / displacement.native_pixel:+z.2f} native px"
        if improvement is not None:
            measure = ("east_m", "north_m")[axis]
            more = f"median after the correction {measure_text(improvement.after, measure, improvement.axes)}"
        value = f"{shift:+z.1f} ± {displacement.shift_error:.1f} {unit}".replace("-", "−")
        cards.append(Card(f"Shift {name}", value, more.replace("-", "−")))
    return cards[0], cards[1]


def _accuracy_card(result: PairResult, improvement: Improvement | None) -> Card:
    """CE90 of the inliers, or of all matches without a model."""
    errors = result.errors if result.registration is None else result.inlier_errors
    if errors is None or not len(errors.finite.east_m):
        return Card("CE90", "unknown", "no georeference to compare with")
    if improvement is not None:
        before, after = (
            measure_text(each, "ce90_m", improvement.axes) for each in (improvement.before, improvement.after)
        )
        return Card("CE90", before, f"after the correction {after}")
    measured = "all matches" if result.registration is None else "the inliers"
    value = f"{errors.ce90_m:.1f} {errors.axes.unit}"
    return Card("CE90", value, f"of {measured}; {errors.ce90_m / errors.native_pixel_m:.2f} native px")


def _inlier_card(result: PairResult) -> Card:
    registration, matches = result.registration, len(result.matches)
    if registration is None:
        return Card("Inliers", "none", f"of {matches} matches")
    inliers = int(registration.inliers.sum())
    threshold = f"{result.settings.ransac_threshold_px:g} px"
    return Card("Inliers", f"{inliers}", f"{inliers / matches:.1%} of the matches, within {threshold} of the model")


def _coverage_card(result: PairResult) -> Card:
    share, side_px = covered_share(result), patch_side_px(result)
    side = f"{side_px:.0f} px"
    if result.reference.georeferenced and result.errors is not None:
        side = length_name(side_px * pixel_m(result.reference), result.errors.axes.unit)
    if share is None:
        return Card("Ground covered", "unknown", "there is no model")
    return Card("Ground covered", f"{share:.0%}", f"of the common ground, in squares of {side}")


def _verdict_card(result: PairResult, improvement: Improvement | None) -> Card:
    if improvement is not None and result.verdict.decision is not Decision.REGISTERED:
        words = {True: "correction helped", False: "correction did not help", None: "effect unknown"}
        return Card("Verdict", words[improvement.better], "corrected and compared")
    model = "no model" if result.verdict.model is None else f"model: {result.verdict.model}"
    return Card("Verdict", _VERDICTS[result.verdict.decision], model)
