"""Image files with the tile and the sensing time that their names give."""

import re
from dataclasses import dataclass
from datetime import datetime

from s2match.core.image_path import ImagePath, image_path

_NAME = re.compile(r"^(?P<tile>[A-Za-z0-9-]+)_(?P<sensed>\d{8}T\d{6})_")


@dataclass(frozen=True)
class Scene:
    """An image file with the tile and the sensing time that its name gives.

    Attributes:
        path: The file.
        tile: Name of the tile, such as ``"T36UXA"``; None if the file name does not follow ESA's pattern.
        sensed: Sensing time (UTC); None likewise.
    """

    path: ImagePath
    tile: str | None
    sensed: datetime | None

    @property
    def date(self) -> str | None:
        """Day of the sensing time, such as ``"2018-08-20"``; None without a sensing time."""
        return None if self.sensed is None else f"{self.sensed:%Y-%m-%d}"

    @property
    def title(self) -> str:
        """Tile and date; the name of the file if it does not contain them."""
        if self.tile is None or self.sensed is None:
            return self.path.name
        return f"{self.tile} {self.date}"


def scene_of(source: str | ImagePath) -> Scene:
    """Scene of a path or URL, by the name of the file, which is not opened.

    Raises:
        UnreadableImageError: ``source`` is neither the path of a file nor a URL that is read.
    """
    path = image_path(source)
    match = _NAME.match(path.name)
    if match is None:
        return Scene(path, None, None)
    try:
        sensed = datetime.strptime(match["sensed"], "%Y%m%dT%H%M%S")
    except ValueError:
        return Scene(path, None, None)
    return Scene(path, match["tile"], sensed)
