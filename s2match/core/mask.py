"""Masks of pixels that are not matched: files, and saturated cloud."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2match.core.image_path import ImagePath, image_path

if TYPE_CHECKING:
    from s2match.core.polygons import Polygons

# Masked classes of ESA's Scene Classification: no data, saturated or defective, cloud shadow, cloud of medium and of
# high probability, thin cirrus.
MASKED_CLASSES = (0, 1, 3, 8, 9, 10)


# Word of a user for the mask of each image's own product.
AUTO = "auto"


@dataclass(frozen=True)
class Mask:
    """A mask file.

    Attributes:
        path: A raster, or a vector file.
        values: Values of a raster that are masked; None: the defaults of :mod:`s2match.io.mask_raster`.
        polygons: Geometries of a vector file on an image, if they have been read already.
        of_product: Whether it is the mask of the image's own product, which has no polygon where there is no cloud.
    """

    path: ImagePath
    values: tuple[int, ...] | None = None
    polygons: "Polygons | None" = field(default=None, compare=False, repr=False)
    of_product: bool = False

    def __post_init__(self) -> None:
        """Accept a path or URL as text."""
        object.__setattr__(self, "path", image_path(self.path))


@dataclass(frozen=True)
class Masking:
    """Masks of an image, or of both images of a pair.

    Attributes:
        masks: Mask files.
        clouds: Whether saturated cloud in the image itself is masked.
        area: Polygons of the area of interest on the image, outside of which everything is masked; None for no area.
        auto: Whether the mask of each image's own product (:mod:`s2match.io.product_masks`) is yet to be added.
        auto_values: Masked values of its Scene Classification; None: :data:`MASKED_CLASSES`.
    """

    masks: tuple[Mask, ...] = ()
    clouds: bool = False
    auto: bool = False
    auto_values: tuple[int, ...] | None = None
    area: "Polygons | None" = field(default=None, compare=False, repr=False)

    def __bool__(self) -> bool:
        """Whether anything is masked."""
        return bool(self.masks) or self.clouds or self.auto or self.area is not None


UNMASKED = Masking()


@dataclass(frozen=True)
class PairMasking:
    """Masks of a pair, some of which belong to one of its images alone.

    Attributes:
        common: Masks of both images; a mask may touch neither, because it belongs to more images than the pair.
        reference: Mask files of the reference alone.
        target: Mask files of the target alone.
    """

    common: Masking = UNMASKED
    reference: tuple[Mask, ...] = ()
    target: tuple[Mask, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is masked."""
        return bool(self.common or self.reference or self.target)


UNMASKED_PAIR = PairMasking()
