"""A matcher that enlarges small images for another matcher."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.image_size import network_scale
from s2match.core.matches import GreyImage, Matches
from s2match.matching.greyscale import enlarge
from s2match.matching.matcher import Matcher


@dataclass(frozen=True)
class EnlargingMatcher:
    """A :class:`s2match.matching.matcher.Matcher` of small images.

    Images and matches are in their own pixels. Cells of the encoded images are those of the enlarged images.

    Attributes:
        matcher: The matcher that gets the enlarged images.
        scale: Factor by which they are enlarged.
    """

    matcher: Matcher[Any]
    scale: int

    @classmethod
    def of(cls, matcher: Matcher[Any], *sizes: tuple[int, int]) -> "EnlargingMatcher":
        """The matcher of images of some sizes, (width, height); its scale is 1 unless one of them is small."""
        return cls(matcher, network_scale(*sizes))

    @property
    def device(self) -> object:
        """Device that it runs on."""
        return self.matcher.device

    @property
    def bytes_per_pixel(self) -> int:
        """Approximate peak memory of a pass for each pixel of both images, before they are enlarged."""
        return self.matcher.bytes_per_pixel * self.scale**2

    @property
    def free_bytes(self) -> int:
        """Memory that is free for a pass."""
        return self.matcher.free_bytes

    def no_matches(self, confidence: float) -> Matches:
        """An empty result."""
        return self.matcher.no_matches(confidence).reduced(self.scale)

    def encode(self, image: GreyImage) -> Any:
        """Features of an image."""
        return self.matcher.encode(enlarge(image, self.scale))

    def match_encoded(
        self,
        reference: Any,
        target: Any,
        confidence: float,
        bands: NDArray[np.int64] | None = None,
        to_refine: bool = False,
    ) -> Matches:
        """Match two encoded images; the rows of ``bands`` are those of cells of the enlarged images."""
        return self.matcher.match_encoded(reference, target, confidence, bands, to_refine).reduced(self.scale)
