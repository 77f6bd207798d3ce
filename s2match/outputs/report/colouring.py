"""What the points of the map can be coloured by."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from numpy.typing import NDArray

from s2match.outputs.figures.style import BLUE, SKY, VERMILION, YELLOW, inliers_of
from s2match.result import PairResult

# From dark to light, readable by colour-blind people and over a grey image.
_RAMP = LinearSegmentedColormap.from_list("points", [BLUE, SKY, YELLOW])
_STEPS = 48

# Highest confidence of the ramp, and least number of nines that the ramp spans.
_MOST_CONFIDENT, _LEAST_SPAN = 0.9999, 0.1

# Lengths above this quantile of the inliers have the last colour; shifts below the opposite one the first.
_QUANTILE = 0.98


@dataclass(frozen=True)
class Colouring:
    """Colours of the points by one of their values.

    Attributes:
        name: The value: ``residual``, ``confidence`` or ``shift``.
        steps: (N,) uint8, index of each point's colour in :func:`colours`.
        labels: Values at the beginning, in the middle and at the end of the ramp.
    """

    name: str
    steps: NDArray[np.uint8]
    labels: tuple[str, str, str]

    @property
    def facts(self) -> dict[str, Any]:
        """The colouring as JSON types; steps are base64."""
        return {"steps": base64.b64encode(self.steps.tobytes()).decode(), "labels": self.labels}


def ramp() -> list[str]:
    """Colours from low to high values."""
    return [to_hex(colour) for colour in _RAMP(np.linspace(0, 1, _STEPS))]


def colours() -> list[str]:
    """Colours of the points: those of the ramp, and that of outliers."""
    return [*ramp(), VERMILION]


def colourings(
    result: PairResult, residual_px: NDArray[np.float64], shift: NDArray[np.float64], unit: str
) -> tuple[Colouring, ...]:
    """Colours of all matches; the first colouring is shown at first.

    Args:
        result: The result.
        residual_px: (N,) distances from the model; NaN without one.
        shift: (N,) lengths of the shifts; NaN where there is none.
        unit: Unit of the shifts.
    """
    confidence, least = result.matches.confidence, result.matches.origin.confidence
    # logarithmic: 0.9 to 0.99 is as long as 0.99 to 0.999
    low = _nines(least)
    high = max(_nines(_MOST_CONFIDENT), low + _LEAST_SPAN)
    middle = 1 - 10 ** (-(low + high) / 2)
    outliers = ~inliers_of(result) if result.registration is not None else np.zeros(len(confidence), np.bool_)
    shares = {
        "residual": _share_of_length(residual_px, ~outliers, "px", from_zero=True),
        "confidence": ((_nines(confidence) - low) / (high - low), (f"{least:.2f}", f"{middle:.3f}", "0.9999")),
        "shift": _share_of_length(shift, ~outliers, unit, from_zero=False),
    }
    return tuple(
        Colouring(name, np.where(outliers, _STEPS, _steps(share[0])).astype(np.uint8), share[1])
        for name, share in shares.items()
        if share is not None
    )


def _nines(confidence: Any) -> Any:
    return -np.log10(1 - np.clip(confidence, 0, _MOST_CONFIDENT))


def _share_of_length(
    lengths: NDArray[np.float64], counted: NDArray[np.bool_], unit: str, from_zero: bool
) -> tuple[NDArray[np.float64], tuple[str, str, str]] | None:
    """Places of lengths on the ramp, 0 to 1, and its labels by the lengths that count; None without one."""
    finite = lengths[counted & np.isfinite(lengths)]
    if not len(finite):
        return None
    low = 0.0 if from_zero else float(np.quantile(finite, 1 - _QUANTILE))
    high = max(float(np.quantile(finite, _QUANTILE)), low + 1e-6)
    first = "0" if from_zero else f"≤ {low:.3g}"
    return (lengths - low) / (high - low), (first, f"{(low + high) / 2:.3g}", f"≥ {high:.3g} {unit}")


def _steps(share: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.asarray(np.clip(np.nan_to_num(share) * _STEPS, 0, _STEPS - 1), np.intp)
