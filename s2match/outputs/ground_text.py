"""Errors on the ground in words and rows, shared by summary, JSON and report."""

from s2match.core.grid import georeferenced
from s2match.core.ground_axes import GroundAxes
from s2match.core.ground_errors import GroundErrors
from s2match.result import PairResult


def why_no_errors(result: PairResult) -> str:
    """Why no match has an error on the ground, though there are matches."""
    if result.errors is not None:
        return "the matches lie where a reference system ends"
    if georeferenced(result.reference) and georeferenced(result.target):
        return "an image names no reference system"
    return "an image has no georeference"


def error_rows(metric: bool) -> list[tuple[str, str]]:
    """Names of the ground errors that are told, and how their facts begin."""
    x, y = ("east", "north") if metric else ("x", "y")
    return [(f"shift {x}", f"median_{x}"), (f"shift {y}", f"median_{y}"), ("RMSE", "rmse"), ("CE90", "ce90")]


def unit_key(unit: str) -> str:
    """A unit at the end of the name of a fact."""
    return unit.replace(" ", "_")


def ground_notes(errors: GroundErrors) -> list[str]:
    """What the numbers of ground errors mean, and how many points have none."""
    pixel = f"px: native pixels of {errors.native_pixel_m:.4g} {errors.axes.unit}"
    told = [f"({pixel}; shifts are medians, {axes_in_words(errors.axes)})"]
    nowhere = len(errors.east_m) - len(errors.known.east_m)
    if nowhere:
        told.append(f"({nowhere} of {len(errors.east_m)} matches lie where a reference system ends: they do not count)")
    return told


def axes_in_words(axes: GroundAxes) -> str:
    """What the directions of ground errors are: "east and north along the axes of EPSG:3067"."""
    if axes.in_metres:
        return f"east and north along the axes of {axes.title}"
    return f"x and y of {axes.title}, in units of it"


def error_facts(errors: GroundErrors | None) -> dict[str, float] | None:
    """Ground errors by the names of the JSON; None where there are none."""
    if errors is None or not len(errors.known.east_m):
        return None
    (x, y), (across, along) = errors.median_m, ("east", "north") if errors.axes.in_metres else ("x", "y")
    lengths = {f"median_{across}": x, f"median_{along}": y, "rmse": errors.rmse_m, "ce90": errors.ce90_m}
    unit = unit_key(errors.axes.unit)
    return (
        {"matches": len(errors.known.east_m)}
        | {f"{name}_{unit}": value for name, value in lengths.items()}
        | {f"{name}_native_px": value / errors.native_pixel_m for name, value in lengths.items()}
    )
