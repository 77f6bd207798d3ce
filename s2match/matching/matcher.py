"""The interface of a dense matcher, such as :class:`s2match.loftr.matcher.LoftrMatcher`."""

from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches


class EncodedImage(Protocol):
    """Features of an image, which can be matched with those of any other."""

    @property
    def nbytes(self) -> int:
        """Memory of the features and of the image."""

    def within(self, cells: NDArray[np.bool_]) -> Self:
        """The features of a subset of cells.

        Args:
            cells: (rows, columns) mask over the image's cells of 8 px.
        """


Encoded = TypeVar("Encoded", bound=EncodedImage)


class Matcher(Protocol[Encoded]):
    """Finds the points of one image in another.

    Images are grey, of any size. Points are (x, y) in pixels of the two images, GDAL frame. Each matcher has its own
    type of encoded image, the parameter of this class.
    """

    @property
    def device(self) -> object:
        """Device that it runs on, whose ``str`` is its name."""

    @property
    def bytes_per_pixel(self) -> int:
        """Approximate peak memory of a pass for each pixel of both images."""

    @property
    def free_bytes(self) -> int:
        """Memory that is free for a pass."""

    def no_matches(self, confidence: float) -> Matches:
        """An empty result, with the provenance and the attributes of this matcher's matches.

        Args:
            confidence: Confidence threshold of the provenance.
        """

    def encode(self, image: GreyImage) -> Encoded:
        """Features of an image.

        Raises:
            ImageSizeError: There is too little memory for an image of this size.
        """

    def match_encoded(
        self,
        reference: Encoded,
        target: Encoded,
        confidence: float,
        bands: NDArray[np.int64] | None = None,
        to_refine: bool = False,
    ) -> Matches:
        """Match two encoded images.

        Args:
            reference: Features of the image of ``xy0``, by :meth:`encode`.
            target: Features of the image of ``xy1``, likewise.
            confidence: Keep matches with a confidence above this, in [0, 1].
            bands: (R, 2); matches of row r of the reference's cells of 8 px are searched for in the target's rows of
                cells from ``bands[r, 0]`` to before ``bands[r, 1]``; None: anywhere.
            to_refine: Whether the matches are measured again afterwards. Then they may be less exact.

        Raises:
            ImageSizeError: There is too little memory for images of this size.
        """
