"""Images: a file or the files of its bands, with the tile and the sensing time that their names give."""

import re
from dataclasses import dataclass
from datetime import datetime

from s2match.core.image_path import ImagePath, image_path, path_parts
from s2match.core.product_names import ProductNames, product_names
from s2match.core.radiometry import ReflectanceScale

_NAME = re.compile(r"^(?P<tile>[A-Za-z0-9-]+)_(?P<sensed>\d{8}T\d{6})_")


@dataclass(frozen=True)
class Scene:
    """An image with the tile and the sensing time that its names or a catalogue give.

    Attributes:
        path: The file; of several files of bands the first of the finest resolution.
        tile: Name of the tile, such as ``"T36UXA"``; None if no name follows ESA's patterns.
        sensed: Sensing time (UTC); None likewise.
        bands: Names of the bands that are used, one or three, such as ``("B04", "B03", "B02")`` of a product, or
            ``("4", "3", "2")`` of a file. Empty: those of :func:`s2match.io.bands.used_bands`.
        band_files: The file of each band, where the bands of a product are files. Empty: all bands are in ``path``.
        notes: How the image was chosen, for the user, a line each.
        catalogue: What a catalogue says about the image; None without one.
        stated_scale: Scale of reflectance that a catalogue states, used if the file has none; None without one.
    """

    path: ImagePath
    tile: str | None
    sensed: datetime | None
    bands: tuple[str, ...] = ()
    band_files: tuple[ImagePath, ...] = ()
    notes: tuple[str, ...] = ()
    catalogue: ProductNames | None = None
    stated_scale: ReflectanceScale | None = None

    @property
    def date(self) -> str | None:
        """Day of the sensing time, such as ``"2018-08-20"``; None without a sensing time."""
        return None if self.sensed is None else f"{self.sensed:%Y-%m-%d}"

    @property
    def files(self) -> tuple[ImagePath, ...]:
        """The files that the pixels are read from."""
        return self.band_files or (self.path,)

    @property
    def is_stack(self) -> bool:
        """Whether the bands of the image are files of their own."""
        return len(self.band_files) > 1

    @property
    def stem(self) -> str:
        """Name for files that are made of the image: that of its file, with all bands where it has several files."""
        if not self.is_stack:
            return self.path.stem
        own = next(band for band, file in zip(self.bands, self.band_files, strict=True) if file == self.path)
        return self.path.stem.replace(f"_{own}", "_" + "-".join(self.bands))

    @property
    def title(self) -> str:
        """Tile and date; the name of the file if it does not contain them."""
        if self.tile is None or self.sensed is None:
            return self.path.name
        return f"{self.tile} {self.date}"


def scene_of(source: str | ImagePath) -> Scene:
    """Scene of a path or URL, by the names of the file and of the folders above it; it is not opened.

    Raises:
        UnreadableImageError: ``source`` is neither the path of a file nor a URL that is read.
    """
    path = image_path(source)
    match = _NAME.match(path.name)
    if match is not None:
        try:
            return Scene(path, match["tile"], datetime.strptime(match["sensed"], "%Y%m%dT%H%M%S"))
        except ValueError:
            return Scene(path, None, None)
    names = product_names(path_parts(path))
    return Scene(path, None, None) if names is None else Scene(path, names.tile, names.sensed)
