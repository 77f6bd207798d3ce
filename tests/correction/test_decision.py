"""Corrected files are kept where the verdict is to register and the corrected image agrees better."""

import math
from dataclasses import replace

import pytest
from pairs import GOOD, POOR

from s2match.correction.decision import decide, needs_correction
from s2match.correction.evaluation import Agreement, Improvement
from s2match.registration.verdict import Decision, Verdict

REGISTER = Verdict(Decision.REGISTER, "translation")


def improvement(before: Agreement, after: Agreement) -> Improvement:
    return Improvement(before, after, ())  # type: ignore[arg-type]


BETTER = improvement(POOR, GOOD)
NO_MATCH = replace(GOOD, matches=0, rmse_m=math.nan)
CASES = {
    "better": (BETTER, "better", True),
    "worse": (improvement(GOOD, POOR), "not_better", False),
    "the same": (improvement(GOOD, GOOD), "not_better", False),
    "by the matches alone": (improvement(POOR, replace(GOOD, mutual_information=0.3)), "not_better", False),
    "by the pixels alone": (improvement(POOR, replace(GOOD, rmse_m=23.0)), "not_better", False),
    "inverted contrast": (improvement(replace(POOR, similarity=-0.2), replace(GOOD, similarity=-0.6)), "better", True),
    "no match after": (improvement(POOR, NO_MATCH), "not_better", False),
    "no match before": (improvement(NO_MATCH, GOOD), "not_compared", True),
    "no common pixel": (improvement(POOR, replace(GOOD, mutual_information=math.nan)), "not_compared", True),
    "no georeference": (None, "not_compared", True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pair_to_register_is_decided_by_its_pixels_and_matches(case: str) -> None:
    measured, code, kept = CASES[case]
    decision = decide(REGISTER, measured)
    assert (decision.code, decision.kept, decision.forced) == (code, kept, False)
    forced = decide(REGISTER, measured, force=True)
    assert (forced.code, forced.reason) == (decision.code, decision.reason)
    assert (forced.kept, forced.forced) == (True, not kept)


def test_without_a_model_there_is_nothing_to_force() -> None:
    for force in (False, True):
        decision = decide(Verdict(Decision.UNKNOWN), None, force)
        assert (decision.code, decision.kept, decision.forced) == ("no_registration", False, False)
        assert decision.reason == "there is no registration"


@pytest.mark.parametrize("verdict", sorted(set(Decision) - {Decision.REGISTER}))
@pytest.mark.parametrize("measured", [None, BETTER])
def test_every_other_verdict_writes_nothing(verdict: Decision, measured: Improvement | None) -> None:
    """Whatever is measured; the reason repeats the verdict."""
    judged = Verdict(verdict, "translation")
    decision = decide(judged, measured)
    assert not needs_correction(judged) and not decision.kept and decision.code == "not_needed"
    assert decision.reason == f'the verdict is "{verdict}"'
    forced = decide(judged, measured, force=True)
    assert forced.kept and forced.forced
