"""Whether the corrected files of a pair are kept."""

from dataclasses import dataclass
from enum import StrEnum

from s2match.correction.evaluation import Improvement
from s2match.registration.verdict import Decision, Verdict


class DecisionCode(StrEnum):
    """What decides whether corrected files are kept."""

    BETTER = "better"
    NOT_COMPARED = "not_compared"
    NOT_NEEDED = "not_needed"
    NOT_BETTER = "not_better"
    NO_REGISTRATION = "no_registration"


_UNKNOWN = "whether the correction helped is unknown"

_KEPT = (DecisionCode.BETTER, DecisionCode.NOT_COMPARED)
_KEPT_ON_FORCE = (DecisionCode.NOT_NEEDED, DecisionCode.NOT_BETTER)


@dataclass(frozen=True)
class CorrectionDecision:
    """Whether the corrected files of a pair are kept, and why.

    Attributes:
        code: What decides: ``better`` (the corrected image agrees better with the reference), ``not_compared`` (that
            cannot be measured), ``not_better``, ``not_needed`` (the verdict is not *register*) or ``no_registration``.
        reason: The reason as a clause for the user, without full stop.
        kept: Whether the files are kept.
        forced: Whether they are kept although the code is ``not_better`` or ``not_needed``.
    """

    code: DecisionCode
    reason: str
    kept: bool
    forced: bool = False


@dataclass(frozen=True)
class CorrectionOutcome:
    """The outcome of a request to correct a pair.

    Attributes:
        decision: Whether the corrected files were kept.
        improvement: The agreement before and after; None if nothing was corrected, or if an image has no georeference.
    """

    decision: CorrectionDecision
    improvement: Improvement | None = None


def decide(verdict: Verdict, improvement: Improvement | None, force: bool = False) -> CorrectionDecision:
    """Decide whether the corrected files of a pair are kept.

    They are kept if the verdict is *register*, unless the corrected image does not agree better with the reference (see
    :attr:`Improvement.better`). Without a registration there are none.

    Args:
        verdict: The verdict on the pair.
        improvement: The agreement before and after; None if it was not measured.
        force: Keep the files whatever the verdict and the agreement are.
    """
    code, reason = _reason(verdict, improvement)
    forced = force and code in _KEPT_ON_FORCE
    return CorrectionDecision(code, reason, forced or code in _KEPT, forced)


def needs_correction(verdict: Verdict) -> bool:
    """Whether the verdict on a pair is *register*."""
    return verdict.decision is Decision.REGISTER


def _reason(verdict: Verdict, improvement: Improvement | None) -> tuple[DecisionCode, str]:
    if verdict.model is None:
        return DecisionCode.NO_REGISTRATION, "there is no registration"
    if not needs_correction(verdict):
        return DecisionCode.NOT_NEEDED, f'the verdict is "{verdict.decision}"'
    if improvement is None:
        return DecisionCode.NOT_COMPARED, f"{_UNKNOWN}: an image has no georeference"
    if improvement.better is None:
        return DecisionCode.NOT_COMPARED, f"{_UNKNOWN}: the images share too little ground to compare"
    if improvement.better:
        return DecisionCode.BETTER, "the corrected image agrees better with the reference"
    return DecisionCode.NOT_BETTER, "the corrected image does not agree better with the reference"
