"""``--fail_above``: the largest displacement that a run may have without an exit code of its own."""

import argparse
import math
import re
from dataclasses import dataclass

METRES, PIXELS = "m", "px"

_LIMIT = re.compile(rf"(?P<size>[0-9.]+(?:[eE][+-]?[0-9]+)?) *(?P<unit>{METRES}|{PIXELS})")


@dataclass(frozen=True)
class Limit:
    """A largest displacement.

    Attributes:
        size: The length.
        unit: Metres on the ground, or native pixels.
    """

    size: float
    unit: str

    def __str__(self) -> str:
        """The limit as on the command line, such as "5m"."""
        return f"{self.size:g}{self.unit}"

    def finding(self, largest: float, unit: str, pixel: float) -> str | None:
        """Why a displacement fails, as a clause; None if it does not exceed the limit.

        Args:
            largest: The largest displacement; NaN if it is not known.
            unit: Its unit; "m" for metres on the ground.
            pixel: Side of a native pixel in that unit.
        """
        if math.isnan(largest) or (self.unit == METRES and unit != METRES):
            reason = "is not known" if math.isnan(largest) else "is not known in metres, without a georeference"
            return f"the displacement {reason}"
        size = largest if self.unit == METRES else largest / pixel
        return f"a displacement of {size:.3g} {self.unit}" if size > self.size else None


def limit(text: str) -> Limit:
    """The limit of a text such as "5m" or "0.5px"; a type of argparse.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    match = _LIMIT.fullmatch(text.strip())
    try:
        size = float(match["size"]) if match else math.nan
    except ValueError:
        size = math.nan
    if match is None or not math.isfinite(size):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length in metres or native pixels, such as 5m or 0.5px")
    return Limit(size, match["unit"])
