"""A matcher that keeps the features of images, for another matcher."""

import hashlib
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches
from s2match.matching.matcher import Matcher


class CachingMatcher:
    """A :class:`s2match.matching.matcher.Matcher` that encodes an image once for several pairs.

    Images are recognised by their pixels, so that a result never depends on what was matched before. If the features
    exceed the capacity, those that were used least recently are discarded. It is not for several threads at a time.

    Attributes:
        encoded: Number of images, or windows of images, that were encoded.
        hits: Number of images whose features were kept.
        nbytes: Memory of the features that are kept.
    """

    def __init__(self, matcher: Matcher[Any], capacity_bytes: int) -> None:
        """Start without features.

        Args:
            matcher: The matcher that encodes and matches.
            capacity_bytes: Most memory of the features that are kept.
        """
        self._matcher, self._capacity_bytes = matcher, capacity_bytes
        self._features: OrderedDict[bytes, Any] = OrderedDict()
        self.encoded = self.hits = self.nbytes = 0

    @property
    def device(self) -> object:
        """Device that it runs on."""
        return self._matcher.device

    @property
    def bytes_per_pixel(self) -> int:
        """Approximate peak memory of a pass for each pixel of both images."""
        return self._matcher.bytes_per_pixel

    @property
    def free_bytes(self) -> int:
        """Memory that is free for a pass beside the features that are kept."""
        return self._matcher.free_bytes

    def no_matches(self, confidence: float) -> Matches:
        """An empty result."""
        return self._matcher.no_matches(confidence)

    def encode(self, image: GreyImage) -> Any:
        """Features of an image, computed unless they are kept."""
        key = _digest(image)
        if key in self._features:
            self.hits += 1
            self._features.move_to_end(key)
            return self._features[key]
        features = self._matcher.encode(image)
        self.encoded += 1
        self._keep(key, features)
        return features

    def match_encoded(
        self,
        reference: Any,
        target: Any,
        confidence: float,
        bands: NDArray[np.int64] | None = None,
        to_refine: bool = False,
    ) -> Matches:
        """Match two encoded images."""
        return self._matcher.match_encoded(reference, target, confidence, bands, to_refine)

    def _keep(self, key: bytes, features: Any) -> None:
        """Keep features, and discard others until all fit into the capacity."""
        if features.nbytes > self._capacity_bytes:
            return
        self._features[key] = features
        self.nbytes += features.nbytes
        while self.nbytes > self._capacity_bytes:
            _, discarded = self._features.popitem(last=False)
            self.nbytes -= discarded.nbytes


def _digest(image: GreyImage) -> bytes:
    """Digest of the shape and all pixels of an image."""
    digest = hashlib.blake2b(repr(image.valid.shape).encode(), digest_size=16)
    for pixels in (image.grey, image.valid):
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
