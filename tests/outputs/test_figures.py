"""Figures draw the right numbers, name their units, and are left out without data."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from pairs import corrected, shifted_pair

from s2match.core.ground_axes import MAP_UNITS, GroundAxes
from s2match.core.matches import GreyImage
from s2match.correction.evaluation import Agreement
from s2match.outputs.figures.before_after import detail, plot_checkerboard, plot_overlay, plot_swipe
from s2match.outputs.figures.charts import charts, match_chart
from s2match.outputs.figures.confidence import plot_confidence
from s2match.outputs.figures.confidence_histogram import plot_confidence_histogram
from s2match.outputs.figures.errors import compare_errors, plot_errors
from s2match.outputs.figures.network_input import plot_network_input
from s2match.outputs.figures.residuals import plot_residuals
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.figures.shifts import plot_shifts
from s2match.outputs.figures.vectors import plot_vectors
from s2match.outputs.report.names import FIGURES
from s2match.result import PairResult


def words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def names(result: PairResult, *improvement: object) -> set[str]:
    return {chart.name for chart in charts(result, *improvement)}  # type: ignore[arg-type]


def test_which_figures_there_are() -> None:
    assert names(shifted_pair()) == {"vectors", "errors", "shifts", "residuals"}
    registered = shifted_pair(shift=(0, 0))
    assert names(registered) == {"vectors", "errors", "shifts", "residuals", "confidence"}
    assert names(registered, corrected(registered)) | {match_chart(registered).name} == set(FIGURES)
    assert names(shifted_pair(georeferenced=False)) == {"vectors", "residuals"}
    assert names(shifted_pair(right=5, wrong=5)) == {"errors", "shifts"}
    assert names(shifted_pair(right=0, wrong=0)) == set()


def test_every_figure_is_written_in_letters_for_a_slide(tmp_path: Path) -> None:
    result = shifted_pair(shift=(0, 0))
    for chart in charts(result, corrected(result)):
        save_figure(chart.figure, tmp_path / f"{chart.name}.png")
        image = cv2.imread(str(tmp_path / f"{chart.name}.png"))
        assert image is not None and image.shape[1] >= 1300
        for axes in chart.figure.axes:
            assert "(" in axes.get_xlabel() and axes.xaxis.label.get_size() >= 14, chart.name
        sizes = [text.get_size() for text in chart.figure.findobj(Text) if text.get_text()]
        # on a slide of 13 inches
        assert min(sizes) * 13 / max(chart.figure.get_figwidth(), 9) >= 11, chart.name


def test_arrows_are_as_long_as_they_say() -> None:
    """Arrow lengths divided by the exaggeration are the residuals; each cell has one arrow."""
    figure = plot_vectors(shifted_pair(noise=0.1))
    (arrows,) = figure.findobj(Quiver)
    said = words(figure)
    times = float(said.split("exaggerated ")[1].split("×")[0])
    pixels = float(said.split(" px = ")[0].rsplit("| ", 1)[-1])
    assert f"{pixels:g} px = {10 * pixels:g} m, exaggerated {times:g}×" in said
    result = shifted_pair(noise=0.1)
    assert result.registration is not None
    lengths = np.hypot(arrows.U, arrows.V) / times
    inliers = result.registration.residual_px[result.registration.inliers]
    assert abs(np.median(lengths) - np.median(inliers)) < 0.02
    assert 150 < len(lengths) < len(inliers)
    side = np.ptp(result.matches.xy0[result.registration.inliers], axis=0).max() / 26
    squares = {tuple(square) for square in np.floor(np.stack([arrows.X, arrows.Y], 1) / side)}
    assert len(squares) == len(lengths)


def test_shifts_by_column_and_row_in_metres() -> None:
    result = shifted_pair()
    figure = plot_shifts(result)
    said = words(figure)
    assert "shift of the target (m)" in said and "to the east" in said and "2 standard errors" in said
    for axes in figure.axes:
        east, north = (np.asarray(line.get_ydata()) for line in axes.get_lines() if line.get_marker() in "os")
        np.testing.assert_allclose(east[np.isfinite(east)], 20, atol=0.5)
        np.testing.assert_allclose(north[np.isfinite(north)], 10, atol=0.5)


def test_a_figure_says_why_means_scatter_less_than_their_bars() -> None:
    result = shifted_pair()
    said = "scatter of single points as the network found them"
    raw = replace(result, matches=replace(result.matches, raw_residual_px=np.full(len(result.matches), 0.5)))
    for plot in (plot_residuals, plot_shifts):
        assert said in words(plot(raw)) and said not in words(plot(result))


def test_ce90_circle_and_what_it_is_drawn_of() -> None:
    result = shifted_pair()
    figure = plot_errors(result)
    errors = result.inlier_errors
    assert errors is not None
    said = words(figure)
    mean = np.array([errors.east_m.mean(), errors.north_m.mean()])
    distance = np.hypot(errors.east_m - mean[0], errors.north_m - mean[1])
    ce90 = float(np.percentile(distance, 90))
    assert f"CE90 about the mean {ce90:.2f} m ({ce90 / 10:.2f} px)" in said
    assert f"CE90 about zero {errors.ce90_m:.1f} m ({errors.ce90_m / 10:.2f} px)" in said
    assert "mean +20.0 m east, +10.0 m north" in said
    (circle,) = figure.axes[0].patches
    assert circle.get_radius() == pytest.approx(ce90) and circle.center == pytest.approx(mean)
    low, high = figure.axes[0].get_xlim()
    assert (low + high) / 2 == pytest.approx(mean[0]) and (distance <= (high - low) / 2).mean() > 0.97
    (dots,) = [artist for artist in figure.axes[0].collections if isinstance(artist, PathCollection)]
    assert len(dots.get_offsets()) == len(errors.east_m)


def test_errors_of_several_results_have_one_scale() -> None:
    exact, noisy = shifted_pair(noise=0.05), shifted_pair(noise=0.4)
    figure = compare_errors({"exact": exact, "noisy": noisy})
    assert [axes.get_title() for axes in figure.axes] == ["exact", "noisy"]
    widths = [np.ptp(axes.get_xlim()) for axes in figure.axes]
    circles = [axes.patches[0].get_radius() for axes in figure.axes]
    assert widths[0] == pytest.approx(widths[1]) and circles[1] > 4 * circles[0]


def test_the_histogram_counts_what_is_above_the_threshold() -> None:
    matches = shifted_pair().matches
    confidence = np.linspace(0.005, 0.995, len(matches))
    figure = plot_confidence_histogram({"all": replace(matches, confidence=confidence)}, 0.8)
    assert f"all: {(confidence > 0.8).sum()} of {len(matches)} above 0.8" in words(figure)
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [0.8, 0.8]


def test_the_input_of_the_network_is_drawn_as_it_is() -> None:
    grey = np.linspace(0, 1, 20 * 30, dtype=np.float32).reshape(20, 30)
    valid = grey > 0.2
    figure = plot_network_input({"one": GreyImage(grey, valid), "other": GreyImage(grey[:, ::-1], valid)})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["one", "other"]
    shown, nodata = figure.axes[0].images
    np.testing.assert_array_equal(shown.get_array(), grey)
    assert (shown.norm.vmin, shown.norm.vmax) == (0, 1)
    np.testing.assert_array_equal(np.ma.getmaskarray(nodata.get_array()), valid)


def test_confidence_against_what_is_right() -> None:
    """400 right and 20 wrong matches: the shares are about 95 %."""
    figure = plot_confidence(shifted_pair(shift=(0, 0)))
    assert "within 1.5 px of the georeference (%)" in words(figure)
    shares = np.asarray(next(line for line in figure.axes[1].get_lines() if line.get_marker() == "o").get_ydata())
    assert (shares > 85).all() and shares.mean() == pytest.approx(95, abs=3)


def test_before_and_after_join_the_reference_with_each() -> None:
    result = shifted_pair(shift=(6, -3))
    improvement = corrected(result)
    part = detail(improvement)
    reference, before, _ = (raster.image for raster in improvement.previews)
    assert part.width == part.height == 120
    assert 0 <= part.x <= 240 - 120 and 0 <= part.y <= 180 - 120
    left, right = (axes.images[0].get_array() for axes in plot_swipe(improvement).axes)
    assert left is not None and right is not None
    np.testing.assert_array_equal(left[:, :60], right[:, :60])
    assert (left[:, 60:] != right[:, 60:]).mean() > 0.5 and (reference != before).any()
    before_board, after_board = (axes.images[0].get_array() for axes in plot_checkerboard(improvement).axes)
    assert before_board is not None and after_board is not None
    np.testing.assert_array_equal(before_board[:24, :24], after_board[:24, :24])
    assert (before_board[:24, 24:48] != after_board[:24, 24:48]).mean() > 0.5
    # blue squares of the reference, orange ones of the target
    square, tile = (np.asarray(after_board[:24, column : column + 24], float).mean(axis=(0, 1)) for column in (0, 24))
    assert square[2] > square[0] and tile[0] > tile[2]


def test_an_overlay_is_grey_where_both_agree() -> None:
    improvement = corrected(shifted_pair(shift=(6, -3)))
    before, after = (np.asarray(axes.images[0].get_array(), float) for axes in plot_overlay(improvement).axes)
    colour_before, colour_after = (np.abs(image[..., 0] - image[..., 1]).mean() for image in (before, after))
    assert colour_after < 1 < 10 < colour_before


def test_after_a_correction_figures_show_before_and_after() -> None:
    """The shift of 20 m east and 10 m north is gone after the correction."""
    result = shifted_pair()
    improvement = corrected(result)
    points = improvement.points[1]
    assert points is not None
    for plot in (plot_errors, plot_shifts, plot_vectors):
        text = words(plot(result, improvement))
        assert "before" in text and "after" in text and "nan" not in text
    before, after = (axes.patches[0].center for axes in plot_errors(result, improvement).axes)
    assert before == pytest.approx((20, 10), abs=0.1) and after == pytest.approx((0, 0), abs=1e-6)
    left, right = plot_vectors(result, improvement).findobj(Quiver)
    lengths = [
        np.hypot(one.U, one.V).mean() / float(text.split("exaggerated ")[1].split("×")[0])
        for one, text in zip(
            (left, right),
            [t for t in words(plot_vectors(result, improvement)).split(" | ") if "exag" in t],
            strict=True,
        )
    ]
    assert lengths[0] == pytest.approx(np.hypot(2, 1), abs=0.05) and lengths[1] < 0.1


@pytest.mark.parametrize("counts", [(480, 0), (5, 5), (0, 0), (60, 300)])
@pytest.mark.parametrize("georeferenced", [True, False])
def test_no_figure_says_nan(counts: tuple[int, int], georeferenced: bool) -> None:
    result = shifted_pair(*counts, georeferenced=georeferenced)
    unmeasured = replace(corrected(result), points=(None, None), before=Agreement(0, *[math.nan] * 6))
    for improvement in (None, unmeasured):
        for chart in charts(result, improvement):
            assert "nan" not in words(chart.figure).lower(), chart.name


def test_before_and_after_name_the_unit_of_the_map() -> None:
    improvement = replace(corrected(shifted_pair()), axes=GroundAxes(None, MAP_UNITS))
    for figure in (plot_checkerboard(improvement), plot_swipe(improvement)):
        assert "before: CE90 23.20 map units, SSIM 0.3500" in words(figure)


def test_the_detail_avoids_what_shows_nothing() -> None:
    result = shifted_pair(shift=(0, 0))
    improvement = corrected(result)
    for raster in improvement.previews:
        raster.valid[:, :110] = False
    assert detail(improvement).x >= 110
