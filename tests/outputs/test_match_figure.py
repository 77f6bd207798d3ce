"""The figure of the matches shows the common ground, some of the matches, and three of them enlarged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from affine import Affine
from conftest import GRID, make_raster, texture
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from s2match.core.matches import Matches, Provenance
from s2match.core.raster import Raster
from s2match.errors import OutputError
from s2match.io.reader import read_raster
from s2match.outputs.figures.blink_pair import pair_frames
from s2match.outputs.figures.map_marks import Place, draw_north, draw_scale_bar
from s2match.outputs.figures.matches import plot_matches
from s2match.outputs.figures.panels import arranged
from s2match.outputs.figures.views import common_views
from s2match.outputs.figures.zooms import SIDE_PX, candidates_of, zooms_of
from s2match.outputs.headline import headline
from s2match.outputs.targets import Outputs, check_outputs
from s2match.outputs.write import write_outputs
from s2match.registration.fit import fit
from s2match.registration.verdict import Decision, Displacement, Verdict
from s2match.result import PairResult, assemble
from s2match.settings import Settings

SIDE = 400
GROUND = texture(SIDE + 40, SIDE + 40, detail_px=6)
ORIGIN = Provenance("sentinel2", "cpu", 0.8)


def pair(reference: Raster, target: Raster, xy0: NDArray[np.float64], xy1: NDArray[np.float64]) -> PairResult:
    matches = Matches(xy0, xy1, np.full(len(xy0), 0.95), ORIGIN)
    return assemble(reference, target, (reference, target), matches, fit(matches), Settings(device="cpu"))


def shifted(count: int = 2000, wrong: int = 0) -> PairResult:
    """A pair whose target shows the ground 7 px further right and 3 px further up."""
    rng = np.random.default_rng(0)
    reference = make_raster(GROUND[10 : 10 + SIDE, 20 : 20 + SIDE], name="T36UXA_20180820T083601_TCI.jp2")
    target = make_raster(GROUND[13 : 13 + SIDE, 13 : 13 + SIDE], name="T36UXA_20190606T083601_TCI.jp2")
    xy0 = rng.uniform(30, SIDE - 30, (count, 2))
    xy1 = xy0 + [7.0, -3.0]
    xy1[:wrong] = rng.uniform(30, SIDE - 30, (wrong, 2))
    return pair(reference, target, xy0, xy1)


def words(figure: object) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def test_some_matches_are_drawn_evenly_and_all_are_counted() -> None:
    """Dots lie at the points of matches on both images; the largest hole between them is small."""
    result = shifted(wrong=200)
    figure = plot_matches(result)
    axes = figure.axes[0]
    dots, crosses = (np.asarray(c.get_offsets()) for c in axes.collections if isinstance(c, PathCollection))
    (lines,) = (c for c in axes.collections if isinstance(c, LineCollection))
    assert 200 <= (len(dots) + len(crosses)) / 2 <= 300 and 30 <= len(lines.get_segments()) <= 60
    left, right = dots[::2], dots[1::2]
    gap = right - left
    assert np.ptp(gap, axis=0).max() < 1e-6
    assert gap[0, 0] > SIDE and gap[0, 1] == pytest.approx(-3)
    centres = np.stack(np.meshgrid(np.arange(60, 340, 10), np.arange(60, 340, 10)), axis=-1).reshape(-1, 1, 2)
    assert np.linalg.norm(centres - left, axis=2).min(axis=1).max() < 50
    assert "2000 matches above 0.80" in words(figure) and "outliers (200)" in words(figure)


def test_title_names_the_shift_and_both_images() -> None:
    text = words(plot_matches(shifted()))
    assert "The target is shifted by 70.0 ± 2.0 m east and 30.0 ± 2.0 m north" in text
    assert "reference: T36UXA 2018-08-20" in text and "target: T36UXA 2019-06-06" in text
    assert "1 km" in text and "N" in text.split(" | ")


def test_enlarged_matches_show_the_same_ground() -> None:
    """The enlarged target is the enlarged reference, pixel by pixel; the letters stand at the matches."""
    result = shifted()
    zooms = zooms_of(result, common_views(result), np.arange(len(result.matches)), 3)
    assert len(zooms) == 3
    for zoom in zooms:
        difference = np.abs(zoom.reference.astype(float) - zoom.target)
        assert difference.mean() < 6 < 25 < zoom.reference.std()
    points = result.matches.xy0[[zoom.index for zoom in zooms]]
    apart = np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(3, 1)]
    assert apart.min() > 80
    text = words(plot_matches(result)).split(" | ")
    assert text.count("A") == 2 and text.count("C") == 2
    assert sum("px from the model, 480 m wide" in word for word in text) == 3


def test_an_enlarged_target_is_turned_as_the_reference() -> None:
    upright = shifted()
    raster = upright.target
    assert isinstance(raster, Raster)
    turned = np.ascontiguousarray(np.rot90(raster.image[..., 0]))
    x, y = upright.matches.xy1.T
    xy1 = np.stack([y, SIDE - x], axis=1)
    target = make_raster(turned, transform=None, crs=None)
    reference = make_raster(GROUND[10 : 10 + SIDE, 20 : 20 + SIDE], transform=None, crs=None)
    result = pair(reference, target, upright.matches.xy0, xy1)
    for zoom in zooms_of(result, common_views(result), np.arange(len(x)), 3):
        assert np.abs(zoom.reference.astype(float) - zoom.target).mean() < 6


def test_cloud_is_not_enlarged() -> None:
    """Half of the target is white."""
    result = shifted()
    raster = result.target
    assert isinstance(raster, Raster)
    image = raster.image.copy()
    image[:, : SIDE // 2] = 255
    clouded = replace(raster, image=image)
    result = pair(result.previews[0], clouded, result.matches.xy0, result.matches.xy1)
    zooms = zooms_of(result, common_views(result), np.arange(len(result.matches)), 3)
    assert (result.matches.xy1[[zoom.index for zoom in zooms], 0] > SIDE // 2 + SIDE_PX / 4).all()


def test_edges_of_cloud_and_points_far_from_the_model_are_not_enlarged() -> None:
    """Clouds at the same places in both images, not quite white, have strong edges that correlate."""
    result = shifted()
    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 12)
    cloud = noise > np.quantile(noise, 0.7)
    cloud[: SIDE // 2] = False
    images = []
    for raster in (result.reference, result.target):
        assert isinstance(raster, Raster)
        image = raster.image.copy()
        image[cloud] = 242
        images.append(replace(raster, image=image))
    noisy = result.matches.xy1 + rng.normal(0, 0.3, result.matches.xy1.shape)
    clouded = pair(images[0], images[1], result.matches.xy0, noisy)
    assert clouded.registration is not None
    chosen = [zoom.index for zoom in zooms_of(clouded, common_views(clouded), candidates_of(clouded), 3)]
    assert len(chosen) == 3
    residual_px = clouded.registration.residual_px
    assert residual_px[chosen].max() <= np.median(residual_px)
    for index in chosen:
        x, y = clouded.matches.xy0[index].astype(int)
        half = SIDE_PX // 2
        assert cloud[y - half : y + half, x - half : x + half].mean() < 0.1


def test_dark_ground_is_enlarged_brighter() -> None:
    dark = make_raster(GROUND[:SIDE, :SIDE] // 4)
    dark.image[: SIDE // 2] = 255
    xy0 = np.random.default_rng(0).uniform(30, SIDE - 30, (500, 2))
    result = pair(dark, dark, xy0, xy0)
    views = common_views(result)
    (zoom,) = zooms_of(result, views, candidates_of(result), 1)
    x, y = xy0[zoom.index].astype(int)
    half = SIDE_PX // 2
    before = views[0].drawn[y - half : y + half, x - half : x + half]
    assert np.percentile(zoom.reference, 90) > 1.3 * np.percentile(before, 90)


@pytest.mark.parametrize("draw", [draw_scale_bar, draw_north])
def test_white_marks_are_seen_on_cloud(draw: Callable[[Axes, Raster, Place], None]) -> None:
    """The bar and the arrow have a dark edge on both sides where the image is white."""
    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, SIDE), ylim=(SIDE, 0))
    axes.set_axis_off()
    white = make_raster(np.full((SIDE, SIDE), 255, np.uint8))
    draw(axes, white, Place(np.zeros(2), np.full(2, float(SIDE)), 1.0, left=True))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    dark = np.asarray(canvas.buffer_rgba())[..., :3].max(axis=2) < 160
    # the bar lies along a row, the shaft of the arrow along a column
    edges = dark[:, 20:60].all(axis=1) if draw is draw_scale_bar else dark[340:350].all(axis=0)
    assert np.count_nonzero(np.diff(edges.astype(int)) == 1) == 2


def test_the_text_below_is_no_wider_than_the_figure() -> None:
    result = shifted()
    origin = replace(result.matches.origin, weights="a_very_long_name_of_weights_" * 3)
    figure = plot_matches(replace(result, matches=replace(result.matches, origin=origin)))
    figure.draw_without_rendering()
    (text,) = [text for text in figure.texts if "weights" in text.get_text()]
    box = text.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_few_outliers_are_all_drawn() -> None:
    result = shifted(2000, wrong=20)
    assert result.registration is not None
    figure = plot_matches(result)
    _, crosses = (c.get_offsets() for c in figure.axes[0].collections if isinstance(c, PathCollection))
    outliers = int((~result.registration.inliers).sum())
    assert 15 < outliers <= 20 and len(crosses) == 2 * outliers
    drawn = int(words(figure).split(" inliers, ")[1].split(" drawn")[0])
    assert outliers < drawn <= 300 + outliers


def test_neighbouring_tiles_are_cut_to_their_common_strip() -> None:
    """A strip of 60 px is shown with a third of its length, and the whole images small."""
    rng = np.random.default_rng(0)
    reference = make_raster(GROUND[:SIDE, :SIDE])
    target = make_raster(GROUND[:SIDE, :SIDE], transform=GRID @ Affine.translation(340, 0))
    xy0 = rng.uniform((345, 20), (395, 380), (300, 2))
    result = pair(reference, target, xy0, xy0 - (340, 0))
    first, second = common_views(result)
    for view, edge in ((first, 340), (second, 60)):
        assert view.size == pytest.approx([SIDE / 3, SIDE], abs=1)
        assert view.low[0] - 1 <= edge <= view.high[0] + 1 and view.share < 0.5
    figure = plot_matches(result)
    # both images, the whole of both, and three pairs of enlarged ground
    assert sum(len(axes.images) for axes in figure.axes) == 4 + 6
    assert "target\n" in words(figure)


def test_enlarged_ground_has_the_pixels_that_were_matched(write_image, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Reduced previews are not enlarged where the file can be read."""
    paths = [write_image(f"{name}.tif", texture(SIDE, SIDE, detail_px=1)) for name in "ab"]
    grids = [read_raster(path).grid for path in paths]
    previews = tuple(read_raster(path, (100, 100)) for path in paths)
    xy0 = np.random.default_rng(0).uniform(30, SIDE - 30, (500, 2))
    matches = Matches(xy0, xy0, np.full(500, 0.95), ORIGIN)
    result = assemble(*grids, previews, matches, fit(matches), Settings(device="cpu"))  # type: ignore[arg-type]
    (zoom, *_) = zooms_of(result, common_views(result), np.arange(500), 3)
    for path in paths:
        path.unlink()
    (gone, *_) = zooms_of(result, common_views(result), np.array([zoom.index]), 1)
    sharp, soft = (np.abs(np.diff(one.reference[..., 0].astype(float))).mean() for one in (zoom, gone))
    assert soft < 0.7 * sharp


def test_an_animation_shows_the_target_jump_before_and_stand_after(tmp_path: Path) -> None:
    result = shifted()
    (title, *references), (other, before, after) = pair_frames(result)
    assert (title, other) == ("reference 2018-08-20", "target 2019-06-06")
    assert before.ndim == 3
    np.testing.assert_array_equal(*references)
    off, left = (np.abs(references[0].astype(float) - image).mean() for image in (before, after))
    assert left < 4 < 15 < off
    written = write_outputs(result, Outputs(None, blink=tmp_path / "b.gif"))
    with Image.open(tmp_path / "b.gif") as animation:
        assert animation.n_frames == 2 and animation.size[0] > 2 * 360
    assert f"written       {tmp_path / 'b.gif'}" in written
    unknown = shifted(40, wrong=40)
    text = write_outputs(unknown, Outputs(None, blink=tmp_path / "c.gif"))
    assert f"not written   {tmp_path / 'c.gif'}: there is no registration" in text
    assert not (tmp_path / "c.gif").exists()
    with pytest.raises(OutputError, match=r"suffix must be \.gif"):
        check_outputs(Outputs(None, blink=tmp_path / "b.png"), [], result.reference.scene, result.target.scene)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict(Decision.UNKNOWN), "Not enough evidence for a model"),
        (Verdict(Decision.REGISTER, "similarity"), "Matched by a model (similarity), with no georeference to compare"),
        (Decision.REGISTERED, "Already registered: shift of 3.0 ± 1.2 m west and 4.0 ± 1.2 m south"),
        (Decision.INDISTINCT, "No shift can be told from the noise at this size: up to 8.0 m (0.8 native px)"),
        (Decision.UNKNOWN, "Not enough evidence: the shift may be up to 8.0 m (0.8 native px)"),
    ],
)
def test_headline(verdict: Verdict | Decision, text: str) -> None:
    if isinstance(verdict, Decision):
        verdict = Verdict(verdict, "translation", Displacement(True, (-3.0, -4.0), 1.2, 5.0, 5.5, 8.0, 1.0, 10.0), True)
    assert headline(verdict).startswith(text)


def test_without_a_model_all_matches_are_crosses() -> None:
    result = shifted(40, wrong=40)
    assert result.registration is None
    figure = plot_matches(result)
    dots, crosses = (np.asarray(c.get_offsets()) for c in figure.axes[0].collections if isinstance(c, PathCollection))
    assert not len(dots) and len(crosses) >= 40
    assert "Not enough evidence for a model" in words(figure) and "outliers (40)" in words(figure)


@pytest.mark.parametrize("across", [True, False])
def test_whole_images_stand_beside_the_parts_and_hide_nothing(across: bool) -> None:
    """Neighbours in the west and in the south, whose images lie beside each other and one above the other."""
    rng = np.random.default_rng(0)
    step = np.array([300.0, 0.0] if across else [0.0, 300.0])
    reference = make_raster(GROUND[:SIDE, :SIDE])
    target = make_raster(GROUND[:SIDE, :SIDE], transform=GRID @ Affine.translation(*step))
    xy0 = rng.uniform((5, 5), (395, 395), (3000, 2))
    xy0 = xy0[(xy0 > step + 5).all(axis=1)]
    result = pair(reference, target, xy0, xy0 - step)
    first, second = arranged(common_views(result))
    corners = [panel.corner for panel in (first, second)]
    assert (corners[1] - corners[0])[0 if across else 1] > 0
    for panel in (first, second):
        assert panel.locator is not None
        low, high = panel.locator.corner, panel.locator.corner + panel.locator.size
        for other in (first, second):
            assert (low >= other.corner + other.size).any() or (high <= other.corner).any()
        # no line between the images crosses it
        left, right = first.corner[0], max(first.corner[0] + first.size[0], second.corner[0] + second.size[0])
        assert high[0] <= left or low[0] >= right
    assert words(plot_matches(result)).count("whole image") == 2
