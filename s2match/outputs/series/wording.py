"""Lengths, axes and the datum of a series in words."""

import math

from s2match.core.ground_axes import METRES
from s2match.registration.verdict import NORMAL_975
from s2match.timeseries.choices import Datum
from s2match.timeseries.result import SeriesResult

_PIXELS = "px"


def axis_names(unit: str) -> tuple[str, str]:
    """Names of the components of a shift: east and north, right and down in pixels, or x and y in map units."""
    return {METRES: ("east", "north"), _PIXELS: ("right", "down")}.get(unit, ("x", "y"))


def number_text(value: float | None, result: SeriesResult, sign: str = "") -> str:
    """A length with decimals for its unit, without the unit; empty where there is none.

    Args:
        value: The length.
        result: The series.
        sign: "+" for a sign in front of positive numbers, too.
    """
    if value is None or not math.isfinite(value):
        return ""
    digits = 2 if result.unit == METRES else 3
    return f"{value:{sign}z.{digits}f}"


def length_text(value: float | None, result: SeriesResult) -> str:
    """A length with its unit, and in pixels: "0.62 m (0.06 px)"; "unknown" where there is none."""
    if value is None or not math.isfinite(value):
        return "unknown"
    text = f"{number_text(value, result)} {result.unit}"
    return text if result.unit == _PIXELS else f"{text} ({value / result.pixel:.3f} px)"


def shift_text(value: float, std: float, result: SeriesResult) -> str:
    """A component of a shift with its 95 % interval, without the unit: "+3.41 ± 1.02"; empty where there is none.

    Args:
        value: The component.
        std: Its standard error.
        result: The series.
    """
    shift = number_text(value, result, "+")
    return f"{shift} ± {number_text(NORMAL_975 * std, result)}" if shift else ""


def datum_text(result: SeriesResult) -> str:
    """What the shifts are relative to, such as "the mean of the images"."""
    options = result.options
    if options.datum is Datum.MEAN:
        return "the mean of the images"
    if options.datum is Datum.GEOREFERENCE:
        return "the georeference, as the median of the images"
    return "the reference image" if options.reference is None else result.images[options.reference].title
