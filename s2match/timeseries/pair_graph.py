"""Which pairs of a series to match."""

from dataclasses import dataclass
from enum import StrEnum


class PairMode(StrEnum):
    """How pairs are chosen; the values are those of ``--pairs``."""

    REFERENCE = "reference"
    CONSECUTIVE = "consecutive"
    NETWORK = "network"


@dataclass(frozen=True)
class PlannedPair:
    """A pair to match.

    Attributes:
        reference: Index of the reference in the series; lower than that of the target.
        target: Index of the target.
        overlap: Fraction of the smaller footprint that both images show, 0 to 1.
        days_apart: Days between the two dates; None if one is unknown.
    """

    reference: int
    target: int
    overlap: float = 1.0
    days_apart: int | None = None
