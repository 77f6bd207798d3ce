"""Ground errors as a table of text, shared by summary and report."""

from collections.abc import Sequence
from dataclasses import dataclass

from s2match.core.ground_axes import GroundAxes
from s2match.core.ground_errors import GroundErrors
from s2match.outputs.facts import axes_title, axis_names, error_facts, unit_key
from s2match.result import PairResult


@dataclass(frozen=True)
class GroundErrorTable:
    """Ground errors as text.

    Attributes:
        columns: The matches that are measured: "all matches", "inliers".
        rows: Name of each error, and per column its length on the ground and in native pixels of the reference.
        notes: The size of a native pixel, the axes, and the number of matches without an error.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    notes: tuple[str, ...]


def ground_error_table(result: PairResult) -> GroundErrorTable | None:
    """Ground errors of all matches and of the inliers; None if no match has one."""
    if result.errors is None:
        return None
    measured = {"all matches": error_facts(result.errors), "inliers": error_facts(result.inlier_errors)}
    columns = {title: values for title, values in measured.items() if values is not None}
    if not columns:
        return None
    unit = result.errors.axes.unit
    rows = tuple(
        (
            name,
            tuple(
                (f"{values[f'{key}_{unit_key(unit)}']:z.1f} {unit}", f"{values[f'{key}_native_px']:z.2f} px")
                for values in columns.values()
            ),
        )
        for name, key in _error_names(result.errors.axes)
    )
    return GroundErrorTable(tuple(columns), rows, tuple(_notes(result.errors)))


def no_errors_reason(result: PairResult) -> str:
    """The reason why no match has an error on the ground."""
    if result.errors is not None:
        outside = "the matches lie outside the area of a reference system"
        return outside if len(result.matches) else "there are no matches"
    if result.reference.georeferenced and result.target.georeferenced:
        return "an image names no reference system"
    return "an image has no georeference"


def _error_names(axes: GroundAxes) -> Sequence[tuple[str, str]]:
    """Name of each error for people, and how its JSON key begins."""
    x, y = axis_names(axes)
    return ((f"shift {x}", f"median_{x}"), (f"shift {y}", f"median_{y}"), ("RMSE", "rmse"), ("CE90", "ce90"))


def _notes(errors: GroundErrors) -> list[str]:
    pixel = f"px: native pixels of {errors.native_pixel_m:.4g} {errors.axes.unit}"
    notes = [f"({pixel}; shifts are medians, {axes_title(errors.axes)})"]
    total = len(errors.east_m)
    outside = total - len(errors.finite.east_m)
    if outside:
        notes.append(f"({outside} of {total} matches lie outside the area of a reference system and do not count)")
    return notes
