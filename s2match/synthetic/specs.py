"""The scenes of the sample: tile, date and weather."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SceneSpec:
    """A scene of the sample.

    Attributes:
        tile: ``"A"`` (west) or ``"B"`` (east).
        sensed: Sensing time.
        clouds: Share of the ground under cumulus clouds, 0 to 1.
        haze: Opacity of the haze, 0 to 1.
        snow: Share of open ground under snow, 0 to 1.
        swath: Whether the edge of the satellite's swath crosses the scene, so that a part is nodata.
        shift_m: Error of the file's georeference, east and north in metres.
    """

    tile: str
    sensed: datetime
    clouds: float = 0.0
    haze: float = 0.03
    snow: float = 0.0
    swath: bool = False
    shift_m: tuple[float, float] = (0.0, 0.0)

    @property
    def name(self) -> str:
        """File name in ESA's pattern."""
        return f"SYNTHETIC-{self.tile}_{self.sensed:%Y%m%dT%H%M%S}_TCI.jp2"


SCENES = (
    SceneSpec("A", datetime(2022, 10, 13, 10, 38, 51)),
    SceneSpec("A", datetime(2023, 2, 20, 10, 40, 29), haze=0.06),
    SceneSpec("A", datetime(2023, 6, 15, 10, 36, 31)),
    SceneSpec("A", datetime(2023, 9, 13, 10, 36, 29), clouds=0.07),
    SceneSpec("A", datetime(2024, 8, 13, 10, 36, 31)),
    # the scene to correct: every other one has the right georeference
    SceneSpec("B", datetime(2022, 8, 29, 10, 36, 41), clouds=0.1, shift_m=(43.7, -26.2)),
    SceneSpec("B", datetime(2022, 10, 13, 10, 38, 51)),
    SceneSpec("B", datetime(2022, 12, 2, 10, 43, 59), haze=0.08),
    SceneSpec("B", datetime(2023, 1, 26, 10, 42, 51), snow=0.93),
    SceneSpec("B", datetime(2023, 3, 12, 10, 38, 39)),
    SceneSpec("B", datetime(2023, 4, 21, 10, 36, 21), clouds=0.6),
    SceneSpec("B", datetime(2023, 5, 31, 10, 36, 29)),
    SceneSpec("B", datetime(2023, 7, 5, 10, 36, 31), swath=True),
    SceneSpec("B", datetime(2023, 8, 9, 10, 36, 29), haze=0.42),
    SceneSpec("B", datetime(2023, 10, 23, 10, 40, 51), clouds=0.25),
    SceneSpec("B", datetime(2024, 5, 10, 10, 36, 21)),
    SceneSpec("B", datetime(2024, 6, 29, 10, 36, 31), clouds=0.04),
    SceneSpec("B", datetime(2024, 8, 13, 10, 36, 31)),
)
