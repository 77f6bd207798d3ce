"""The table of a list of pairs: a row for each pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from s2match.correction.decision import CorrectionOutcome
from s2match.outputs.csv_table import Column
from s2match.registration.verdict import Displacement, in_words
from s2match.result import PairResult

_LENGTH = "unit"


class Status(StrEnum):
    """What became of a pair; the values are stable."""

    MATCHED = "matched"
    NO_REGISTRATION = "no_registration"
    FAILED = "failed"


@dataclass(frozen=True)
class PairRow:
    """A row of the table; :data:`COLUMNS` explains the attributes.

    All values are plain numbers and text.
    """

    name: str
    reference: str
    target: str
    status: str
    decision: str = ""
    model: str = ""
    matches: int | None = None
    inliers: int | None = None
    dx_m: float | None = None
    dy_m: float | None = None
    shift_95_m: float | None = None
    largest_m: float | None = None
    rmse_m: float | None = None
    ce90_m: float | None = None
    unit: str = ""
    pixel_m: float | None = None
    corrected: bool | None = None
    seconds: float | None = None
    message: str = ""


COLUMNS: Mapping[str, Column] = {
    "name": Column("", "Name of the pair, and of the folder of its results"),
    "reference": Column("", "Path or URL of the reference"),
    "target": Column("", "Path or URL of the target"),
    "status": Column("", "matched, no_registration or failed"),
    "decision": Column("", "Decision of the verdict, such as register or already registered"),
    "model": Column("", "Name of the model"),
    "matches": Column("", "Number of matches"),
    "inliers": Column("", "Number of inliers"),
    "dx_m": Column(_LENGTH, "Mean shift of the target over the common ground to the east; to the right in px"),
    "dy_m": Column(_LENGTH, "The same to the north; down in px"),
    "shift_95_m": Column(_LENGTH, "Half width of the 95 % interval of dx_m and of dy_m"),
    "largest_m": Column(_LENGTH, "Largest displacement of the common ground"),
    "rmse_m": Column("m or map units", "Root mean square ground error of the inliers, before any correction"),
    "ce90_m": Column("m or map units", "Their 90 % circular error"),
    "unit": Column("", "Unit of the lengths: m; or px or map units, if the images have no reference system"),
    "pixel_m": Column(_LENGTH, "Side of a pixel of the target's file"),
    "corrected": Column("", "With --coregister: whether corrected files were written, true or false"),
    "seconds": Column("s", "Time that the pair took"),
    "message": Column("", "The verdict in words, or why there is no registration, or the error"),
}


def row_of(
    names: tuple[str, str, str], result: PairResult, outcome: CorrectionOutcome | None, seconds: float
) -> PairRow:
    """The row of a matched pair.

    Args:
        names: Name of the pair, reference and target.
        result: The pair.
        outcome: The outcome of its correction; None without one.
        seconds: Time that it took.
    """
    registration, errors = result.registration, result.inlier_errors
    shift = result.verdict.displacement
    refusal = result.refusal
    return PairRow(
        *names,
        status=str(Status.NO_REGISTRATION if registration is None else Status.MATCHED),
        decision=str(result.verdict.decision),
        model="" if registration is None else registration.model,
        matches=len(result.matches),
        inliers=None if registration is None else int(registration.inliers.sum()),
        rmse_m=None if errors is None else float(errors.rmse_m),
        ce90_m=None if errors is None else float(errors.ce90_m),
        corrected=None if outcome is None else outcome.decision.kept,
        seconds=seconds,
        message=in_words(result.verdict) if refusal is None else refusal.cause,
        **({} if shift is None else _lengths(shift)),
    )


def _lengths(shift: Displacement) -> dict[str, Any]:
    """Columns of the displacement, by their names."""
    return {
        "dx_m": float(shift.shift[0]),
        "dy_m": float(shift.shift[1]),
        "shift_95_m": float(shift.shift_error),
        "largest_m": float(shift.largest),
        "unit": shift.unit,
        "pixel_m": float(shift.native_pixel),
    }
