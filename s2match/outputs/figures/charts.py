"""The figures of a report, with titles and captions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from matplotlib.figure import Figure

from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.before_after import plot_checkerboard, plot_overlay, plot_swipe
from s2match.outputs.figures.confidence import plot_confidence
from s2match.outputs.figures.errors import plot_errors
from s2match.outputs.figures.matches import plot_matches
from s2match.outputs.figures.residuals import plot_residuals
from s2match.outputs.figures.shifts import plot_shifts
from s2match.outputs.figures.vectors import plot_vectors
from s2match.registration.verdict import Decision
from s2match.result import PairResult

_Source = TypeVar("_Source")


@dataclass(frozen=True)
class Chart:
    """A figure with its title and caption.

    Attributes:
        name: File name without suffix; one of :data:`s2match.outputs.report.names.FIGURES`.
        title: Its title.
        caption: How to read it.
        photo: Whether it shows images of the ground.
        figure: The figure.
    """

    name: str
    title: str
    caption: str
    photo: bool
    figure: Figure


def match_chart(result: PairResult) -> Chart:
    """Draw the picture of the matches, the first one of a report."""
    return _MATCHES.chart(result)


def charts(result: PairResult, improvement: Improvement | None = None) -> Iterator[Chart]:
    """Draw the figures of a result, one after the other, without :func:`match_chart`.

    Figures in metres need a georeference and figures of residuals a registration.

    Args:
        result: The result.
        improvement: The target before and after its correction; None without one.

    Yields:
        The figures that there is data for.
    """
    if improvement is not None:
        yield from (spec.chart(improvement) for spec in _CORRECTION_CHARTS)
    measured = _Measured(result, improvement)
    yield from (spec.chart(measured) for spec in _RESULT_CHARTS if spec.has_data(measured))


@dataclass(frozen=True)
class _Measured:
    """A result, and its correction if there was one."""

    result: PairResult
    improvement: Improvement | None


@dataclass(frozen=True)
class _Spec(Generic[_Source]):
    """A figure to draw from a result or a correction; the first four attributes are those of :class:`Chart`.

    Attributes:
        draw: Draws the figure.
        has_data: Whether there is data for it.
    """

    name: str
    title: str
    caption: str
    photo: bool
    draw: Callable[[_Source], Figure]
    has_data: Callable[[_Source], bool] = lambda source: True

    def chart(self, source: _Source) -> Chart:
        return Chart(self.name, self.title, self.caption, self.photo, self.draw(source))


def _has_registration(measured: _Measured) -> bool:
    return measured.result.registration is not None


def _has_errors(measured: _Measured) -> bool:
    """Whether an inlier, or without a registration any match, has an error on the ground."""
    result = measured.result
    errors = result.errors if result.registration is None else result.inlier_errors
    return errors is not None and len(errors.finite.east_m) > 0


def _has_ground_truth(measured: _Measured) -> bool:
    """Whether the georeference can serve as ground truth: the pair is registered already."""
    return measured.result.verdict.decision is Decision.REGISTERED and _has_errors(measured)


_MATCHES: _Spec[PairResult] = _Spec(
    "matches",
    "Matches",
    "Common ground of the two images with some of the matches, spread evenly, and three of them enlarged.",
    True,
    plot_matches,
)

_CORRECTION_CHARTS: tuple[_Spec[Improvement], ...] = (
    _Spec(
        "overlay",
        "Before and after: overlay",
        "The reference in red over the target in cyan, where the reference has most edges. Edges with a red and a cyan "
        "rim are displaced. Areas in one colour have changed between the dates. Grey ground agrees.",
        True,
        plot_overlay,
    ),
    _Spec(
        "checkerboard",
        "Before and after: checkerboard",
        "Squares of the reference (blue) and of the target (orange) in turn, where the reference has most edges. Where "
        "the two agree, roads, rivers and field borders continue across the squares.",
        True,
        plot_checkerboard,
    ),
    _Spec(
        "swipe",
        "Before and after: swipe",
        "Left of the line the reference, right of it the target. Roads and borders that cross the line should "
        "not break.",
        True,
        plot_swipe,
    ),
)

_RESULT_CHARTS: tuple[_Spec[_Measured], ...] = (
    _Spec(
        "vectors",
        "Residuals over the image",
        "Residuals of the inliers, thinned evenly: from the position by the model to the position in the target. "
        "Random directions are noise. Neighbours with one direction are a distortion that the model lacks. After a "
        "correction: the shifts before and after it.",
        True,
        lambda measured: plot_vectors(measured.result, measured.improvement),
        _has_registration,
    ),
    _Spec(
        "errors",
        "Errors on the ground, with CE90",
        "Shifts of single points. 90 % of them lie within the circle about their mean. CE90 about zero is the accuracy "
        "of the target: it includes the errors of the matches and of the georeference.",
        False,
        lambda measured: plot_errors(measured.result, measured.improvement),
        _has_errors,
    ),
    _Spec(
        "shifts",
        "Shift by column and by row",
        "Shift of the target against the georeference. A flat line off zero is a shift, a slope a scale or a "
        "rotation. A wave or a step comes from the sensor or the terrain.",
        False,
        lambda measured: plot_shifts(measured.result, measured.improvement),
        _has_errors,
    ),
    _Spec(
        "residuals",
        "Residuals by column and by row",
        "Mean residuals. A trend means that another model would fit better.",
        False,
        lambda measured: plot_residuals(measured.result),
        _has_registration,
    ),
    _Spec(
        "confidence",
        "Confidence and error",
        "The pair is registered already, so the georeference serves as ground truth. Left: error of the matches "
        "by confidence. Right: share of correct matches by confidence; the broken line is the confidence itself.",
        False,
        lambda measured: plot_confidence(measured.result),
        _has_ground_truth,
    ),
)
