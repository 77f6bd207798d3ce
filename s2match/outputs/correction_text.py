"""What is known about a correction, for people and for machines: where it went, and whether it helped."""

import math
import re
from dataclasses import asdict
from typing import Any

from s2match.core.ground_axes import GroundAxes
from s2match.correction.evaluation import Agreement, Improvement
from s2match.correction.request import CorrectionRequest
from s2match.outputs.ground_text import unit_key
from s2match.registration.verdict import Decision
from s2match.result import PairResult

_ROWS = (
    ("matches", "matches", "{:.0f}"),
    ("shift east", "east_m", "{:.2f} m"),
    ("shift north", "north_m", "{:.2f} m"),
    ("RMSE", "rmse_m", "{:.2f} m"),
    ("CE90", "ce90_m", "{:.2f} m"),
    ("similarity", "similarity", "{:.4f}"),
    ("information", "mutual_information", "{:.3f} bits"),
)


def warning_line(improvement: Improvement | None) -> str | None:
    """The first line: that the correction did not help, or that this is not known; None where it helped."""
    if improvement is None or improvement.better:
        return None
    if improvement.better is None:
        return f"{'warning':<14}whether the correction made it better is unknown: too little common ground to compare"
    compared = [
        f"{name} {' before and '.join(_cell(one, key, form) for one in (improvement.before, improvement.after))} after"
        for name, key, form in _rows(improvement)
        if key in ("rmse_m", "similarity")
    ]
    return f"{'warning':<14}the correction did not make it better: {', '.join(compared)}"


def correction_lines(result: PairResult, order: CorrectionRequest, improvement: Improvement | None) -> list[str]:
    """What was corrected, and a table of before and after."""
    how = "pixels unchanged, georeference moved" if order.resampling is None else f"{order.resampling} resampling"
    if result.verdict.decision is Decision.REGISTERED:
        how += "; the pair was registered already, what this moves is within the noise"
    lines = [f"{'corrected':<14}{order.out}  ({how})"]
    if improvement is None:
        return [*lines, "before and after unknown: an image has no georeference"]
    lines.append(f"{'correction':<14}{'before':>26}{'after':>26}")
    for name, key, form in _rows(improvement):
        cells = (_cell(agreement, key, form) for agreement in (improvement.before, improvement.after))
        lines.append(f"  {name:<12}" + "".join(f"{cell:>26}" for cell in cells))
    return [*lines, f"  ({measured_by(improvement)})"]


def measured_by(improvement: Improvement) -> str:
    """What the errors before and after were measured at."""
    if improvement.same_points:
        return "errors of the same tie points before and after: those that the model was fitted to"
    return "errors of matches: those of the pair before, those of the corrected image, matched again, after"


def correction_facts(order: CorrectionRequest, improvement: Improvement | None) -> dict[str, Any]:
    """The same as JSON types."""
    return {
        "correction": {
            "resampling": order.resampling,
            "files": [path.name for path in order.outputs],
            "same_points": None if improvement is None else improvement.same_points,
            "better": None if improvement is None else improvement.better,
            "before": None if improvement is None else _facts(improvement.before, improvement.axes),
            "after": None if improvement is None else _facts(improvement.after, improvement.axes),
        }
    }


def number_text(value: float, form: str) -> str:
    """A number in a format, or "unknown" for what is not a number."""
    return "unknown" if math.isnan(value) else form.format(value)


def in_units(text: str, axes: GroundAxes) -> str:
    """A name, or the format of a number, of ground errors in the units and along the axes that they are in."""
    if axes.in_metres:
        return text
    return re.sub(r" m$", f" {axes.unit}", text).replace("east", "x").replace("north", "y")


def _rows(improvement: Improvement) -> list[tuple[str, str, str]]:
    """Name, key and format of what is compared."""
    return [(in_units(name, improvement.axes), key, in_units(form, improvement.axes)) for name, key, form in _ROWS]


def _cell(agreement: Agreement, key: str, form: str) -> str:
    return number_text(getattr(agreement, key), form)


def _facts(agreement: Agreement, axes: GroundAxes) -> dict[str, float | None]:
    known = {name: None if math.isnan(value) else value for name, value in asdict(agreement).items()}
    if axes.in_metres:
        return known
    unit = unit_key(axes.unit)
    names = {"east_m": f"x_{unit}", "north_m": f"y_{unit}", "rmse_m": f"rmse_{unit}", "ce90_m": f"ce90_{unit}"}
    return {names.get(name, name): value for name, value in known.items()}
