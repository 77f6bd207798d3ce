"""Input and output of a matcher: grey images and matches. PyTorch is not imported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.point_maps import turn_and_scale
from s2match.core.validity import valid_at

# Side of a cell of the network's coarse grid.
CELL_PX = 8

# A local affine map is fitted to the matches of this many cells to each side of a match: 11 × 11 cells of 8 px.
RADIUS_CELLS = 5
PATCH_PX = float(CELL_PX * (2 * RADIUS_CELLS + 1))


@dataclass(frozen=True)
class GreyImage:
    """Input of the network.

    Attributes:
        grey: H×W float32 in [0, 1]; 0 where not valid.
        valid: H×W bool.
    """

    grey: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def valid_at(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether points (N, 2), (x, y) in the GDAL frame, fall on valid pixels of the image."""
        return valid_at(self.valid, xy)


@dataclass(frozen=True)
class Provenance:
    """How matches were found.

    Attributes:
        weights: Name of the weights, or of the method.
        device: Device that it ran on.
        confidence: Threshold that the confidence of every match exceeds.
        imported: Whether the matches were read from a file of tie points.
        precision: Number format of the network; None if there was no network.
        turn_deg: Clockwise turn by which the target was turned back before it was matched, in degrees.
        scale: Pixels of the target along a pixel of the reference, by which it was resampled before.
        network_scale: Pixels of the network's input per pixel of the images. Small images are enlarged for the network
            (:func:`s2match.core.image_size.network_scale`).
    """

    weights: str
    device: str
    confidence: float
    imported: bool = False
    precision: str | None = None
    turn_deg: float = 0.0
    scale: float = 1.0
    network_scale: int = 1

    @property
    def linear(self) -> NDArray[np.float64]:
        """2×2, steps (x, y) in the reference to steps in the target, by :attr:`turn_deg` and :attr:`scale`."""
        return turn_and_scale(self.turn_deg, self.scale)


@dataclass(frozen=True)
class Matches:
    """Points of one image and the same features in another.

    Attributes:
        xy0: (N, 2) positions (x, y) in the reference image, pixels, GDAL frame.
        xy1: (N, 2) positions in the target image, likewise.
        confidence: (N,) confidence in [0, 1].
        origin: How the matches were found.
        raw_residual_px: (N,) distance in pixels of the target between ``xy1``, if it is the local affine fit
            (:mod:`s2match.loftr.local_affine`), and the position measured by the match alone. Correlated matches have
            the median of the others. None without a fit.
        similarity: (N,) orientation correlation at the match, up to 1 (:mod:`s2match.matching.subpixel`). None where
            the matches were not refined.
        correlated: (N,) whether a match was added by correlation alone (:func:`s2match.matching.subpixel.fill`). None
            if none was sought.
        covariance_px2: (N, 2, 2) covariance of ``xy1`` for its ``xy0``, rows and columns (x, y), in square pixels of
            the target. It contains the errors of the match alone, not those that neighbours or all matches of a pair
            share. None where the matches were not refined.
    """

    xy0: NDArray[np.float64]
    xy1: NDArray[np.float64]
    confidence: NDArray[np.float64]
    origin: Provenance
    raw_residual_px: NDArray[np.float64] | None = None
    similarity: NDArray[np.float64] | None = None
    correlated: NDArray[np.bool_] | None = None
    covariance_px2: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Number of matches."""
        return len(self.confidence)

    @property
    def is_correlated(self) -> NDArray[np.bool_]:
        """(N,) :attr:`correlated`; False everywhere if it is None."""
        return np.zeros(len(self), np.bool_) if self.correlated is None else self.correlated

    def subset(self, chosen: NDArray[np.bool_]) -> "Matches":
        """The matches that an (N,) mask selects."""
        return self.take(np.flatnonzero(chosen))

    def take(self, indices: NDArray[np.intp]) -> "Matches":
        """The matches of (M,) indices, in their order."""
        return Matches(
            self.xy0[indices],
            self.xy1[indices],
            self.confidence[indices],
            self.origin,
            None if self.raw_residual_px is None else self.raw_residual_px[indices],
            None if self.similarity is None else self.similarity[indices],
            None if self.correlated is None else self.correlated[indices],
            None if self.covariance_px2 is None else self.covariance_px2[indices],
        )

    def above(self, confidence: float) -> "Matches":
        """The matches with a confidence above a threshold."""
        origin = replace(self.origin, confidence=confidence)
        return replace(self.subset(self.confidence > confidence), origin=origin)

    def reduced(self, scale: int) -> "Matches":
        """The matches of images that were enlarged by a factor, in pixels of the original images."""
        raw_residual_px = None if self.raw_residual_px is None else self.raw_residual_px / scale
        origin = replace(self.origin, network_scale=scale)
        return replace(self, xy0=self.xy0 / scale, xy1=self.xy1 / scale, raw_residual_px=raw_residual_px, origin=origin)

    @classmethod
    def concatenate(cls, parts: Sequence["Matches"]) -> "Matches":
        """All matches of several parts, which must have the same origin; at least one part.

        Raises:
            ValueError: Only some parts have :attr:`raw_residual_px`, :attr:`similarity` or :attr:`covariance_px2`.
        """
        return cls(
            np.concatenate([part.xy0 for part in parts]),
            np.concatenate([part.xy1 for part in parts]),
            np.concatenate([part.confidence for part in parts]),
            parts[0].origin,
            _concatenate([part.raw_residual_px for part in parts if len(part)]),
            _concatenate([part.similarity for part in parts if len(part)]),
            None
            if all(part.correlated is None for part in parts)
            else np.concatenate([part.is_correlated for part in parts]),
            _concatenate([part.covariance_px2 for part in parts if len(part)]),
        )


def _concatenate(parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    arrays = [part for part in parts if part is not None]
    if len(arrays) not in (0, len(parts)):
        raise ValueError("some matches have attributes that others lack")
    return np.concatenate(arrays) if arrays else None
