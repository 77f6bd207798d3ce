"""Summary and JSON agree, and their numbers are right."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import GRID, make_raster, texture
from matplotlib.figure import Figure

from s2match import result as result_module
from s2match.core.matches import Matches, Provenance
from s2match.errors import OutputError
from s2match.outputs.coverage import covered_share
from s2match.outputs.facts import facts, write_json
from s2match.outputs.figures.errors import plot_errors
from s2match.outputs.figures.matches import plot_matches, plot_pair
from s2match.outputs.figures.residuals import plot_residuals
from s2match.outputs.figures.saving import as_jpeg, save_figure
from s2match.outputs.summary import summary
from s2match.registration.fit import fit
from s2match.registration.options import FitOptions
from s2match.result import PairResult, assemble
from s2match.settings import Settings

IMAGE = texture(200, 160)


def matched(right: int = 90, wrong: int = 10, georeferenced: bool = True) -> PairResult:
    """A pair whose target is shifted by 2 px to the east and 1 px to the north, at 10 m per pixel."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(10, 150, (right + wrong, 2))
    xy1 = xy0 + [2.0, -1.0]
    xy1[right:] = rng.uniform(10, 150, (wrong, 2))
    georeference = {} if georeferenced else {"transform": None, "crs": None}
    reference, target = (
        make_raster(IMAGE, name=f"T36UXA_{date}T083601_TCI.jp2", **georeference) for date in ("20180820", "20190606")
    )
    matches = Matches(xy0, xy1, rng.uniform(0.8, 1, right + wrong), Provenance("sentinel2", "cpu", 0.8))
    return assemble(reference, target, (reference, target), matches, fit(matches), Settings(device="cpu"))


def test_facts_are_right() -> None:
    values = facts(matched())
    assert values["matches"] == 100 and values["model_accepted"]
    assert values["registration"]["inliers"] == 90
    np.testing.assert_allclose(
        values["registration"]["matrix_reference_file_px_to_target_file_px"],
        [[1, 0, 2], [0, 1, -1], [0, 0, 1]],
        atol=1e-4,
    )
    inliers = values["ground_errors"]["inliers"]
    assert inliers["median_east_m"] == pytest.approx(20) and inliers["median_north_m"] == pytest.approx(10)
    assert inliers["rmse_m"] == inliers["ce90_m"] == pytest.approx(np.hypot(20, 10))
    assert inliers["ce90_native_px"] == pytest.approx(np.hypot(2, 1))
    assert values["ground_errors"]["all_matches"]["rmse_m"] > 100
    assert values["verdict"] == "register"
    displacement = values["displacement"]
    assert displacement["mean_east_m"] == pytest.approx(20) and displacement["mean_north_m"] == pytest.approx(10)
    assert [displacement["rms_m"], displacement["largest_m"]] == pytest.approx([np.hypot(20, 10)] * 2)
    assert 2 < displacement["noise_m"] < 4
    assert values["reference"]["sensed"] == "2018-08-20T08:36:01"
    assert values["target"]["crs"] == "EPSG:32636" and values["target"]["transform"] == list(GRID)[:6]


def test_summary_is_aligned_and_agrees_with_the_facts() -> None:
    lines = summary(matched()).splitlines()
    assert lines[0].startswith(
        "verdict       register with this translation: the target shows the ground 20.0 ± 2.0 m further east and "
    )
    assert lines[1].startswith("reference     T36UXA_20180820") and "200 x 160 px of 10 m" in lines[1]
    assert lines[6].startswith("held out      translation 0.00, similarity 0.00, affine 0.00 px of error")
    # a translation: the same interval as in the verdict, in pixels of 10 m
    assert lines[7].startswith("uncertainty   ± 0.20 px along each axis") and "warning" not in summary(matched())
    # the number of the report
    assert lines[7].endswith(f"; inliers cover {covered_share(matched()):.0%} of it")
    assert "matches       100 with a confidence above 0.80" in lines
    assert "registration  translation, 90 inliers (90%) within 1.5 px" in lines[5]
    east = next(line for line in lines if "shift east" in line)
    north = next(line for line in lines if "shift north" in line)
    assert "20.0 m     2.00 px" in east and "10.0 m     1.00 px" in north
    assert east.rindex(" px") == north.rindex(" px")


def test_too_few_matches_are_an_answer() -> None:
    result = matched(right=11, wrong=0)
    assert result.headline == "11 matches above 0.80, no registration"
    assert summary(result).startswith("verdict       not enough evidence") and facts(result)["displacement"] is None
    assert "registration  none" in summary(result)
    values = facts(result)
    assert values["model_accepted"] is False and values["registration"] is None
    assert (values["geometry"], values["ransac_threshold_px"], values["native_pixel_m"]) == ("auto", 1.5, 10)
    assert values["ground_errors"]["inliers"] is None
    assert values["ground_errors"]["all_matches"]["median_east_m"] == pytest.approx(20)


def test_no_matches_at_all() -> None:
    result = matched(right=0, wrong=0)
    assert result.headline == "0 matches above 0.80, no registration"
    assert "0 with a confidence above 0.80" in summary(result)
    assert facts(result)["ground_errors"] == {"all_matches": None, "inliers": None}


def test_without_georeference_there_are_no_metres() -> None:
    result = matched(georeferenced=False)
    assert "no georeference" in summary(result)
    assert " m " not in summary(result).split("ground errors")[1]
    assert facts(result)["ground_errors"] == {"all_matches": None, "inliers": None}
    assert facts(result)["registration"]["inliers"] == 90


def bent(geometry: str = "field") -> PairResult:
    """A pair whose target is distorted by a sine wave of 1 px."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, 1, (4000, 2)) * [1200, 800]
    wave = np.stack([np.sin(xy0[:, 0] / 200), 0.5 * np.cos(xy0[:, 1] / 150)], axis=1)
    raster = make_raster(np.zeros((800, 1200), np.uint8))
    matches = Matches(
        xy0, xy0 + wave + rng.normal(0, 0.1, wave.shape), np.ones(4000), Provenance("sentinel2", "cpu", 0.8)
    )
    settings = Settings(device="cpu", geometry=geometry)
    return assemble(raster, raster, (raster, raster), matches, fit(matches, FitOptions(geometry)), settings)


def test_residuals_show_where_the_model_is_off() -> None:
    """Residuals of a translation show the wave, those of a field do not."""
    left, bends = facts(bent("translation"))["registration"]["residuals"], facts(bent())["registration"]["residuals"]
    columns = left["by_column"]
    assert len(columns["edges_px"]) == 11 and columns["edges_px"][-1] == 1200
    assert left["by_row"]["edges_px"][-1] == 800 and sum(left["by_row"]["inliers"]) == sum(columns["inliers"])
    middle = np.convolve(columns["edges_px"], [0.5, 0.5], "valid")
    wave = np.sin(middle / 200)
    mean_px = np.array(columns["mean_dx_px"])
    assert np.corrcoef(mean_px, wave)[0, 1] > 0.99 and np.ptp(mean_px) > 1.5
    assert 0.004 < np.median(columns["standard_error_dx_px"]) < 0.02
    assert np.abs(bends["by_column"]["mean_dx_px"]).max() < 0.05 > np.abs(bends["by_row"]["mean_dy_px"]).max()


def test_bins_without_inliers_have_no_residual() -> None:
    columns = facts(matched())["registration"]["residuals"]["by_column"]
    assert (
        columns["inliers"][9] == 0 and columns["mean_dx_px"][9] is None and columns["standard_error_dy_px"][9] is None
    )


def test_residual_figure_says_what_is_shown(tmp_path: Path) -> None:
    figure = plot_residuals(bent("translation"))
    words = texts(figure)
    for word in ("column of the reference (px)", "row of the reference (px)", "target px", "translation", "dx", "dy"):
        assert word in words
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 30_000


def test_json_is_the_facts(tmp_path: Path) -> None:
    write_json(matched(), tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == facts(matched())
    with pytest.raises(OutputError):
        write_json(matched(), tmp_path / "nowhere" / "a.json")


def test_json_holds_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    write_json(matched(), tmp_path / "a.json", {"more": {"one": float("nan"), "some": [float("inf"), 1.5]}})
    content = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert content["more"] == {"one": None, "some": [None, 1.5]}


def texts(figure: object) -> str:
    from matplotlib.text import Text

    return " | ".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def test_summary_tells_how_the_matches_were_found_not_how_they_might_have_been() -> None:
    result = matched()
    other = assemble(
        result.reference,
        result.target,
        result.previews,
        result.matches,
        result.registration,
        Settings(weights="outdoor", confidence=0.1),
    )
    assert "weights       sentinel2 on cpu" in summary(other) and "above 0.80" in summary(other)
    assert facts(other)["weights"] == "sentinel2" and facts(other)["confidence"] == 0.8


def test_names_are_not_typeset_as_formulas(tmp_path: Path) -> None:
    raster = make_raster(IMAGE, name="a$\\x$.tif")
    save_figure(plot_pair(raster, raster), tmp_path / "a.png")
    assert "a$\\x$.tif  (target)" in texts(plot_pair(raster, raster))


def test_figure_says_tile_date_counts_and_error(tmp_path: Path) -> None:
    figure = plot_matches(matched())
    words = texts(figure)
    for word in (
        "T36UXA 2018-08-20",
        "T36UXA 2019-06-06",
        "100 matches above 0.80",
        "90 inliers",
        "scatter about the mean (90 %) 0.00 m",
    ):
        assert word in words
    assert "inliers (90)" in words and "outliers (10)" in words
    save_figure(figure, tmp_path / "a.png")
    save_figure(plot_matches(matched()), tmp_path / "b.png")
    assert len((tmp_path / "a.png").read_bytes()) > 50_000


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_equal_results_write_equal_figures(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        save_figure(plot_matches(matched()), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("options", [{"right": 11, "wrong": 0}, {"right": 0, "wrong": 0}, {"georeferenced": False}])
def test_every_outcome_can_be_drawn(tmp_path: Path, options: dict[str, int]) -> None:
    save_figure(plot_matches(matched(**options)), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 50_000


def test_pair_figure(tmp_path: Path) -> None:
    result = matched()
    words = texts(plot_pair(*result.previews))
    assert "T36UXA 2018-08-20  (reference)" in words and "T36UXA 2019-06-06  (target)" in words


def test_error_figure_says_metres() -> None:
    words = texts(plot_errors(matched()))
    assert "CE90 about zero 22.4 m (2.24 px)" in words and "mean +20.0 m east, +10.0 m north" in words
    assert "shift of the target to the east (m)" in words


@pytest.mark.parametrize(("inches", "width"), [(3.1, 482), (13.0, 1100)])
def test_jpeg_is_as_wide_as_asked_for(inches: float, width: int) -> None:
    with rasterio.MemoryFile(as_jpeg(Figure(figsize=(inches, 2.0)), width_px=width)) as memory, memory.open() as image:
        assert (image.driver, image.width) == ("JPEG", width)


def test_unknown_image_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="png"):
        save_figure(plot_pair(*matched().previews), tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


def test_a_verdict_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summary and JSON use the cached verdict."""
    calls: list[object] = []
    kept = result_module.judge
    monkeypatch.setattr(result_module, "judge", lambda *arguments: calls.append(arguments) or kept(*arguments))
    result = matched()
    for _ in range(3):
        summary(result)
        facts(result)
    assert result.verdict is result.verdict and len(calls) == 1
    assert replace(result).verdict == result.verdict and len(calls) == 2
