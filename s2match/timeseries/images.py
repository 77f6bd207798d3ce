"""Images of a series, with what their names say: tile, sensing time, platform, orbit, processing baseline."""

import re
from dataclasses import dataclass
from datetime import datetime

from s2match.core.image_path import ImagePath, path_parts
from s2match.core.mask import Mask
from s2match.core.product_names import product_names
from s2match.core.scene import Scene, scene_of

# A date in a name, with or without a time, such as 20180820T083601, 20180820_083601, 2018-08-20 or 2018_08_20.
_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<separator>[-_]?)(?P<month>\d{2})(?P=separator)(?P<day>\d{2})"
    r"(?:[T_-]?(?P<time>\d{6}))?(?!\d)"
)


@dataclass(frozen=True)
class SeriesImage:
    """An image of a series.

    Attributes:
        index: Its index in the series, from 0.
        scene: The file.
        sensed: Sensing time (UTC); None if no name gives it.
        tile: Sentinel-2 tile, such as ``"T36UXA"``; None if no name gives it.
        platform: ``"S2A"`` and so on; None if no name gives it.
        relative_orbit: 1 to 143; None if no name gives it.
        baseline: Processing baseline, such as ``"02.06"``; None if no name gives it.
        masks: Mask files of this image.
        product_mask: The mask of its own product, if it is asked for.
    """

    index: int
    scene: Scene
    sensed: datetime | None = None
    tile: str | None = None
    platform: str | None = None
    relative_orbit: int | None = None
    baseline: str | None = None
    masks: tuple[ImagePath, ...] = ()
    product_mask: Mask | None = None

    @property
    def own_masks(self) -> tuple[Mask, ...]:
        """The masks of this image alone."""
        masks = tuple(map(Mask, self.masks))
        return masks if self.product_mask is None else (*masks, self.product_mask)

    @property
    def date(self) -> str | None:
        """Day of the sensing time, YYYY-MM-DD; None without one."""
        return None if self.sensed is None else f"{self.sensed:%Y-%m-%d}"

    @property
    def title(self) -> str:
        """Tile and date, or the name of the file."""
        if self.date is None:
            return self.scene.path.name
        return self.date if self.tile is None else f"{self.tile} {self.date}"


def series_image(index: int, source: str | ImagePath | Scene, masks: tuple[ImagePath, ...] = ()) -> SeriesImage:
    """The image of a path or scene, by a catalogue or the names of the file and of its folders; no file is opened.

    Args:
        index: Index in the series, from 0.
        source: The file, or the scene.
        masks: Mask files of this image.
    """
    scene = source if isinstance(source, Scene) else scene_of(source)
    names = scene.catalogue or product_names(path_parts(scene.path))
    if names is None:
        return SeriesImage(index, scene, scene.sensed or _date_in(scene.path.stem), scene.tile, masks=masks)
    return SeriesImage(
        index,
        scene,
        names.sensed or scene.sensed,
        names.tile or scene.tile,
        names.platform,
        names.relative_orbit,
        names.baseline,
        masks,
    )


def _date_in(name: str) -> datetime | None:
    """The first date in a name that is one; midnight without a time."""
    for match in _DATE.finditer(name):
        day = f"{match['year']}{match['month']}{match['day']}"
        # six digits after a date need not be a time
        for time in (match["time"] or "000000", "000000"):
            try:
                return datetime.strptime(day + time, "%Y%m%d%H%M%S")
            except ValueError:
                continue
    return None
