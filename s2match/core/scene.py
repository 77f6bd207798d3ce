"""Image files with the tile and the sensing time that their names give."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from s2match.errors import SameImageError, UnreadableImageError

_NAME = re.compile(r"^(?P<tile>[A-Za-z0-9-]+)_(?P<sensed>\d{8}T\d{6})_")


@dataclass(frozen=True)
class Scene:
    """An image file with the tile and the sensing time that its name gives.

    Attributes:
        path: The file.
        tile: Name of the tile, such as ``"T36UXA"``; None if the file name does not follow ESA's pattern.
        sensed: Sensing time (UTC); None likewise.
    """

    path: Path
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


def scene_of(path: str | Path) -> Scene:
    """Scene of a path, by the name of the file, which is not opened.

    Raises:
        UnreadableImageError: ``path`` is not the path of a file.
    """
    if not isinstance(path, str | os.PathLike):
        raise UnreadableImageError(
            f"An image of type {type(path).__name__} is not a path: match_arrays matches images in memory."
        )
    path = Path(path)
    match = _NAME.match(path.name)
    if match is None:
        return Scene(path, None, None)
    try:
        sensed = datetime.strptime(match["sensed"], "%Y%m%dT%H%M%S")
    except ValueError:
        return Scene(path, None, None)
    return Scene(path, match["tile"], sensed)


def pair_of(reference: str | Path, target: str | Path) -> tuple[Scene, Scene]:
    """Scenes of two different files.

    Raises:
        SameImageError: Both paths are the same file.
        UnreadableImageError: One is not the path of a file.
    """
    first, second = scene_of(reference), scene_of(target)
    if first.path.resolve() == second.path.resolve():
        raise SameImageError(f"Both images are {reference}: choose two different images.")
    return first, second
