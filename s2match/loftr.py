"""kornia's LoFTR as a function from two grey images to matches in the GDAL pixel frame.

LoFTR: Sun et al., "LoFTR: Detector-Free Local Feature Matching with Transformers", CVPR 2021, arXiv 2104.00680.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from s2match.engine import Engine, ImageFeatures, best_precision
from s2match.errors import DeviceError, ImageSizeError
from s2match.weights import Network


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
    """

    xy0: NDArray[np.float64]
    xy1: NDArray[np.float64]
    confidence: NDArray[np.float64]
    origin: Origin
    scatter_px: NDArray[np.float64] | None = None
    similarity: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Number of matches."""
        return len(self.confidence)

    def of(self, chosen: NDArray[np.bool_]) -> "Matches":
        """Some of the matches, chosen by an (N,) mask."""
        scatter_px, similarity = (
            None if values is None else values[chosen] for values in (self.scatter_px, self.similarity)
        )
        return Matches(self.xy0[chosen], self.xy1[chosen], self.confidence[chosen], self.origin, scatter_px, similarity)

    @classmethod
    def joined(cls, parts: Sequence["Matches"]) -> "Matches":
        """All matches of at least one part; the parts are of one origin."""
        scatter_px = [part.scatter_px for part in parts if part.scatter_px is not None]
        similarity = [part.similarity for part in parts if part.similarity is not None]
        return cls(
            np.concatenate([part.xy0 for part in parts]),
            np.concatenate([part.xy1 for part in parts]),
            np.concatenate([part.confidence for part in parts]),
            parts[0].origin,
            np.concatenate(scatter_px) if scatter_px else None,
            np.concatenate(similarity) if similarity else None,
        )


def pick_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``mps`` into a device that is there.

    Raises:
        DeviceError: The device is not there or its name is unknown.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, there in available.items() if there))
    if not available.get(name, False):
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise DeviceError(f"There is no device {name!r} here: choose auto or {there}.")
    return torch.device(name)


class LoftrMatcher:
    """A network on a device."""

    def __init__(self, network: Network, device: torch.device, precision: torch.dtype | None = None) -> None:
        """Move the network to the device.

        Args:
            network: The network, its pixel frame and its reading.
            device: Where to run.
            precision: Of the network's backbone; None: the fastest of the device, see
                :func:`s2match.engine.best_precision`.
        """
        self.device = device
        self._title = network.title
        self._to_gdal = 0.5 - network.pixel_centre
        self._agrees = network.reading.looks > 1
        self._engine = Engine(network.net, device, precision or best_precision(device), network.reading)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that a pass takes at its peak for each pixel of both images, about."""
        return self._engine.bytes_per_pixel

    def nothing(self, confidence: float) -> Matches:
        """What is found where there is nothing to match."""
        none, origin = np.zeros(0), Origin(self._title, str(self.device), confidence)
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)), none, origin, none if self._agrees else None)

    def match(
        self,
        image0: GreyImage,
        image1: GreyImage,
        confidence: float,
        progress: Callable[[float], None] | None = None,
    ) -> Matches:
        """Match two images in one pass.

        Nothing is matched where an image is not valid, nor within the border of its edge that the weights ask for, of
        one or two cells. Points of the reference lie on the network's grid of 8 px; those of the target are refined.

        Args:
            image0: Reference, H0×W0; any sizes, multiples of 8 or not.
            image1: Target, H1×W1.
            confidence: Keep matches with a confidence above this, in [0, 1].
            progress: Called with the share done, 0 to 1, as the pass goes on.

        Returns:
            The matches, in the order of the reference's rows and columns.

        Raises:
            ImageSizeError: The device has too little memory for images of this size.
        """
        report = progress or (lambda share: None)
        try:
            features0 = self._extract(image0)
            report(0.3)
            features1 = self._extract(image1)
            report(0.6)
            found = self._engine.match(features0, features1, confidence)
        except RuntimeError as error:
            # CUDA has an error class for this, the CPU's allocator only a message
            if "memory" not in str(error):
                raise
            raise ImageSizeError(f"The {self.device.type} device is out of memory: use a smaller size.") from error
        report(1.0)
        xy0, xy1 = (points.cpu().double().numpy() + self._to_gdal for points in (found.keypoints0, found.keypoints1))
        origin = Origin(self._title, str(self.device), confidence)
        confidences, scatter_px = (v.cpu().double().numpy() for v in (found.confidence, found.scatter))
        matches = Matches(xy0, xy1, confidences, origin, scatter_px if self._agrees else None)
        return matches.of(_on_valid(xy0, image0) & _on_valid(xy1, image1))

    def _extract(self, image: GreyImage) -> ImageFeatures:
        valid = None if image.valid.all() else torch.from_numpy(image.valid)
        return self._engine.extract(torch.from_numpy(image.grey), valid)


def _on_valid(xy: NDArray[np.float64], image: GreyImage) -> NDArray[np.bool_]:
    """(N,) whether points fall on valid pixels: the fine stage moves some of them off."""
    height, width = image.valid.shape
    pixel = np.clip(np.floor(xy).astype(int), 0, [width - 1, height - 1])
    return np.asarray(image.valid[pixel[:, 1], pixel[:, 0]])
