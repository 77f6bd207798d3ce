"""Which figures a result has."""

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.before_after import plot_checkerboard, plot_swipe
from s2match.outputs.figures.confidence import plot_confidence
from s2match.outputs.figures.errors import plot_errors
from s2match.outputs.figures.residuals import plot_residuals
from s2match.outputs.figures.shifts import plot_shifts
from s2match.outputs.figures.vectors import plot_vectors
from s2match.registration.verdict import Decision
from s2match.result import PairResult


@dataclass(frozen=True)
class Chart:
    """A figure with what it is called.

    Attributes:
        name: For a file, without suffix; one of :data:`s2match.outputs.report.names.FIGURES`.
        title: For people.
        caption: How to read it.
        photo: Whether it shows images of the ground.
        figure: The figure.
    """

    name: str
    title: str
    caption: str
    photo: bool
    figure: Figure


def charts(result: PairResult, improvement: Improvement | None = None) -> Iterator[Chart]:
    """Every figure that the result has something to show in, one after the other.

    Without a georeference those in metres are left out, without a registration those of residuals, and without an
    improvement the target before and after.
    """
    if improvement is not None:
        yield Chart(
            "checkerboard",
            "Before and after: checkerboard",
            "Squares of the reference and of the target in turn, where the reference shows most edges. Roads, rivers "
            "and edges of fields run on across the squares where the two agree.",
            True,
            plot_checkerboard(improvement),
        )
        yield Chart(
            "swipe",
            "Before and after: swipe",
            "Left of the line the reference, right of it the target. What crosses the line should not break.",
            True,
            plot_swipe(improvement),
        )
    if result.registration is not None:
        yield Chart(
            "vectors",
            "Residuals over the image",
            "What the model leaves over, thinned evenly: from where it puts a feature to where the target shows it. "
            "Arrows of all directions are noise; neighbours that point alike are a bend that it does not follow.",
            True,
            plot_vectors(result),
        )
    if _has_errors(result):
        yield Chart(
            "errors",
            "Errors on the ground, with CE90",
            "Nine of ten lie within the CE90 circle. It holds the errors of the matches and of the georeference.",
            False,
            plot_errors(result),
        )
        yield Chart(
            "shifts",
            "Shift by column and by row",
            "Where the target shows the ground, against the georeference. A flat line off zero is a shift; a slope a "
            "scale or a turn; a wave or a step comes from the sensor or the terrain.",
            False,
            plot_shifts(result),
        )
    if result.registration is not None:
        yield Chart(
            "residuals",
            "Residuals by column and by row",
            "Means of what the model leaves over. A trend is what another model would follow.",
            False,
            plot_residuals(result),
        )
    if result.verdict.decision is Decision.REGISTERED and _has_errors(result):
        yield Chart(
            "confidence",
            "Confidence and error",
            "The pair is registered already, so that its georeference is the truth here. Left: how far matches of each "
            "confidence lie from it. Right: what share of them is right, beside what their confidence says.",
            False,
            plot_confidence(result),
        )


def _has_errors(result: PairResult) -> bool:
    """Whether matches that count have an error on the ground."""
    errors = result.errors if result.registration is None else result.inlier_errors
    return errors is not None and len(errors.known.east_m) > 0
