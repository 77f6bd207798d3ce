"""The outcome of a correction as lines of the summary."""

from s2match.correction.decision import CorrectionOutcome, DecisionCode
from s2match.correction.evaluation import Improvement
from s2match.correction.request import CorrectionRequest
from s2match.outputs.agreement import agreement_row, agreement_rows, evaluation_note

# Measures that decide whether a correction is better.
_DECIDING = ("rmse_m", "mutual_information")


def reason_text(outcome: CorrectionOutcome) -> str:
    """Why corrected files were kept or not, with the numbers that decide, as a clause without full stop."""
    decision = outcome.decision
    if outcome.improvement is None or decision.code is not DecisionCode.NOT_BETTER:
        return decision.reason
    return f"{decision.reason}: {changes_text(outcome.improvement)}"


def changes_text(improvement: Improvement) -> str:
    """The measures that decide, before and after the correction."""
    return "; ".join(agreement_row(improvement, measure).change for measure in _DECIDING)


def warning_line(outcome: CorrectionOutcome) -> str | None:
    """Warning that files were kept although the agreement did not improve, or this is unknown; None for no warning."""
    decision, improvement = outcome.decision, outcome.improvement
    if not decision.kept or improvement is None or improvement.better:
        return None
    if improvement.better is None:
        return f"{'warning':<14}{decision.reason}"
    return f"{'warning':<14}the correction did not make it better: {changes_text(improvement)}"


def correction_lines(request: CorrectionRequest, outcome: CorrectionOutcome) -> list[str]:
    """Lines of the summary: the corrected file, and a table of the agreement before and after.

    Args:
        request: The files to correct.
        outcome: The outcome.
    """
    lines, decision, improvement = [], outcome.decision, outcome.improvement
    if decision.kept:
        kernel = request.resampling
        how = "pixels unchanged, georeference moved" if kernel is None else f"{kernel} resampling"
        how += f"; on --force: {decision.reason}" if decision.forced else ""
        lines.append(f"{'corrected':<14}{request.out}  ({how})")
    if improvement is None:
        return [*lines, decision.reason] if decision.code is DecisionCode.NOT_COMPARED else lines
    lines.append(f"{'correction':<14}{'before':>26}{'after':>26}")
    lines += [f"  {row.name:<12}{row.before:>26}{row.after:>26}" for row in agreement_rows(improvement)]
    return [*lines, f"  ({evaluation_note(improvement)})"]


def not_written_line(request: CorrectionRequest, outcome: CorrectionOutcome) -> str | None:
    """Line of the summary that names the files that were not written, and the reason; None if they were."""
    if outcome.decision.kept:
        return None
    files = ", ".join(map(str, request.outputs))
    hint = "" if outcome.decision.code is DecisionCode.NO_REGISTRATION else "; --force overrides this"
    return f"{'not written':<14}{files}: {reason_text(outcome)}{hint}"
