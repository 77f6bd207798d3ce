"""Images in memory."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.grid import Grid
from s2match.core.mask import Masking
from s2match.core.radiometry import Radiometry
from s2match.core.scene import Scene


@dataclass(frozen=True)
class Patch:
    """The pixels of a window.

    Attributes:
        image: H×W×3 uint8, red green blue; 0 where not valid.
        valid: H×W bool, False for nodata and masked pixels.
        masked_share: Fraction of the pixels that have data and are masked.
        cloud_share: Fraction of the pixels that have data and are masked as cloud.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    masked_share: float = 0.0
    cloud_share: float = 0.0


@dataclass(frozen=True)
class Raster:
    """An image in memory: the pixels of a grid.

    Attributes:
        grid: Size, georeference and file; the radiometry and the masks that the pixels were read with.
        image: H×W×3 uint8, red green blue; 0 where not valid.
        valid: H×W bool, False for nodata and masked pixels.
        masked_share: Fraction of the pixels that have data and are masked.
        cloud_share: Fraction of the pixels that have data and are masked as cloud.
    """

    grid: Grid
    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    masked_share: float = 0.0
    cloud_share: float = 0.0

    def __post_init__(self) -> None:
        """Check that the pixels are those of the grid."""
        assert self.image.shape[:2] == self.grid.size[::-1], "the image must have the size of its grid"

    @property
    def nodata_share(self) -> float:
        """Fraction of the pixels that have no data."""
        return float((~self.valid).mean() - self.masked_share)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.grid.size

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels of the file, of the part of the file that the image covers."""
        return self.grid.native_size

    @property
    def transform(self) -> Affine | None:
        """Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference."""
        return self.grid.transform

    @property
    def crs(self) -> CRS | None:
        """Coordinate reference system of the map coordinates; None if it is unknown, or there is no georeference."""
        return self.grid.crs

    @property
    def georeferenced(self) -> bool:
        """Whether there is a transform to map coordinates, with or without a known reference system."""
        return self.grid.georeferenced

    @property
    def native_transform(self) -> Affine | None:
        """Transform of the pixels of the file that the image covers; None without a georeference."""
        return self.grid.native_transform

    @property
    def scene(self) -> Scene:
        """The file, and the tile and date that its name gives."""
        return self.grid.scene

    @property
    def masking(self) -> Masking:
        """The masks that were applied."""
        return self.grid.masking

    @property
    def radiometry(self) -> Radiometry | None:
        """Conversion of the file's numbers to grey levels; None for an image that was made in memory."""
        return self.grid.radiometry

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions about the georeference, for the user, a line each."""
        return self.grid.notes


# Input of functions that need the grid of an image and not its pixels.
HasGrid = Grid | Raster


def grid_of(image: HasGrid) -> Grid:
    """The grid of a raster; a grid is its own."""
    return image.grid if isinstance(image, Raster) else image
