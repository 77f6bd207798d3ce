"""Pixel grids: size, place on the ground, and the part of a file that they cover."""

from dataclasses import dataclass, replace

from affine import Affine
from rasterio.crs import CRS

from s2match.core.mask import UNMASKED, Masking
from s2match.core.radiometry import Radiometry
from s2match.core.scene import Scene
from s2match.core.window import Window


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
        radiometry: How the numbers of the file become grey levels; None until :func:`s2match.io.reader.measured` has
            read a small version of the file.
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

    @property
    def georeferenced(self) -> bool:
        """Whether pixel positions can be turned into map coordinates, of a reference system or of a map without one."""
        return self.transform is not None

    @property
    def native_transform(self) -> Affine | None:
        """Transform of the pixels of the file that the grid covers; None without a georeference."""
        if self.transform is None:
            return None
        (width, height), native = self.size, self.native_size
        return self.transform @ Affine.scale(width / native[0], height / native[1])

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
