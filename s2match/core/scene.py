"""Image files by what their names say: tile and sensing time."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from s2match.errors import SameImageError, UnreadableImageError

_NAME = re.compile(r"^(?P<tile>[A-Za-z0-9-]+)_(?P<sensed>\d{8}T\d{6})_")


@dataclass(frozen=True)
class Scene:
    """One image file and what its name says.

    Attributes:
        path: The file.
        tile: Name of the tile, such as ``"T36UXA"``; None where the file name does not follow ESA's pattern.
        sensed: Sensing time (UTC); None likewise.
    """

    path: Path
    tile: str | None
    sensed: datetime | None

    @property
    def date(self) -> str | None:
        """Day of the sensing time, such as ``"2018-08-20"``; None where the file name does not say."""
        return None if self.sensed is None else f"{self.sensed:%Y-%m-%d}"

    @property
    def title(self) -> str:
        """Tile and date for people, or the file's name where it says neither."""
        if self.tile is None or self.sensed is None:
            return self.path.name
        return f"{self.tile} {self.date}"


def scene_of(path: str | Path) -> Scene:
    """Read tile and sensing time from a file's name; the file itself is not opened.

    Raises:
        UnreadableImageError: ``path`` is not the path of a file.
    """
    if not isinstance(path, str | os.PathLike):
        raise UnreadableImageError(
            f"An image of type {type(path).__name__} is not a path: match_arrays matches images in memory."
        )
    path = Path(path)
    found = _NAME.match(path.name)
    if found is None:
        return Scene(path, None, None)
    try:
        sensed = datetime.strptime(found["sensed"], "%Y%m%dT%H%M%S")
    except ValueError:
        return Scene(path, None, None)
    return Scene(path, found["tile"], sensed)


def pair_of(reference: str | Path, target: str | Path) -> tuple[Scene, Scene]:
    """Two files as scenes.

    Raises:
        SameImageError: They are one.
        UnreadableImageError: One is not the path of a file.
    """
    first, second = scene_of(reference), scene_of(target)
    if first.path.resolve() == second.path.resolve():
        raise SameImageError(f"Both images are {reference}: choose two different images.")
    return first, second
