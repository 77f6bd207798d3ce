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
    """A pixel grid on the ground, and the part of a file that it covers.

    Attributes:
        size: Width and height in pixels.
        transform: Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference.
        crs: Coordinate reference system of the map coordinates; None if it is unknown, or there is no georeference.
        native_size: Width and height, in pixels of the file, of the part of the file that the grid covers.
        scene: The file, and the tile and date that its name gives.
        corner: (column, row) of the file where that part begins.
        source: Grid along the axes of the file that the pixels are resampled from; None if this grid is along them.
        file_size: Width and height of the file; None if the grid covers all of it.
        file_transform: Transform of the pixels of the whole file, as the file has it; None if the grid is that of the
            file, or has no georeference.
        masking: Masks of pixels that are not matched.
        radiometry: Conversion of the file's numbers to grey levels; None until
            :func:`s2match.io.reader.with_radiometry` has set it.
        notes: Assumptions about the georeference, for the user, a line each.
    """

    size: tuple[int, int]
    transform: Affine | None
    crs: CRS | None
    native_size: tuple[int, int]
    scene: Scene
    corner: tuple[int, int] = (0, 0)
    source: "Grid | None" = None
    file_size: tuple[int, int] | None = None
    file_transform: Affine | None = None
    masking: Masking = UNMASKED
    radiometry: Radiometry | None = None
    notes: tuple[str, ...] = ()

    @property
    def georeferenced(self) -> bool:
        """Whether there is a transform to map coordinates, with or without a known reference system."""
        return self.transform is not None

    @property
    def native_transform(self) -> Affine | None:
        """Transform of the pixels of the file that the grid covers; None without a georeference."""
        if self.transform is None:
            return None
        (width, height), native = self.size, self.native_size
        return self.transform @ Affine.scale(width / native[0], height / native[1])

    def resized(self, size: tuple[int, int]) -> "Grid":
        """The same ground at another size, (width, height) in pixels."""
        scale = self.size[0] / size[0], self.size[1] / size[1]
        transform = None if self.transform is None else self.transform @ Affine.scale(*scale)
        source = self.source
        if source is not None:
            shrunk = (round(side / by) for side, by in zip(source.size, scale, strict=True))
            width, height = (max(1, min(side, most)) for side, most in zip(shrunk, source.native_size, strict=True))
            source = source.resized((width, height))
        return replace(self, size=size, transform=transform, source=source, file_transform=self._transform_of_file())

    def cropped(self, window: Window) -> "Grid":
        """The part of the grid in a window; the grid must have the pixels of the file."""
        assert self.size == self.native_size and self.source is None, "windows are cut out of the file's own pixels"
        size = (window.width, window.height)
        transform = None if self.transform is None else self.transform @ Affine.translation(window.x, window.y)
        corner = (self.corner[0] + window.x, self.corner[1] + window.y)
        return replace(
            self,
            size=size,
            native_size=size,
            transform=transform,
            corner=corner,
            file_size=self.file_size or self.native_size,
            file_transform=self._transform_of_file(),
        )

    def _transform_of_file(self) -> Affine | None:
        """Transform of the whole file without rounding errors; None if it is unknown."""
        if self.file_transform is not None:
            return self.file_transform
        of_file = self.size == self.native_size and self.file_size is None and self.source is None
        return self.transform if of_file else None
