"""Figures, animation and summary of a series draw and print the numbers of the result."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import texture
from matplotlib.collections import LineCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from series_results import APART, CLOUD, DAMAGED, renamed, series_result

from s2match.errors import OutputError
from s2match.outputs.figures.blink import write_blink
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.series.charts import SERIES_FIGURES, series_charts
from s2match.outputs.series.closure_figure import plot_closure
from s2match.outputs.series.graph_figure import plot_pair_graph
from s2match.outputs.series.layout import display_order, groups_of
from s2match.outputs.series.residuals_figure import plot_residual_matrix
from s2match.outputs.series.shifts_figure import plot_series_shifts
from s2match.outputs.series.summary import series_summary
from s2match.registration.verdict import Decision
from s2match.timeseries.choices import Datum
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.rows import DateStatus


def words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("size", [{}, {"days": 5, "tiles": 1, "pairs": 9}, {"days": 70, "tiles": 1, "pairs": 280}])
def test_every_figure_is_written_in_letters_for_a_slide(tmp_path: Path, size: dict[str, int]) -> None:
    charts = list(series_charts(series_result(**size)))  # type: ignore[arg-type]
    assert tuple(chart.name for chart in charts) == SERIES_FIGURES
    for chart in charts:
        save_figure(chart.figure, tmp_path / f"{chart.name}.png")
        image = cv2.imread(str(tmp_path / f"{chart.name}.png"))
        assert image is not None and image.shape[1] >= 1300
        sizes = [text.get_size() for text in chart.figure.findobj(Text) if text.get_text()]
        assert min(sizes) * 13 / max(chart.figure.get_figwidth(), 9) >= 11, chart.name


def test_figures_without_a_measured_pair_say_so() -> None:
    result = series_result(measured=False)
    assert [chart.name for chart in series_charts(result)] == ["series_pairs"]
    assert "no image is placed" in words(plot_series_shifts(result))
    assert "no pair has a residual" in words(plot_residual_matrix(result))
    assert "there is no triangle" in words(plot_closure(result))
    empty = replace(result, images=(), dates=(), pairs=(), quick_looks=())
    assert "there are no images" in words(plot_pair_graph(empty)) and not list(series_charts(empty))


def test_shifts_with_bars_of_95_percent_by_platform_and_orbit() -> None:
    result = series_result()
    figure = plot_series_shifts(result)
    said = words(figure)
    for text in ("shift east (m)", "shift north (m)", "S2A R064", "S2B R107", "not placed", "px"):
        assert text in said
    placed = [row for row in result.dates if row.status is DateStatus.PLACED]
    for axes, name, std in zip(figure.axes[:2], ("dx_m", "dy_m"), (0.5, 0.6), strict=True):
        bars = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
        drawn = np.concatenate([np.asarray(bar.lines[0].get_ydata(), float) for bar in bars])
        assert sorted(drawn) == pytest.approx(sorted(getattr(row, name) for row in placed))
        (segments,) = bars[0].lines[2]
        heights = [segment[1, 1] - segment[0, 1] for segment in segments.get_segments()]
        assert heights == pytest.approx([2 * 1.96 * std] * len(heights))


def test_shifts_without_dates_or_metres() -> None:
    result = series_result()
    assert "1 without a date not drawn" in words(plot_series_shifts(renamed(result, "$x_{1}$.tif")))
    undated = replace(result, images=tuple(replace(image, sensed=None) for image in result.images))
    assert "index of the image" in words(plot_series_shifts(undated))
    said = words(plot_series_shifts(series_result(unit="px")))
    assert "shift right (px)" in said and "shift down (px)" in said


def test_groups_are_what_tells_the_images_apart() -> None:
    result = series_result()
    assert [group.name for group in groups_of(result)] == ["S2A R064", "S2B R107"]
    nameless = tuple(replace(image, platform=None, relative_orbit=None) for image in result.images)
    tiles = groups_of(replace(result, images=nameless))
    assert [(group.name, len(group.indexes)) for group in tiles] == [("T36UXA", 12), ("T36UYA", 12)]
    single = groups_of(replace(result, images=tuple(replace(image, tile=None) for image in nameless)))
    assert [(group.name, len(group.indexes)) for group in single] == [("", 24)]


def test_pair_graph_has_kept_pairs_above_and_others_below() -> None:
    result = series_result()
    axes = plot_pair_graph(result).axes[0]
    arcs = {str(each.get_label()): each.get_segments() for each in axes.collections if isinstance(each, LineCollection)}
    assert set(arcs) == {"kept (56)", "rejected (5)", "no evidence (19)"}
    for label, segments in arcs.items():
        assert f"({len(segments)})" in label
        heights = np.concatenate([segment[:, 1] for segment in segments])
        assert (heights >= -1e-9).all() if label.startswith("kept") else (heights <= 1e-9).all()
    said = words(axes.figure)  # type: ignore[arg-type]
    assert "placed (19)" in said and "not seen (2)" in said and "unreadable (1)" in said and "separate (2)" in said


def test_residual_matrix_is_symmetric_and_marks_rejected_pairs() -> None:
    result = series_result()
    figure = plot_residual_matrix(result)
    values = np.ma.filled(np.ma.masked_invalid(figure.axes[0].images[1].get_array()), np.nan)
    np.testing.assert_array_equal(values, values.T)
    rank = {index: place for place, index in enumerate(display_order(result))}
    row = result.pairs[0]
    assert values[rank[row.reference], rank[row.target]] == row.residual_m
    assert np.isfinite(values).sum() == 2 * 61 and "rejected (5)" in words(figure)


@pytest.mark.parametrize(("days", "every"), [(18, 1), (40, 1), (70, 2), (100, 3)])
def test_images_have_labels_as_long_as_they_fit(days: int, every: int, tmp_path: Path) -> None:
    result = series_result(days=days, tiles=1, pairs=4 * days)
    dates = [image.date for image in result.images][::every]
    for plot in (plot_pair_graph, plot_residual_matrix):
        figure = plot(result)
        axes = figure.axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == dates
        save_figure(figure, tmp_path / "labels.png")
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == dates
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(label.get_window_extent() for label in labels))


def test_labels_name_the_tile_where_there_are_several() -> None:
    axes = plot_pair_graph(series_result()).axes[0]
    assert axes.get_xticklabels()[0].get_text() == "T36UXA 2018-03-05"


def test_closure_histogram_marks_median_and_90_percent() -> None:
    result = series_result()
    figure = plot_closure(result)
    lines = [float(np.asarray(line.get_xdata())[0]) for line in figure.axes[0].get_lines()]
    assert lines == pytest.approx(np.quantile(result.closure.lengths, [0.5, 0.9]))
    assert f"median {lines[0]:.2f} m ({lines[0] / 10:.3f} px)" in words(figure)
    counted = sum(patch.get_height() for patch in figure.axes[0].patches)  # type: ignore[attr-defined]
    end = figure.axes[0].get_xlim()[1]
    assert counted == 239 and f"length of the closure (m); 1 of 240 is longer than {end:.2f} m" in words(figure)
    lengths = np.sort(result.closure.lengths)
    lengths[-3:] = 50.0
    figure = plot_closure(replace(result, closure=replace(result.closure, lengths=lengths)))
    end = figure.axes[0].get_xlim()[1]
    assert f"; 3 of 240 are longer than {end:.2f} m" in words(figure)


def test_order_of_images_is_by_tile_and_date() -> None:
    result = renamed(series_result(), "undated.tif")
    order = display_order(result)
    keys = [(result.images[index].tile or "", result.images[index].date or "9") for index in order]
    assert keys == sorted(keys) and sorted(order) == list(range(24))


def test_animation_has_a_frame_for_each_date(tmp_path: Path) -> None:
    ground = texture(140, 140, detail_px=2)
    frames = [(f"2018-0{k + 1}-05", ground[20:120, 10 * k : 10 * k + 100], ground[20:120, 20:120]) for k in range(3)]
    write_blink(frames, tmp_path / "blink.gif")
    with Image.open(tmp_path / "blink.gif") as animation:
        assert animation.n_frames == 3 and animation.info["loop"] == 0 and animation.info["duration"] >= 300
        pictures = []
        for number in range(3):
            animation.seek(number)
            pictures.append(np.asarray(animation.convert("L")))
    height, width = pictures[0].shape
    assert width > 600 and height > 300
    left, right = np.s_[34:, : width // 2 - 8], np.s_[34:, width // 2 + 8 :]
    # the ground jumps on the left and stays on the right
    assert (pictures[0][left] != pictures[1][left]).mean() > 0.5
    np.testing.assert_array_equal(pictures[0][right], pictures[1][right])
    # the labels differ
    assert (pictures[0][:30] != pictures[1][:30]).any()


def test_animations_that_cannot_be_written(tmp_path: Path) -> None:
    image = np.zeros((50, 60), np.uint8)
    with pytest.raises(OutputError, match=r"\.gif"):
        write_blink([("a", image, image)], tmp_path / "blink.mp4")
    for frames in ([], [("a", image, image.T)], [("a", image, image.astype(np.float32))]):
        with pytest.raises(ValueError, match="animation"):
            write_blink(frames, tmp_path / "blink.gif")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_summary_is_short_and_says_what_counts() -> None:
    result = series_result()
    text = series_summary(result)
    lines = text.splitlines()
    assert len(lines) <= 20
    assert lines[0] == "images        19 of 24 images are placed, with a median standard error of 0.55 m (0.055 px)"
    for part in (APART, CLOUD, DAMAGED, "56 of 80 kept, 5 rejected, 19 without evidence", "the mean of the images"):
        assert part in text
    median, p90 = np.quantile(result.closure.lengths, [0.5, 0.9])
    assert f"median {median:.2f} m ({median / 10:.3f} px), 90 % below {p90:.2f} m" in text
    # 95 % intervals of standard errors of 0.6 and 0.5 m
    assert "R064" in text and "+1.20 ± 1.18 m east, -0.40 ± 0.98 m north (95 %), median of 9 images" in text
    assert all(line[:14].strip() == "" or line[13] == " " for line in lines) and "nan" not in text


def test_summary_names_the_images_to_register() -> None:
    result = series_result(days=5, tiles=1, pairs=9)
    verdicts = [Decision.REGISTERED, Decision.REGISTER, Decision.REGISTERED, Decision.UNKNOWN, Decision.REGISTERED]
    dates = tuple(replace(row, verdict=verdict) for row, verdict in zip(result.dates, verdicts, strict=True))
    text = series_summary(replace(result, dates=dates))
    name = result.images[1].title
    assert f"verdict       register 1 ({name}), 3 already registered, 1 not enough evidence" in text


def test_summary_of_a_series_without_a_placed_image() -> None:
    text = series_summary(series_result(measured=False))
    assert text.startswith("images        0 of 24 images are placed\n") and "nan" not in text
    assert "look at       the reasons of the pairs" in text


def test_summary_stays_short_with_many_groups() -> None:
    result = series_result()
    terms = tuple(replace(result.group_terms[0], name=f"R{number:03d}") for number in range(30))
    factor = replace(result.adjustment, variance_factor=9.0)
    text = series_summary(replace(result, group_terms=terms, adjustment=factor))
    assert len(text.splitlines()) <= 20 and "and 26 more orbits or platforms" in text and "9.0 times" in text


def test_datum_is_named() -> None:
    result = series_result()
    for options, text in (
        (SeriesOptions(datum=Datum.GEOREFERENCE), "the georeference, as the median of the images"),
        (SeriesOptions(datum=Datum.REFERENCE, reference=2), "T36UXA 2018-04-04"),
    ):
        assert f"datum         {text}" in series_summary(replace(result, options=options))


@pytest.mark.parametrize("days", [1, 4, 40, 100, 400, 900, 1100, 1250, 1460, 4000])
def test_no_span_of_dates_is_without_ticks(days: int, recwarn: pytest.WarningsRecorder, tmp_path: Path) -> None:
    result = series_result(days=2, tiles=1, pairs=1)
    start = datetime(2016, 4, 12, 8, 36)
    images = tuple(replace(image, sensed=start + timedelta(days=days * image.index)) for image in result.images)
    figure = plot_series_shifts(replace(result, images=images))
    save_figure(figure, tmp_path / "shifts.png")
    # sockets of other tests may be collected here
    drawn = [warning for warning in recwarn if not issubclass(warning.category, ResourceWarning)]
    assert [str(warning.message) for warning in drawn] == []
    low, high = figure.axes[1].get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in figure.axes[1].get_xticks()) <= 7
