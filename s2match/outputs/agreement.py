"""Agreement of the target with the reference before and after its correction, as one table of text."""

import math
from dataclasses import dataclass

from s2match.core.ground_axes import GroundAxes
from s2match.correction.evaluation import Agreement, Improvement
from s2match.outputs.facts import axis_names

# Attribute of Agreement: formats of its name, by the names of the axes, and of its number.
_MEASURES = {
    "matches": ("inliers", "{:d}"),
    "east_m": ("shift {0}", "{:+z.2f} {unit}"),
    "north_m": ("shift {1}", "{:+z.2f} {unit}"),
    "rmse_m": ("RMSE", "{:.2f} {unit}"),
    "ce90_m": ("CE90", "{:.2f} {unit}"),
    "similarity": ("SSIM", "{:.4f}"),
    "mutual_information": ("mutual info", "{:.3f} bits"),
}


@dataclass(frozen=True)
class AgreementRow:
    """A measure before and after the correction.

    Attributes:
        name: Its name, as "shift east".
        before: Its value with the unit, or "unknown".
        after: Likewise.
    """

    name: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """The row as a phrase: "CE90 23.20 m before, 1.90 m after"."""
        return f"{self.name} {self.before} before, {self.after} after"


def agreement_row(improvement: Improvement, measure: str) -> AgreementRow:
    """One measure before and after the correction; ``measure`` is an attribute of :class:`Agreement`."""
    before, after = (measure_text(each, measure, improvement.axes) for each in (improvement.before, improvement.after))
    return AgreementRow(_MEASURES[measure][0].format(*axis_names(improvement.axes)), before, after)


def agreement_rows(improvement: Improvement) -> list[AgreementRow]:
    """Every measure before and after the correction."""
    return [agreement_row(improvement, measure) for measure in _MEASURES]


def measure_text(agreement: Agreement, measure: str, axes: GroundAxes) -> str:
    """A measure as text with its unit; "unknown" where it is NaN."""
    value = getattr(agreement, measure)
    return "unknown" if math.isnan(value) else _MEASURES[measure][1].format(value, unit=axes.unit)


def evaluation_note(improvement: Improvement) -> str:
    """The points that the errors before and after were measured at, as a sentence without full stop."""
    if improvement.same_points:
        return "errors of the inliers of the model, the same before and after; shifts are medians"
    return "errors of the inliers; after the correction, of the image matched again; shifts are medians"
