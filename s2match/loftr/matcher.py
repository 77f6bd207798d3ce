"""kornia's LoFTR as a function from two grey images to matches in the GDAL pixel frame.

LoFTR: Sun et al., "LoFTR: Detector-Free Local Feature Matching with Transformers", CVPR 2021, arXiv 2104.00680.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.errors import ImageSizeError
from s2match.loftr.checkpoints import Network
from s2match.loftr.device import best_precision, is_out_of_memory
from s2match.loftr.engine import Engine, ImageFeatures
from s2match.util.containers import free_memory
from s2match.util.threads import limit_threads


@dataclass(frozen=True)
class EncodedImage:
    """An image as a network sees it.

    Attributes:
        image: The image.
        features: What the backbone makes of it.
    """

    image: GreyImage
    features: ImageFeatures

    def within(self, cells: NDArray[np.bool_]) -> "EncodedImage":
        """The same of those cells alone that a (rows, columns) mask over the grid of 8 px chooses."""
        return EncodedImage(self.image, self.features.within(torch.from_numpy(cells)))


class LoftrMatcher:
    """A network on a device."""

    def __init__(self, network: Network, device: torch.device, precision: torch.dtype | None = None) -> None:
        """Move the network to the device.

        Args:
            network: The network, its pixel frame and its matching configuration.
            device: Where to run.
            precision: Of the network's backbone; None: the fastest of the device, see
                :func:`s2match.loftr.device.best_precision`.
        """
        self.device = device
        self._title = network.title
        self._to_gdal = 0.5 - network.pixel_centre
        self._agrees = network.config.fine_iterations > 1
        self._precision = precision or best_precision(device)
        self._engine = Engine(network.net, device, self._precision, network.config)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that a pass takes at its peak for each pixel of both images, about."""
        return self._engine.bytes_per_pixel

    @property
    def free_bytes(self) -> int:
        """Memory that is free on the device, and in the container that the process runs in."""
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        free = int(psutil.virtual_memory().available)
        limited = free_memory()
        return free if limited is None else min(free, limited)

    def nothing(self, confidence: float) -> Matches:
        """What is found where there is nothing to match."""
        none = np.zeros(0)
        return Matches(
            np.zeros((0, 2)), np.zeros((0, 2)), none, self._origin(confidence), none if self._agrees else None
        )

    def match(
        self, image0: GreyImage, image1: GreyImage, confidence: float, bands: NDArray[np.int64] | None = None
    ) -> Matches:
        """Match two images in one pass: :meth:`encode` both, and :meth:`compare` them."""
        return self.match_encoded(self.encode(image0), self.encode(image1), confidence, bands)

    @limit_threads()
    def encode(self, image: GreyImage) -> EncodedImage:
        """What the backbone makes of an image, for any number of comparisons; any size, multiples of 8 or not.

        Raises:
            ImageSizeError: The device has too little memory for an image of this size.
        """
        valid = None if image.valid.all() else torch.from_numpy(image.valid)
        with self._in_memory():
            return EncodedImage(image, self._engine.extract(torch.from_numpy(image.grey), valid))

    @limit_threads()
    def match_encoded(
        self, seen0: EncodedImage, seen1: EncodedImage, confidence: float, bands: NDArray[np.int64] | None = None
    ) -> Matches:
        """Match two images.

        Nothing is matched where an image is not valid, nor within the border of its edge that the weights ask for, of
        one or two cells. Points of the reference lie on the network's grid of 8 px; those of the target are refined.

        Args:
            seen0: Reference.
            seen1: Target.
            confidence: Keep matches with a confidence above this, in [0, 1].
            bands: (R, 2); matches of row r of the reference's cells of 8 px are sought in the target's rows of cells
                from ``bands[r, 0]`` to before ``bands[r, 1]``; None: anywhere.

        Returns:
            The matches, in the order of the reference's rows and columns.

        Raises:
            ImageSizeError: The device has too little memory for images of this size.
        """
        with self._in_memory():
            allowed = None if bands is None else torch.from_numpy(bands)
            found = self._engine.match(seen0.features, seen1.features, confidence, allowed)
        xy0, xy1 = (points.cpu().double().numpy() + self._to_gdal for points in (found.keypoints0, found.keypoints1))
        confidences, scatter_px = (v.cpu().double().numpy() for v in (found.confidence, found.scatter))
        matches = Matches(xy0, xy1, confidences, self._origin(confidence), scatter_px if self._agrees else None)
        # the fine stage moves some off
        return matches.subset(seen0.image.shows(xy0) & seen1.image.shows(xy1))

    def _origin(self, confidence: float) -> Provenance:
        precision = str(self._precision).removeprefix("torch.")
        return Provenance(self._title, str(self.device), confidence, precision=precision)

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise ImageSizeError(f"The {self.device.type} device is out of memory: use a smaller size.") from error
