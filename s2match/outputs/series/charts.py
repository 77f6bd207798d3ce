"""The figures of a series, with titles and captions."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from s2match.outputs.figures.charts import Chart
from s2match.outputs.series.closure_figure import plot_closure
from s2match.outputs.series.graph_figure import plot_pair_graph
from s2match.outputs.series.residuals_figure import plot_residual_matrix
from s2match.outputs.series.shifts_figure import plot_series_shifts
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus

_CHARTS: tuple[tuple[str, str, str, Callable[[SeriesResult], Figure], Callable[[SeriesResult], bool]], ...] = (
    (
        "series_shifts",
        "Shifts over time",
        "Georeferencing error of each placed image against the datum, with bars that hold the truth in 95 % of cases. "
        "Groups that lie apart have an offset between orbits or satellites. Crosses at the lower edge are images that "
        "are not placed.",
        plot_series_shifts,
        lambda result: any(row.status is DateStatus.PLACED for row in result.dates),
    ),
    (
        "series_pairs",
        "Pair graph",
        "Each arc is a pair of images. Pairs above the line are kept; those below were rejected by the adjustment, or "
        "were not measured. An image that no arc above the line reaches is not placed.",
        plot_pair_graph,
        lambda result: len(result.pairs) > 0,
    ),
    (
        "series_residuals",
        "Residuals by date",
        "Measured minus adjusted shift of each pair, at its two dates. A dark row is an image that does not agree with "
        "the others. Grey pairs were not measured or have no other pairs to "
        "be checked by; white ones were not planned.",
        plot_residual_matrix,
        lambda result: any(row.residual_m is not None for row in result.pairs),
    ),
    (
        "series_closure",
        "Closure of triangles",
        "Sum of the shifts around each triangle of pairs, which is 0 without errors. An error of one image cancels in "
        "every triangle, so closure shows the errors of pairs, not those of images.",
        plot_closure,
        lambda result: len(result.closure.lengths) > 0,
    ),
)

# File names of the figures, without suffix.
SERIES_FIGURES = tuple(name for name, *_ in _CHARTS)


def series_charts(result: SeriesResult) -> Iterator[Chart]:
    """Draw the figures of a series that there is data for, one after the other."""
    for name, title, caption, draw, has_data in _CHARTS:
        if has_data(result):
            yield Chart(name, title, caption, False, draw(result))
