"""Mean residuals of the model by column and by row of the reference."""

from matplotlib.figure import Figure

from s2match.outputs.figures.profiles import draw_profile, explain_bars, extent_of
from s2match.outputs.figures.style import TITLE_PT, label_axes, legend_above, new_figure, pair_title
from s2match.registration.residual_profiles import profiles
from s2match.result import PairResult


def plot_residuals(result: PairResult) -> Figure:
    """Mean residuals of the inliers in bins of columns and rows, in target pixels.

    Args:
        result: A registered pair.
    """
    assert result.registration is not None, "residuals need a registration"
    figure = new_figure(13, 6)
    extent = extent_of(result.matches.xy0[result.registration.inliers])
    both = profiles(result.registration, result.matches, extent)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, profile, name in zip(panels, both, ("column", "row"), strict=True):
        draw_profile(axes, profile, ("dx, to the right", "dy, down"))
        label_axes(axes, f"{name} of the reference (px)")
    label_axes(panels[0], "column of the reference (px)", "mean residual of inliers (target px)")
    legend_above(panels[0])
    title = f"{pair_title(result)}  ·  {result.registration.model}  ·  error bars: 2 standard errors"
    explain_bars(figure, result.matches)
    figure.suptitle(title, fontsize=TITLE_PT, parse_math=False)
    return figure
