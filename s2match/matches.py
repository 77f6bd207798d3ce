"""What goes into a matcher and what comes out of it, as values.

Nothing here needs PyTorch: images are read, and results handled, without waiting for its import.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Side of a cell of the network's coarse grid.
CELL_PX = 8

# What neighbours agree on is taken of this many cells to each side of a match: 11 × 11 cells of 8 px.
REACH_CELLS = 5
PATCH_PX = float(CELL_PX * (2 * REACH_CELLS + 1))


@dataclass(frozen=True)
class GreyImage:
    """What the network sees.

    Attributes:
        grey: H×W float32 in [0, 1]; 0 where not valid.
        valid: H×W bool.
    """

    grey: NDArray[np.float32]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Origin:
    """How matches were found.

    Attributes:
        weights: Name of the weights, or of the method.
        device: Where it ran.
        confidence: All matches have a confidence above this.
    """

    weights: str
    device: str
    confidence: float


@dataclass(frozen=True)
class Matches:
    """Points of one image and the same features in another.

    Attributes:
        xy0: (N, 2) positions (x, y) in the reference image, pixels, GDAL frame.
        xy1: (N, 2) positions in the target image, likewise.
        confidence: (N,) confidence in [0, 1].
        origin: How they were found.
        scatter_px: (N,) distance of each point of the target from what was found for it alone, where it is what its
            neighbours agree on; None where every point was found alone.
        similarity: (N,) correlation of the edges around the two points, up to 1, where the points were refined
            (:mod:`s2match.refinement`); None where they were not.
        correlated: (N,) whether a point was found by the edges alone, where the network found none
            (:mod:`s2match.filling`); None where none was sought.
    """

    xy0: NDArray[np.float64]
    xy1: NDArray[np.float64]
    confidence: NDArray[np.float64]
    origin: Origin
    scatter_px: NDArray[np.float64] | None = None
    similarity: NDArray[np.float64] | None = None
    correlated: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Number of matches."""
        return len(self.confidence)

    def of(self, chosen: NDArray[np.bool_]) -> "Matches":
        """Some of the matches, chosen by an (N,) mask."""
        return Matches(
            self.xy0[chosen],
            self.xy1[chosen],
            self.confidence[chosen],
            self.origin,
            None if self.scatter_px is None else self.scatter_px[chosen],
            None if self.similarity is None else self.similarity[chosen],
            None if self.correlated is None else self.correlated[chosen],
        )

    def above(self, confidence: float) -> "Matches":
        """Those with a confidence above a threshold."""
        origin = replace(self.origin, confidence=confidence)
        return replace(self.of(self.confidence > confidence), origin=origin)

    @classmethod
    def joined(cls, parts: Sequence["Matches"]) -> "Matches":
        """All matches of at least one part; the parts are of one origin."""
        return cls(
            np.concatenate([part.xy0 for part in parts]),
            np.concatenate([part.xy1 for part in parts]),
            np.concatenate([part.confidence for part in parts]),
            parts[0].origin,
            _all_of([part.scatter_px for part in parts]),
            _all_of([part.similarity for part in parts]),
            _all_of([_marks(part) for part in parts]) if any(part.correlated is not None for part in parts) else None,
        )


def _marks(part: Matches) -> NDArray[np.bool_]:
    return np.zeros(len(part), np.bool_) if part.correlated is None else part.correlated


def _all_of(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None
