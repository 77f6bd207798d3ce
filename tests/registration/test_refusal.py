"""Without a registration, a result gives the cause and advice."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM, Writer, make_raster, texture
from numpy.typing import NDArray

import model_inference
from s2match.core.mask import Masking
from s2match.core.matches import Matches, Provenance
from s2match.core.radiometry import Radiometry
from s2match.core.raster import Raster
from s2match.outputs.facts import facts
from s2match.outputs.summary import summary
from s2match.registration.evidence import common_ground
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.registration.options import FitOptions
from s2match.result import PairResult, assemble
from s2match.settings import Settings

IMAGE = texture(400, 400)
PLACES = np.random.default_rng(0).uniform(0, 400, (300, 2))
SCATTERED = np.random.default_rng(1).uniform(0, 400, (300, 2))


def result_of(
    xy0: NDArray[np.float64],
    xy1: NDArray[np.float64],
    confidence: float = 0.8,
    target: Raster | None = None,
    native: tuple[int, int] = (400, 400),
) -> PairResult:
    """Matches between images of 400 × 400 px of 10 m, each fitted to its neighbours."""
    reference = make_raster(IMAGE)
    reference = replace(reference, grid=replace(reference.grid, native_size=native))
    target = target or make_raster(IMAGE)
    count = len(xy0)
    matches = Matches(xy0, xy1, np.full(count, 0.9), Provenance("test", "cpu", confidence), np.full(count, 0.3))
    fitted = fit(matches, ground=common_ground(reference, target))
    return assemble(reference, target, (reference, target), matches, fitted, Settings(device="cpu"))


def told(result: PairResult) -> tuple[str, str]:
    """The code and the lines of the summary about it."""
    failure = facts(result)["registration_failure"]
    lines = summary(result).splitlines()
    begin = next(k for k, line in enumerate(lines) if line.startswith("registration"))
    end = begin + 1 + len(failure["advice"])
    assert lines[begin] == f"registration  none: {failure['cause']}"
    assert [line[14:] for line in lines[begin + 1 : end]] == list(failure["advice"])
    return failure["code"], "\n".join(lines[begin:end])


def test_without_matches_no_lower_confidence_is_advised() -> None:
    code, words = told(result_of(PLACES[:0], PLACES[:0]))
    assert code == "hardly_any_matches" and "there are no matches" in words
    assert "confidence" not in words and "another date" in words and "one place" in words


def test_a_single_match() -> None:
    assert "there is only one match, and 13 must agree" in told(result_of(PLACES[:1], PLACES[:1]))[1]


def test_without_georeference_the_turns_that_were_tried_are_told() -> None:
    words = told(result_of(PLACES, SCATTERED, target=make_raster(IMAGE, None)))[1]
    assert "check that both images show one place: all turns and scales of 0.5 to 2 were tried" in words
    assert "turns" not in told(result_of(PLACES, SCATTERED))[1]


@pytest.mark.parametrize(("confidence", "lower"), [(0.8, True), (0.2, False), (0.1, False)])
def test_a_lower_confidence_is_advised_only_where_there_is_one(confidence: float, lower: bool) -> None:
    code, words = told(result_of(PLACES[:5], PLACES[:5], confidence))
    assert code == "hardly_any_matches" and "there are only 5 matches, and 13 must agree" in words
    assert ("lower confidence" in words) == lower


def test_matches_that_disagree() -> None:
    code, words = told(result_of(PLACES, SCATTERED))
    assert code == "too_few_agree"
    assert re.search(r"only \d+ of 300 matches agree, and 42 must", words)


def test_tie_points_of_a_file_are_not_called_matches() -> None:
    result = result_of(PLACES[:5], PLACES[:5])
    origin = replace(result.matches.origin, imported=True)
    code, words = told(replace(result, matches=replace(result.matches, origin=origin)))
    assert code == "hardly_any_matches" and "there are only 5 tie points" in words and "more tie points" in words
    assert "confidence" not in words and "date" not in words


def test_one_cluster() -> None:
    spot = PLACES / 8 + 30
    code, words = told(result_of(spot, spot + [3, 4]))
    assert code == "one_cluster" and "300 matches that agree cover no more ground than one cluster" in words
    assert "more ground in common" in words


@pytest.mark.parametrize("length_px", [0, 360])
@pytest.mark.parametrize("model", ["affine", "homography", "field"])
def test_matches_on_one_line_or_in_one_place(model: str, length_px: float) -> None:
    along = np.linspace(20, 20 + length_px, 100)
    line = np.stack([along, 0.5 * along + 3], axis=1)
    matches = Matches(line, line + [3, 4], np.ones(100), Provenance("test", "cpu", 0.8))
    raster = make_raster(IMAGE)
    fitted = fit(matches, FitOptions(model))
    code, words = told(assemble(raster, raster, (raster, raster), matches, fitted, Settings(geometry=model)))
    assert code == "one_line" and "matches that lie on one line" in words and "--geometry translation" in words
    assert isinstance(fit(matches), Registration)


@pytest.mark.parametrize(("factor", "words"), [((3, 3), "3.00 to 3.00 times"), ((-1, 1), "mirrors the target")])
def test_implausible_models(factor: tuple[float, float], words: str) -> None:
    code, said = told(result_of(PLACES, PLACES * factor))
    assert code == "implausible" and words in said
    assert "confidence" not in said and "orientation" in said


def test_a_narrow_overlap_is_too_small() -> None:
    beside = make_raster(IMAGE, transform=GRID @ Affine.translation(360, 0))
    code, words = told(result_of(PLACES[:5], PLACES[:5], target=beside, native=(4000, 4000)))
    assert code == "too_small" and "40 px wide" in words and "native" in words


def test_a_larger_size_is_advised_where_the_file_has_one() -> None:
    assert "native" in told(result_of(PLACES[:5], PLACES[:5], native=(4000, 4000)))[1]
    assert "native" not in told(result_of(PLACES[:5], PLACES[:5]))[1]


def test_nodata_and_masks_that_leave_little() -> None:
    valid = np.zeros(IMAGE.shape, np.bool_)
    valid[:80] = True
    target = make_raster(IMAGE, valid=valid)
    grid = replace(target.grid, masking=Masking(clouds=True))
    target = replace(target, grid=grid, masked_share=0.5, cloud_share=0.5)
    code, words = told(result_of(PLACES[:5], PLACES[:5], target=target))
    assert code == "little_clear_ground"
    assert "only 20% of the common ground is clear" in words and "target 30% nodata, 50% masked" in words
    assert "another date" in words and "--mask_clouds" not in words and "confidence" not in words


def true_colour(image: NDArray[np.uint8]) -> Raster:
    raster = make_raster(image)
    return replace(raster, grid=replace(raster.grid, radiometry=Radiometry(1, 0, "true colour", saturated=245)))


def test_thick_cloud_that_is_not_masked() -> None:
    white = IMAGE.copy()
    white[:, 100:] = 255
    code, words = told(result_of(PLACES[:5], PLACES[:5], target=true_colour(white)))
    assert code == "little_clear_ground" and re.search(r"target 8\d% thick cloud", words)
    assert "to try        another date" in words and "--mask_clouds" not in words
    half = IMAGE.copy()
    half[:, 250:] = 255
    code, words = told(result_of(PLACES[:5], PLACES[:5], target=true_colour(half)))
    assert code == "hardly_any_matches" and "--mask_clouds" in words


def test_a_map_without_a_reference_system_that_lies_elsewhere_is_refused_in_words() -> None:
    """One image names its reference system and the other has a geotransform alone, which does not lie on the first."""
    reference = make_raster(IMAGE)
    target = make_raster(IMAGE, Affine(10, 0, 0, 0, -10, 4000), None)
    matches = Matches(PLACES, SCATTERED, np.full(300, 0.9), Provenance("test", "cpu", 0.8), np.full(300, 0.3))
    fitted = fit(matches, ground=common_ground(reference, target))
    code, words = told(assemble(reference, target, (reference, target), matches, fitted, Settings(device="cpu")))
    assert code == "too_few_agree" and "of 300 matches agree" in words


def run(tmp_path: Path, reference: Path, target: Path, *options: object) -> tuple[int, dict[str, Any]]:
    written = tmp_path / "facts.json"
    arguments = ["--images", reference, target, "--image_size", 256, 256, "--output", tmp_path / "r.png", "--no-show"]
    code = model_inference.main([str(word) for word in (*arguments, "--overwrite", "--json", written, *options)])
    return code, json.loads(written.read_text())


def test_the_command_prints_the_cause(tmp_path: Path, write_image: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    """The georeference of two different places is the same, and the verdict does not call it missing."""
    first, second = (write_image(f"{k}.tif", texture(256, 256, seed=k), GRID, UTM) for k in (1, 2))
    code, found = run(tmp_path, first, second, "--confidence", 0.2, "--report", tmp_path / "report")
    said = capsys.readouterr().out
    assert code == model_inference.NO_REGISTRATION and found["registration_failure"]["code"] in (
        "hardly_any_matches",
        "too_few_agree",
        "one_cluster",
    )
    assert said.startswith("verdict       not enough evidence: only the georeference relates the images")
    assert f"none: {found['registration_failure']['cause']}" in said and "lower confidence" not in said
    assert "nan" not in said and found["registration_failure"]["cause"] in (tmp_path / "report/index.html").read_text()
