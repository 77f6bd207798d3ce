"""What goes into a matcher and what comes out of it, as values.

Nothing here needs PyTorch: images are read, and results handled, without waiting for its import.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

    def shows(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether points (N, 2), (x, y) in the GDAL frame, fall on valid pixels of the image."""
        height, width = self.valid.shape
        column, row = np.floor(xy).astype(int).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return np.asarray(inside & self.valid[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)])


@dataclass(frozen=True)
class Provenance:
    """How matches were found.

    Attributes:
        weights: Name of the weights, or of the method.
        device: Where it ran.
        confidence: All matches have a confidence above this.
        given: Whether a file of tie points gave them, and nothing was matched.
        precision: Number format of the network; None where there was no network.
    """

    weights: str
    device: str
    confidence: float
    given: bool = False
    precision: str | None = None


@dataclass(frozen=True)
class Matches:
    """Points of one image and the same features in another.

    Attributes:
        xy0: (N, 2) positions (x, y) in the reference image, pixels, GDAL frame.
        xy1: (N, 2) positions in the target image, likewise.
        confidence: (N,) confidence in [0, 1].
        origin: How they were found.
        scatter_px: (N,) distance of each point of the target from what was found for it alone, where it is what its
            neighbours agree on; None where every point was found alone. Of a correlated point the median of the others.
        similarity: (N,) correlation of the edges around the two points, up to 1, where the points were refined
            (:mod:`s2match.matching.subpixel`); None where they were not.
        correlated: (N,) whether a point was found by the edges alone, where no match was left
            (:mod:`s2match.matching.densify`); None where none was sought.
    """

    xy0: NDArray[np.float64]
    xy1: NDArray[np.float64]
    confidence: NDArray[np.float64]
    origin: Provenance
    scatter_px: NDArray[np.float64] | None = None
    similarity: NDArray[np.float64] | None = None
    correlated: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Number of matches."""
        return len(self.confidence)

    @property
    def marks(self) -> NDArray[np.bool_]:
        """(N,) :attr:`correlated`; where none was sought, none is."""
        return np.zeros(len(self), np.bool_) if self.correlated is None else self.correlated

    def subset(self, chosen: NDArray[np.bool_]) -> "Matches":
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
        return replace(self.subset(self.confidence > confidence), origin=origin)

    @classmethod
    def concatenate(cls, parts: Sequence["Matches"]) -> "Matches":
        """All matches of at least one part; the parts are of one origin, and know the same of their matches.

        Raises:
            ValueError: Of some matches less is known than of others (but for whether they are correlated).
        """
        return cls(
            np.concatenate([part.xy0 for part in parts]),
            np.concatenate([part.xy1 for part in parts]),
            np.concatenate([part.confidence for part in parts]),
            parts[0].origin,
            _all_of([part.scatter_px for part in parts if len(part)]),
            _all_of([part.similarity for part in parts if len(part)]),
            None if all(part.correlated is None for part in parts) else np.concatenate([part.marks for part in parts]),
        )


def _all_of(parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    known = [part for part in parts if part is not None]
    if len(known) not in (0, len(parts)):
        raise ValueError("some matches lack what others have")
    return np.concatenate(known) if known else None
