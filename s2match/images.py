"""Images as values: their pixels, their size, and where on the ground they lie."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.catalog import Scene
from s2match.errors import OptionError

if TYPE_CHECKING:
    from s2match.vectors import Drawing

# So many numbers a 16-bit image can hold.
_UINT16_NUMBERS = 1 << 16


class Placed(Protocol):
    """An image that has a size and perhaps a place on the ground: a :class:`Raster` or a :class:`Grid`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels of the file, of what the image covers."""

    @property
    def transform(self) -> Affine | None:
        """Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference."""

    @property
    def crs(self) -> CRS | None:
        """Coordinate reference system of the map coordinates; None where the file does not say, or has none."""

    @property
    def scene(self) -> Scene:
        """The file and what its name says."""

    @property
    def radiometry(self) -> "Radiometry | None":
        """How the numbers of the file become grey levels; None where that is not known."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed of where the image lies, for the user, a line each."""


@dataclass(frozen=True)
class Mask:
    """A file that says where nothing is to be matched.

    Attributes:
        path: A raster, or polygons.
        values: Values of a raster that mask; None: those that :mod:`s2match.masks` knows for it.
        drawing: What polygons draw on an image, where they have been read already.
    """

    path: Path
    values: tuple[int, ...] | None = None
    drawing: "Drawing | None" = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Take a path as text, too."""
        object.__setattr__(self, "path", Path(self.path))


@dataclass(frozen=True)
class Masking:
    """Where an image is not to be matched, though it has data.

    Attributes:
        masks: Files that say so.
        clouds: Whether saturated cloud in the image itself does.
    """

    masks: tuple[Mask, ...] = ()
    clouds: bool = False

    def __bool__(self) -> bool:
        """Whether anything is masked at all."""
        return bool(self.masks) or self.clouds


UNMASKED = Masking()


@dataclass(frozen=True)
class ReadOptions:
    """What a user says of the numbers of the files, which overrules what the files say.

    Attributes:
        nodata: The number that means no data; not a number: none does. None: the file tells.
        offset: The number of 16-bit images that means reflectance 0. None: the file tells.
    """

    nodata: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        """Refuse an offset that no 16-bit image can have.

        Raises:
            OptionError: It is out of range.
        """
        if self.offset is not None and not 0 <= self.offset < _UINT16_NUMBERS:
            raise OptionError(
                f"Offset {self.offset:g} is out of range: it is the number that means reflectance 0, 0 to 65535, such "
                "as 1000 where ESA's metadata say -1000."
            )


AS_FILES_SAY = ReadOptions()


@dataclass(frozen=True)
class Radiometry:
    """How the numbers of a file become grey levels; decided once for the whole file.

    A grey level is ``gain * (number - origin)``, clipped to 1 to 255.

    Attributes:
        gain: Grey levels for each step of the number.
        origin: The number of grey level 0.
        kind: ``true colour`` (8 bits, as it is), ``reflectance`` (16 bits) or ``stretched``.
        saturated: Grey level at and above which a pixel is saturated; None where the file does not tell.
        nodata: The number that means no data; None where there is none, or a mask tells.
        nodata_from: Who says so: ``declared``, ``detected``, ``option``, ``mask``, ``alpha``, or ``zeros`` (patches of
            0 in every band count as no data, as nothing is declared); None where every number is data.
        offset: The number that means reflectance 0; None where the numbers are no reflectance.
        offset_from: Who says so: ``option``, ``tags`` of the file, ``metadata`` of the product, or the ``minimum`` of
            the file.
    """

    gain: float
    origin: float
    kind: str
    saturated: float | None = None
    nodata: float | None = None
    nodata_from: str | None = None
    offset: float | None = None
    offset_from: str | None = None


@dataclass(frozen=True)
class Window:
    """A part of a grid, in its pixels.

    Attributes:
        x: Column of the left edge.
        y: Row of the upper edge.
        width: Number of columns.
        height: Number of rows.
    """

    x: int
    y: int
    width: int
    height: int

    def holds(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether points (N, 2), (x, y) in pixels of the grid, lie in it; its right and lower edges do not."""
        within = xy - (self.x, self.y)
        return np.asarray(((within >= 0) & (within < (self.width, self.height))).all(axis=1))


@dataclass(frozen=True)
class Grid:
    """The pixels an image would have at some size, without the pixels.

    Attributes:
        size: Width and height in pixels.
        transform: Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference.
        crs: Coordinate reference system of the map coordinates; None where the file does not say, or has none.
        native_size: Width and height, in pixels of the file, of what the grid covers.
        scene: The file and what its name says.
        corner: Column and row of the file where what it covers begins.
        source: Where the grid is not along the file's own axes: the file's grid that its pixels are resampled from.
        file_size: Width and height of the file where the grid covers a part of it.
        masking: Where its pixels are not to be matched.
        radiometry: How the numbers of the file become grey levels; None until :func:`s2match.raster.measured` has read
            a small version of the file.
        notes: What was assumed of where it lies, for the user, a line each.
    """

    size: tuple[int, int]
    transform: Affine | None
    crs: CRS | None
    native_size: tuple[int, int]
    scene: Scene
    corner: tuple[int, int] = (0, 0)
    source: "Grid | None" = None
    file_size: tuple[int, int] | None = None
    masking: Masking = UNMASKED
    radiometry: Radiometry | None = None
    notes: tuple[str, ...] = ()

    def resized(self, size: tuple[int, int]) -> "Grid":
        """The same ground in another number of pixels, (width, height)."""
        scale = self.size[0] / size[0], self.size[1] / size[1]
        transform = None if self.transform is None else self.transform @ Affine.scale(*scale)
        source = self.source
        if source is not None:
            shrunk = (round(side / by) for side, by in zip(source.size, scale, strict=True))
            width, height = (max(1, min(side, most)) for side, most in zip(shrunk, source.native_size, strict=True))
            source = source.resized((width, height))
        return replace(self, size=size, transform=transform, source=source)

    def cropped(self, part: Window) -> "Grid":
        """A part of a grid that is the file's own, every pixel of it."""
        assert self.size == self.native_size and self.source is None, "parts are cut out of the file's own pixels"
        size = (part.width, part.height)
        transform = None if self.transform is None else self.transform @ Affine.translation(part.x, part.y)
        corner = (self.corner[0] + part.x, self.corner[1] + part.y)
        whole = self.file_size or self.native_size
        return replace(self, size=size, native_size=size, transform=transform, corner=corner, file_size=whole)


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


def georeferenced(placed: Placed) -> bool:
    """Whether pixel positions can be turned into map coordinates, of a reference system or of a map without one."""
    return placed.transform is not None


def native_transform(placed: Placed) -> Affine | None:
    """Transform of the pixels of the file that an image covers."""
    if placed.transform is None:
        return None
    (width, height), native = placed.size, placed.native_size
    return placed.transform @ Affine.scale(width / native[0], height / native[1])
