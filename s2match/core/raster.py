"""Images in memory."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.grid import georeferenced
from s2match.core.mask import UNMASKED, Masking
from s2match.core.radiometry import Radiometry
from s2match.core.scene import Scene


@dataclass(frozen=True)
class Patch:
    """The pixels of a window.

    Attributes:
        image: H×W×3 uint8, red green blue; 0 where not valid.
        valid: H×W bool, False where there is no data or it is masked.
        masked_share: Share of the pixels, 0 to 1, that have data and are masked.
        cloud_share: Share of the pixels, 0 to 1, that have data and are masked as cloud.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    masked_share: float = 0.0
    cloud_share: float = 0.0


@dataclass(frozen=True)
class Raster:
    """An image in memory with its place on the ground.

    Attributes:
        image: H×W×3 uint8, red green blue; 0 where not valid.
        valid: H×W bool, False where there is no data or it is masked.
        transform: Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference.
        crs: Coordinate reference system of the map coordinates; None where the file does not say, or has none.
        native_size: Width and height, in pixels of the file, of what the image covers.
        scene: The file and what its name says.
        masking: What is masked.
        masked_share: Share of the pixels, 0 to 1, that have data and are masked.
        radiometry: How the numbers of the file became grey levels; None where the image was made in memory.
        cloud_share: Share of the pixels, 0 to 1, that have data and are masked as cloud.
        notes: What was assumed of where it lies, for the user, a line each.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    transform: Affine | None
    crs: CRS | None
    native_size: tuple[int, int]
    scene: Scene
    masking: Masking = UNMASKED
    masked_share: float = 0.0
    radiometry: Radiometry | None = None
    cloud_share: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def nodata_share(self) -> float:
        """Share of the pixels, 0 to 1, that have no data."""
        return float((~self.valid).mean() - self.masked_share)

    @property
    def georeferenced(self) -> bool:
        """Whether pixel positions can be turned into map coordinates."""
        return georeferenced(self)
