"""LoFTR as a function from two grey images to matches in the GDAL pixel frame."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.errors import DeviceError, ImageSizeError
from s2match.loftr.checkpoints import Network
from s2match.loftr.engine import Engine, ImageFeatures
from s2match.util.containers import available_memory
from s2match.util.devices import best_precision, memory_errors
from s2match.util.threads import limit_threads

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedImage:
    """An image with its backbone features.

    Attributes:
        image: The image.
        features: Its features, on the matcher's device.
    """

    image: GreyImage
    features: ImageFeatures

    @property
    def nbytes(self) -> int:
        """Memory of the features and of the image."""
        return self.features.nbytes + self.image.grey.nbytes + self.image.valid.nbytes

    def within(self, cells: NDArray[np.bool_]) -> "EncodedImage":
        """The image restricted to the cells where a (rows, columns) mask over the grid of 8 px cells is true."""
        return EncodedImage(self.image, self.features.within(torch.from_numpy(cells)))


class LoftrMatcher:
    """A LoFTR network on a device."""

    def __init__(self, network: Network, device: torch.device, precision: torch.dtype | None = None) -> None:
        """Copy the network to the device.

        Args:
            network: The network, its pixel frame and its matching parameters.
            device: Device to run on.
            precision: Number format of the backbone; None: :func:`s2match.util.devices.best_precision`.

        Raises:
            DeviceError: The device has no memory for the network.
        """
        self.device = device
        self._title = network.title
        self._to_gdal = 0.5 - network.pixel_centre
        self._has_local_fit = network.config.fine_iterations > 1
        precision = precision or best_precision(device)
        self._precision_name = str(precision).removeprefix("torch.")
        with memory_errors(DeviceError(f"The {device.type} device has no memory for the network: choose another.")):
            self._engine = Engine(network.net, device, precision, network.config)
        _LOG.info("weights %s on %s in %s", self._title, device, self._precision_name)
        _LOG.debug("matching parameters: %s", network.config)

    @property
    def bytes_per_pixel(self) -> int:
        """Approximate peak memory of a pass, in bytes per pixel of both images together."""
        return self._engine.bytes_per_pixel

    @property
    def free_bytes(self) -> int:
        """Free memory in bytes, of the GPU, or of the machine within the limit of its container."""
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        return available_memory()

    def no_matches(self, confidence: float) -> Matches:
        """Matches of images that have none: empty arrays.

        Args:
            confidence: Threshold that the provenance records.
        """
        none = np.zeros(0)
        return Matches(
            np.zeros((0, 2)),
            np.zeros((0, 2)),
            none,
            self._provenance(confidence),
            none if self._has_local_fit else None,
        )

    @limit_threads()
    def encode(self, image: GreyImage) -> EncodedImage:
        """Backbone features of an image, for any number of pairs.

        Args:
            image: Image of any size; multiples of 8 are not required.

        Raises:
            ImageSizeError: The device has too little memory for an image of this size.
        """
        valid = None if image.valid.all() else torch.from_numpy(image.valid)
        with memory_errors(self._too_large()):
            return EncodedImage(image, self._engine.extract(torch.from_numpy(image.grey), valid))

    @limit_threads()
    def match_encoded(
        self,
        reference: EncodedImage,
        target: EncodedImage,
        confidence: float,
        bands: NDArray[np.int64] | None = None,
        to_refine: bool = False,
    ) -> Matches:
        """Matches of two images.

        There are no matches on invalid pixels, or within a border of one or two cells (a parameter of the weights).
        Points of the reference are centres of 8 px cells; points of the target are refined.

        Args:
            reference: Image of ``xy0``.
            target: Image of ``xy1``.
            confidence: Keep matches with a confidence above this, in [0, 1].
            bands: (R, 2); cells of row r of the reference may match cells of the target in rows ``bands[r, 0]``
                (inclusive) to ``bands[r, 1]`` (exclusive), in cells of 8 px. None: anywhere.
            to_refine: Whether the matches are measured again afterwards. Then fine matching compares one window in
                2 × 2 cells: its points are about a quarter less exact.

        Returns:
            The matches, ordered by the reference's rows and columns.

        Raises:
            ImageSizeError: The device has too little memory for images of this size.
        """
        with memory_errors(self._too_large()):
            band_rows = None if bands is None else torch.from_numpy(bands)
            matches = self._engine.match(reference.features, target.features, confidence, band_rows, to_refine)
        xy0, xy1 = (
            points.cpu().double().numpy() + self._to_gdal for points in (matches.keypoints0, matches.keypoints1)
        )
        confidences, residual_px = (v.cpu().double().numpy() for v in (matches.confidence, matches.raw_residual_px))
        in_gdal = Matches(
            xy0, xy1, confidences, self._provenance(confidence), residual_px if self._has_local_fit else None
        )
        # fine matching may move a point off the valid pixels
        return in_gdal.subset(reference.image.valid_at(xy0) & target.image.valid_at(xy1))

    def _provenance(self, confidence: float) -> Provenance:
        return Provenance(self._title, str(self.device), confidence, precision=self._precision_name)

    def _too_large(self) -> ImageSizeError:
        return ImageSizeError(f"The {self.device.type} device is out of memory: use a smaller size.")
