"""The outcome of a correction as lines of the summary."""

from s2match.correction.evaluation import Improvement
from s2match.correction.request import CorrectionRequest
from s2match.outputs.agreement import agreement_row, agreement_rows, evaluation_note
from s2match.registration.verdict import Decision
from s2match.result import PairResult

UNCERTAIN = "whether the correction helped is unknown: the images share too little ground to compare"


def warning_line(improvement: Improvement | None) -> str | None:
    """Warning that the agreement did not improve, or that this is unknown; None if it improved."""
    if improvement is None or improvement.better:
        return None
    if improvement.better is None:
        return f"{'warning':<14}{UNCERTAIN}"
    changes = "; ".join(agreement_row(improvement, measure).change for measure in ("rmse_m", "similarity"))
    return f"{'warning':<14}the correction did not make it better: {changes}"


def correction_lines(result: PairResult, request: CorrectionRequest, improvement: Improvement | None) -> list[str]:
    """Lines of the summary: the corrected file, and a table of the agreement before and after.

    Args:
        result: The pair.
        request: The files that were corrected.
        improvement: The agreement before and after; None if an image has no georeference.
    """
    how = "pixels unchanged, georeference moved" if request.resampling is None else f"{request.resampling} resampling"
    if result.verdict.decision is Decision.REGISTERED:
        how += "; the pair was registered already, and the correction is within the noise"
    lines = [f"{'corrected':<14}{request.out}  ({how})"]
    if improvement is None:
        return [*lines, "before and after unknown: an image has no georeference"]
    lines.append(f"{'correction':<14}{'before':>26}{'after':>26}")
    lines += [f"  {row.name:<12}{row.before:>26}{row.after:>26}" for row in agreement_rows(improvement)]
    return [*lines, f"  ({evaluation_note(improvement)})"]
