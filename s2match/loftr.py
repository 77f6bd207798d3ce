"""kornia's LoFTR as a function from two grey images to matches in the GDAL pixel frame.

LoFTR: Sun et al., "LoFTR: Detector-Free Local Feature Matching with Transformers", CVPR 2021, arXiv 2104.00680.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from s2match.errors import DeviceError, ImageSizeError
from s2match.weights import Network

DEVICES = ("auto", "cpu", "cuda", "mps")


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
    """

    xy0: NDArray[np.float64]
    xy1: NDArray[np.float64]
    confidence: NDArray[np.float64]
    origin: Origin

    def __len__(self) -> int:
        """Number of matches."""
        return len(self.confidence)

    def of(self, chosen: NDArray[np.bool_]) -> "Matches":
        """Some of the matches, chosen by an (N,) mask."""
        return Matches(self.xy0[chosen], self.xy1[chosen], self.confidence[chosen], self.origin)


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
    """A network on a device; float32 throughout."""

    def __init__(self, network: Network, device: torch.device) -> None:
        """Move the network to the device."""
        self.device = device
        self._title = network.title
        self._net = network.net.to(device)
        self._to_gdal = 0.5 - network.pixel_centre
        self._stride = int(network.net.config["resolution"][0])
        self._border = int(network.net.config["match_coarse"]["border_rm"])

    @torch.inference_mode()
    def match(
        self,
        image0: GreyImage,
        image1: GreyImage,
        confidence: float,
        progress: Callable[[float], None] | None = None,
    ) -> Matches:
        """Match two images in one pass.

        Nothing is matched within two cells (16 px) of an image's edge, nor where an image is not valid. Points of the
        reference lie on the network's grid of 8 px; those of the target are refined below it.

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
        self._net.coarse_matching.thr = confidence
        data = {"image0": self._tensor(image0.grey), "image1": self._tensor(image1.grey)}
        if not (image0.valid.all() and image1.valid.all()):
            data |= {"mask0": self._mask(image0.valid), "mask1": self._mask(image1.valid)}
        try:
            with self._watched(progress, same_size=image0.grey.shape == image1.grey.shape):
                found = self._net(data)
        except torch.OutOfMemoryError as error:
            raise ImageSizeError(f"The {self.device.type} device is out of memory: use a smaller size.") from error
        keypoints = [found[f"keypoints{side}"].cpu().double().numpy() for side in (0, 1)]
        inside = self._off_border(keypoints[0], image0) & self._off_border(keypoints[1], image1)
        xy0, xy1 = (points + self._to_gdal for points in keypoints)
        origin = Origin(self._title, str(self.device), confidence)
        return Matches(xy0, xy1, found["confidence"].cpu().double().numpy(), origin).of(inside)

    def _tensor(self, grey: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(grey)[None, None].to(self.device)

    def _mask(self, valid: NDArray[np.bool_]) -> torch.Tensor:
        return torch.from_numpy(valid)[None].to(self.device)

    def _off_border(self, keypoints: NDArray[np.float64], image: GreyImage) -> NDArray[np.bool_]:
        """(N,) whether points, in the network's frame, keep the border rule and fall on valid pixels.

        kornia keeps the border rule by itself only without masks: with them it takes the valid area for padding.
        """
        height, width = image.grey.shape
        cells = -(-np.array([width, height]) // self._stride)
        half = self._stride / 2
        low, high = self._stride * self._border - half, self._stride * (cells - 1 - self._border) + half
        pixel = np.clip(np.floor(keypoints + self._to_gdal).astype(int), 0, [width - 1, height - 1])
        within = np.asarray(((keypoints >= low) & (keypoints <= high)).all(1))
        return np.asarray(within & image.valid[pixel[:, 1], pixel[:, 0]])

    @contextmanager
    def _watched(self, progress: Callable[[float], None] | None, same_size: bool) -> Iterator[None]:
        """Report the share of the network's stages done while the block runs."""
        if progress is None:
            yield
            return
        net, done = self._net, 0
        backbone = [net.backbone.layer1, net.backbone.layer2, net.backbone.layer3, net.backbone.layer1_outconv2]
        stages = [*backbone, *net.loftr_coarse.layers, net.coarse_matching, net.loftr_fine]
        # images of one size pass the backbone together, and every coarse layer sees both
        total = len(backbone) * (1 if same_size else 2) + 2 * len(net.loftr_coarse.layers) + 2

        def count(*_: object) -> None:
            nonlocal done
            done += 1
            progress(min(done / total, 1.0))

        hooks = [stage.register_forward_hook(count) for stage in stages]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
