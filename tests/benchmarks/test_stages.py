"""The time of commands is divided into stages."""

from dataclasses import asdict, replace

import pytest
from conftest import ROOT

from benchmarks import profile
from benchmarks.stages import stage_of, stages_of


@pytest.mark.slow
def test_commands_are_divided_into_stages() -> None:
    case = profile.Case("small", "sample", ("--image_size", "256", "256"))
    now, other = profile.measure(case, [], 1, (ROOT, ROOT))
    for measured in (now, other):
        assert measured.seconds == pytest.approx(sum(measured.stages_s.values()), abs=0.01)
        assert all(seconds >= 0 for seconds in measured.stages_s.values())
        assert min(measured.stages_s[stage] for stage in ("imports", "weights", "figures and files")) > 0
        assert measured.peak_gib > 0.3
    before = asdict(replace(other, seconds=3 * now.seconds))
    line = profile.table({"cases": [asdict(now) | {"before": before}]}).splitlines()[-1]
    assert line.startswith("| small | ") and "(3.0×)" in line


def test_the_innermost_stage_counts_but_for_second_matches() -> None:
    backbone = [("torch.nn", "conv2d"), ("s2match.loftr.engine", "extract"), ("s2match.matching.single_pass", "match")]
    assert stage_of(backbone) == "backbone"
    assert stage_of([*backbone, ("s2match.pipeline", "rematch")]) == "second match"
    assert stage_of([("json", "dumps")]) == "other"


def test_where_the_main_thread_waits_the_stages_of_the_others_count() -> None:
    waiting = [("threading", "wait"), ("concurrent.futures._base", "result"), ("s2match.correction.apply", "correct")]
    resting = [("concurrent.futures.thread", "_worker"), ("threading", "run")]
    decoding = [("s2match.io.image_file", "read"), *resting]
    refining = [("s2match.matching.displacement", "measure"), *resting]
    assert stages_of(waiting, [resting, decoding, refining]) == ["decoding", "refinement"]
    drawing = [("s2match.util.background", "results_in_order"), ("s2match.matching.tiled", "match")]
    assert stages_of(waiting, [drawing, decoding]) == ["decoding"]
    assert stages_of(waiting, [resting]) == ["other"]
    assert stages_of(decoding, [refining]) == ["decoding"]
    assert stages_of([*waiting, ("s2match.pipeline", "rematch")], [decoding]) == ["second match"]
