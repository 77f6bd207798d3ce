"""The bundled sample: made-up Sentinel-2-like scenes of made-up ground, the same bytes each time they are made.

The ground is a *paint map*: every 5 m cell holds an index into a palette of parcels and materials. A date is a table
of colours for that palette (crops grow and ripen, woods turn, snow covers), looked up, lit by the sun of the day,
averaged to 10 m, and covered with the haze and the clouds of the day. Each date is rendered once for the whole ground
and cut into tiles, so that overlapping tiles of one date agree exactly.

Points are float64 arrays (N, 2) of metres (east, south) from the upper left corner of the ground. Images are
(row, column).
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from rasterio import Affine
from rasterio.enums import ColorInterp

from s2match.errors import OutputError
from s2match.files import written_whole

Floats = NDArray[np.float32]
Points = NDArray[np.float64]
Paint = NDArray[np.uint16]
Curve = tuple[tuple[int, int, int, int], ...]

PIXEL_M = 10.0
CELL_M = 5.0
ORIGIN_M = (500_000.0, 20_980.0)
CRS = "EPSG:32631"
SIZE_PX = 1098
# The eastern tile begins here; 763 is no multiple of 8, so no match can be right by sitting on a network's own grid.
EAST_PX = 763
CLOUD_HEIGHT_M = 600.0


@dataclass(frozen=True)
class Take:
    """One scene of the sample and the weather it was taken in.

    Attributes:
        tile: ``"A"`` (west) or ``"B"`` (east).
        sensed: Sensing time.
        clouds: Share of the ground under cumulus, 0 to 1.
        haze: Weight of the haze's colour over the ground's, 0 to 1.
        snow: Share of open ground under snow, 0 to 1.
        swath: Whether the scene lies on the edge of the satellite's swath and is partly nodata.
    """

    tile: str
    sensed: datetime
    clouds: float = 0.0
    haze: float = 0.03
    snow: float = 0.0
    swath: bool = False

    @property
    def name(self) -> str:
        """File name after ESA's pattern."""
        return f"SYNTHETIC-{self.tile}_{self.sensed:%Y%m%dT%H%M%S}_TCI.jp2"


TAKES = (
    Take("A", datetime(2022, 10, 13, 10, 38, 51)),
    Take("A", datetime(2023, 2, 20, 10, 40, 29), haze=0.06),
    Take("A", datetime(2023, 6, 15, 10, 36, 31)),
    Take("A", datetime(2023, 9, 13, 10, 36, 29), clouds=0.07),
    Take("A", datetime(2024, 8, 13, 10, 36, 31)),
    Take("B", datetime(2022, 8, 29, 10, 36, 41), clouds=0.1),
    Take("B", datetime(2022, 10, 13, 10, 38, 51)),
    Take("B", datetime(2022, 12, 2, 10, 43, 59), haze=0.08),
    Take("B", datetime(2023, 1, 26, 10, 42, 51), snow=0.93),
    Take("B", datetime(2023, 3, 12, 10, 38, 39)),
    Take("B", datetime(2023, 4, 21, 10, 36, 21), clouds=0.6),
    Take("B", datetime(2023, 5, 31, 10, 36, 29)),
    Take("B", datetime(2023, 7, 5, 10, 36, 31), swath=True),
    Take("B", datetime(2023, 8, 9, 10, 36, 29), haze=0.42),
    Take("B", datetime(2023, 10, 23, 10, 40, 51), clouds=0.25),
    Take("B", datetime(2024, 5, 10, 10, 36, 21)),
    Take("B", datetime(2024, 6, 29, 10, 36, 31), clouds=0.04),
    Take("B", datetime(2024, 8, 13, 10, 36, 31)),
)

# Day of year, red, green, blue. Between the days colours are interpolated; the year closes on itself.
_SOIL = (112, 95, 77)
# fmt: off
_CROPS: dict[str, Curve] = {
    "wheat": ((1, 74, 82, 54), (80, 66, 84, 50), (115, 46, 80, 40), (150, 50, 76, 42), (175, 98, 100, 62),
              (195, 146, 128, 90), (218, 140, 121, 89), (240, 116, 98, 77), (285, *_SOIL), (315, 86, 86, 60)),
    "barley": ((1, 66, 78, 50), (110, 48, 82, 40), (140, 74, 94, 52), (165, 134, 121, 83), (188, 152, 133, 96),
               (215, 106, 101, 72), (250, 70, 88, 52), (300, 62, 80, 48)),
    "rape": ((1, 60, 78, 48), (98, 50, 82, 42), (116, 92, 110, 46), (130, 122, 126, 48), (146, 70, 95, 50),
             (180, 94, 95, 62), (200, 125, 107, 79), (225, 116, 98, 77), (260, 76, 92, 53), (300, 53, 78, 43)),
    "maize": ((1, 104, 90, 75), (100, *_SOIL), (135, 122, 103, 83), (160, 92, 93, 65), (185, 44, 68, 37),
              (230, 37, 61, 35), (260, 66, 77, 48), (280, 122, 108, 80), (310, *_SOIL)),
    "beet": ((1, *_SOIL), (135, 118, 100, 80), (165, 70, 90, 51), (190, 46, 85, 38), (270, 50, 84, 41), (302, *_SOIL)),
    "sunflower": ((1, *_SOIL), (145, 120, 102, 82), (180, 60, 81, 46), (202, 90, 99, 50), (240, 72, 68, 50),
                  (270, *_SOIL)),
    "grass": ((1, 78, 84, 56), (80, 74, 87, 55), (120, 57, 90, 48), (160, 68, 93, 52), (210, 86, 94, 60),
              (290, 70, 86, 54)),
}
# fmt: on
_ROTATION = ("wheat", "barley", "rape", "maize", "beet", "sunflower", "grass")
_ROTATION_SHARES = (0.28, 0.13, 0.13, 0.16, 0.10, 0.08, 0.12)
# Air takes some of the colour of the ground as it is seen from above.
_CHROMA = np.float32(0.82)

# What is no parcel. Its palette index counts from 65535 downwards, parcels count from 0 upwards.
# fmt: off
_MATERIALS: dict[str, Curve] = {
    "conifer": ((1, 25, 40, 30), (150, 24, 43, 28)),
    "broadleaf": ((1, 60, 55, 45), (95, 58, 57, 44), (118, 46, 65, 36), (140, 32, 58, 28), (200, 28, 50, 28),
                  (265, 38, 53, 28), (290, 84, 68, 36), (318, 68, 57, 42)),
    "river": ((1, 40, 56, 52), (100, 44, 60, 54), (220, 30, 50, 46)),
    "lake": ((1, 20, 38, 46), (200, 18, 40, 42)),
    "garden": ((1, 64, 66, 50), (120, 54, 70, 44), (210, 62, 72, 48), (290, 66, 66, 46)),
    "margin": ((1, 92, 88, 64), (130, 76, 92, 56), (215, 108, 103, 72)),
    "track": ((1, 128, 114, 94), (200, 146, 130, 104)),
    "road": ((1, 116, 112, 106),),
    "motorway": ((1, 132, 128, 122),),
    "rail": ((1, 84, 76, 70),),
    "street": ((1, 104, 101, 97),),
    "yard": ((1, 126, 121, 113),),
    "red roof": ((1, 152, 100, 80),),
    "dark roof": ((1, 92, 84, 82),),
    "grey roof": ((1, 142, 138, 134),),
    "white roof": ((1, 224, 224, 222),),
}
# fmt: on
_INDEX = {name: 65535 - place for place, name in enumerate(_MATERIALS)}
_HEIGHT_M = {"conifer": 20, "broadleaf": 16, "red roof": 7, "dark roof": 8, "grey roof": 9, "white roof": 11}
# fmt: off
_SNOW_SHARE = {
    "conifer": 0.12, "broadleaf": 0.3, "river": 0.0, "lake": 0.75, "garden": 0.75, "road": 0.25, "motorway": 0.1,
    "rail": 0.4, "street": 0.3, "yard": 0.5, "red roof": 0.7, "dark roof": 0.7, "grey roof": 0.6,
}
# fmt: on


@dataclass(frozen=True)
class Ground:
    """What stays the same on all dates, in cells of 5 m.

    Attributes:
        paint: (H, W), palette index of each cell.
        texture: (H, W), factor of brightness around 1 with canopies, tramlines and grain.
        soil: (H, W), standard normal, patches of pale and dark soil.
        slope: (2, H, W), rise of the ground towards east and south, dimensionless.
        parcels: Number of parcels in the palette.
        floodplain: (parcels,), whether a parcel is permanent grassland.
    """

    paint: Paint
    texture: Floats
    soil: Floats
    slope: Floats
    parcels: int
    floodplain: NDArray[np.bool_]


@dataclass(frozen=True)
class Mosaic:
    """The cut of the ground into parcels.

    Attributes:
        polygons: One convex polygon a parcel.
        angles: Direction of the rows on each, radians from east towards south.
        borders: Polygons of the blocks that the parcels lie in; tracks run on their edges.
    """

    polygons: tuple[Points, ...]
    angles: Floats
    borders: tuple[Points, ...]


# --- noise and shapes ---


def _noise(rng: np.random.Generator, shape: tuple[int, int], largest: float, smallest: float, beta: float) -> Floats:
    """Standard normal noise (H, W) with waves of ``smallest`` to ``largest`` cells, amplitude ~ wavelength^beta."""
    height, width = (cv2.getOptimalDFTSize(int(side + min(largest, 64))) for side in shape)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    gain = np.maximum(frequency, 1 / largest) ** -beta * np.exp(-((frequency * smallest) ** 4) / 2)
    gain[0, 0] = 0
    field = np.fft.irfft2(spectrum * gain.astype(np.float32), s=(height, width))[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def _turned(angle: float) -> Points:
    """Matrix whose rows are the directions along and across ``angle``."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _box(centre: Points, size: ArrayLike, angle: float) -> Points:
    """Corners of a rectangle of ``size`` metres turned by ``angle``."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(size) / 2
    return np.asarray(centre + corners @ _turned(angle))


def _area(polygon: Points) -> float:
    """Area of a polygon in square metres."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _cut(polygon: Points, point: Points, normal: Points) -> Iterator[Points]:
    """Both parts of a convex polygon cut by a line."""
    side = (polygon - point) @ normal
    ahead, side_ahead = np.roll(polygon, -1, axis=0), np.roll(side, -1)
    crosses = side * side_ahead < 0
    step = np.where(crosses, side / np.where(crosses, side - side_ahead, 1), 0)
    corners = np.stack([polygon, polygon + step[:, None] * (ahead - polygon)], axis=1).reshape(-1, 2)
    for here in (side >= 0, side < 0):
        yield corners[np.stack([here, crosses], axis=1).ravel()]


def _split(rng: np.random.Generator, polygon: Points, angle: float, target: float, slender: float) -> list[Points]:
    """Cut a convex polygon along and across ``angle`` until the parts measure about ``target`` square metres."""
    done, todo = [], [polygon]
    while todo:
        part = todo.pop()
        if _area(part) < target * rng.uniform(0.7, 2.2):
            done.append(part)
            continue
        axes = _turned(angle + rng.normal(0, 0.03))
        along = part @ axes.T
        low, high = along.min(axis=0), along.max(axis=0)
        axis = 0 if (high - low)[0] > (high - low)[1] * slender else 1
        place = low + (high - low) * rng.uniform(0.33, 0.67)
        todo += [half for half in _cut(part, place @ axes, axes[axis]) if len(half) > 2]
    return done


def _wander(rng: np.random.Generator, start: Points, end: Points, sway: float) -> Points:
    """A road-like line from ``start`` to ``end`` that strays about ``sway`` of its length, a point each 20 m."""
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, max(3, int(length / 20)))
    order = np.arange(1, 6)
    waves = np.sin(np.pi * t[:, None] * order) @ rng.normal(0, sway / order)
    across = np.array([-(end - start)[1], (end - start)[0]])
    return np.asarray(start + t[:, None] * (end - start) + waves[:, None] * across)


def _sway(rng: np.random.Generator, count: int, smooth: float) -> Points:
    """A smooth random series (count,) of unit spread; ``smooth`` in steps."""
    rough = rng.standard_normal((1, count + 6 * int(smooth)))
    series = cv2.GaussianBlur(rough, (0, 0), smooth, sigmaY=0.01)[0, 3 * int(smooth) :][:count]
    return np.asarray(series * np.sqrt(2 * np.sqrt(np.pi) * smooth))


def _beside(line: Points, offset: Points) -> Points:
    """Points of ``line`` moved sideways by ``offset`` metres, one offset a point."""
    along = np.gradient(line, axis=0)
    along /= np.hypot(*along.T)[:, None] + 1e-9
    return line + np.stack([-along[:, 1], along[:, 0]], axis=1) * offset[:, None]


# --- painting ---


def _fixed(points: Points) -> NDArray[np.int32]:
    """Metres to OpenCV's drawing units: 1/16 cell, centres at integers."""
    return np.round((points / CELL_M - 0.5) * 16).astype(np.int32)


def _fill(paint: Paint, polygons: Iterable[Points], material: str) -> None:
    """Paint the inside of polygons."""
    for polygon in polygons:
        cv2.fillPoly(paint, [_fixed(polygon)], _INDEX[material], cv2.LINE_8, 4)


def _trace(paint: Paint, lines: Iterable[Points], material: str, width_m: float, closed: bool = False) -> None:
    """Paint along lines."""
    for line in lines:
        cv2.polylines(paint, [_fixed(line)], closed, _INDEX[material], round(width_m / CELL_M), cv2.LINE_8, 4)


def _dots(rng: np.random.Generator, paint: Paint, points: Points, material: str, largest_m: float) -> None:
    """Trees and bushes: discs of random size."""
    for (x, y), radius in zip(_fixed(points), rng.uniform(0.3, 1, len(points)) * largest_m / CELL_M, strict=True):
        cv2.circle(paint, (int(x), int(y)), int(radius * 16), _INDEX[material], -1, cv2.LINE_8, 4)


def _mosaic(rng: np.random.Generator, extent: Points) -> Mosaic:
    """Cut the ground into blocks, each with its own grain, and the blocks into parcels."""
    edge = 300.0
    whole = np.array([[-edge, -edge], [extent[0] + edge, -edge], extent + edge, [-edge, extent[1] + edge]])
    polygons, angles, borders = [], [], []
    trend = rng.uniform(0, np.pi)
    for district in _split(rng, whole, rng.uniform(0, np.pi), 9e6, 1.0):
        trend += rng.normal(0, 0.5)
        for block in _split(rng, district, trend, 1.3e6, 1.2):
            angle = trend + rng.normal(0, 0.12) + rng.choice([0, np.pi / 2])
            parts = _split(rng, block, angle, np.exp(rng.normal(np.log(5.5e4), 0.75)), rng.uniform(1.0, 4.5))
            polygons += parts
            angles += [angle] * len(parts)
            borders.append(block)
    return Mosaic(tuple(polygons), np.array(angles, np.float32), tuple(borders))


def _parcel_paint(rng: np.random.Generator, shape: tuple[int, int], mosaic: Mosaic) -> Paint:
    """Paint parcels, margins and tracks, then bend the whole a little: no field is ruled on a drawing board."""
    paint = np.zeros(shape, np.uint16)
    for place, polygon in enumerate(mosaic.polygons):
        cv2.fillPoly(paint, [_fixed(polygon)], place, cv2.LINE_8, 4)
    edged = [polygon for polygon in mosaic.polygons if rng.random() < 0.45]
    _trace(paint, edged, "margin", 5, closed=True)
    _trace(paint, [p for p in mosaic.borders if rng.random() < 0.7], "track", 5, closed=True)
    for polygon in mosaic.polygons:
        if rng.random() < 0.13:
            hedge = _wander(rng, polygon[0], polygon[1], 0.0)
            _dots(rng, paint, hedge[rng.random(len(hedge)) < 0.7], "broadleaf", 13)
    bend = [_noise(rng, shape, 400, 100, 1.5) * 5 + _noise(rng, shape, 40, 8, 1) * 0.4 for _ in range(2)]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.asarray(cv2.remap(paint, x + bend[0], y + bend[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT))


def _mean_by_parcel(paint: Paint, values: Floats, parcels: int) -> Floats:
    """Mean of ``values`` over each parcel, (parcels,)."""
    inside = paint < parcels
    count = np.bincount(paint[inside], minlength=parcels)
    total = np.bincount(paint[inside], weights=values[inside], minlength=parcels)
    return (total / np.maximum(count, 1)).astype(np.float32)


def _paint_woods(rng: np.random.Generator, paint: Paint, parcels: int) -> None:
    """Woods take whole parcels where they are dense and fray at the edges; conifers and broadleaves stand in stands."""
    shape = (paint.shape[0], paint.shape[1])
    dense = _noise(rng, shape, 900, 12, 1.7)
    by_parcel = np.append(_mean_by_parcel(paint, dense, parcels), 0).astype(np.float32)
    score = np.where(paint < parcels, by_parcel[np.minimum(paint, parcels)], dense)
    score += 0.12 * _noise(rng, shape, 60, 4, 1) + 0.25 * (dense - score)
    wooded = cv2.medianBlur((score > 0.95).astype(np.uint8), 5) > 0
    stands = _noise(rng, shape, 500, 20, 1.5) + 0.3 * by_parcel[np.minimum(paint, parcels)] > 0.1
    rides = rng.random(parcels + 1) < 0.06
    wooded &= ~rides[np.minimum(paint, parcels)]
    paint[wooded & stands] = _INDEX["conifer"]
    paint[wooded & ~stands] = _INDEX["broadleaf"]


def _river_line(rng: np.random.Generator, extent: Points) -> Points:
    """A sine-generated meander from the west edge to the east edge, a point each 10 m."""
    way = np.arange(0, extent[0] * 2.6, 10)
    swing = 1.1 + 0.3 * _sway(rng, len(way), 100)
    phase = 2 * np.pi * way / 2100 + 0.9 * _sway(rng, len(way), 90)
    heading = swing * np.sin(phase) + 0.35 * np.sin(way / 6000 + rng.uniform(0, 6)) + 0.18 * _sway(rng, len(way), 9)
    line = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * 10, axis=0)
    line[:, 1] += extent[1] * 0.6 - np.median(line[:, 1])
    return np.asarray(line - [400, 0])


def _paint_brooks(rng: np.random.Generator, paint: Paint, extent: Points, river: Points) -> None:
    """Brooks that run from the edges of the ground into the river, with trees in places."""
    for x in np.arange(extent[0] * 0.06, extent[0], 2600):
        source = np.array([x + rng.normal(0, 600), rng.choice([-100, extent[1] + 100])])
        mouth = river[np.argmin(np.abs(river[:, 0] - x - rng.normal(0, 600)))]
        brook = _wander(rng, source, mouth, 0.1)
        brook = _beside(brook, _sway(rng, len(brook), 9) * 16)
        trees = np.repeat(brook, 4, axis=0)
        trees = trees[rng.random(len(trees)) < np.repeat(0.35 + 0.3 * _sway(rng, len(brook), 25), 4)]
        _dots(rng, paint, trees + rng.normal(0, 9, trees.shape), "broadleaf", 13)
        _trace(paint, [brook], "river", 5)


def _paint_river(rng: np.random.Generator, paint: Paint, extent: Points, river: Points) -> None:
    """The river, the oxbows it has left behind, and the trees on its banks."""
    for _ in range(max(1, int(extent[0] / 2300))):
        first = int(rng.integers(len(river) - 90))
        bend = river[first : first + 80]
        away = (bend[[0, -1]].mean(axis=0) - bend[40]) * rng.uniform(-1.4, -0.7)
        _trace(paint, [bend.mean(axis=0) + (bend - bend.mean(axis=0)) * 0.8 + away], "lake", 35)
    bank = np.repeat(_beside(river, _sway(rng, len(river), 20) * 10), 3, axis=0)
    bank = bank[rng.random(len(bank)) < np.repeat(0.4 + 0.35 * _sway(rng, len(river), 30), 3)]
    side = rng.choice([-1, 1], len(bank)) * (24 + rng.gamma(1.5, 10, len(bank)))
    _dots(rng, paint, _beside(bank + rng.normal(0, 3, bank.shape), side), "broadleaf", 18)
    for width, reach in ((35, 0.0), (30, 9.0), (30, 9.0)):
        _trace(paint, [_beside(river, _sway(rng, len(river), 14) * reach)], "river", width)


def _paint_lakes(rng: np.random.Generator, paint: Paint, extent: Points) -> None:
    """Lakes and ponds with bays."""
    around = np.linspace(0, 2 * np.pi, 90)
    for _ in range(max(1, round(extent[0] * extent[1] / 7e6))):
        lobes = np.zeros_like(around)
        for k in range(1, 12):
            lobes += rng.normal(0, 0.38 / k**1.25) * np.sin(k * around + rng.uniform(0, 6))
        radius = 10 ** rng.uniform(1.4, 2.35) * np.exp(lobes)
        shore = np.stack([np.cos(around) * radius * rng.uniform(0.4, 1), np.sin(around) * radius], axis=1)
        _fill(paint, [rng.uniform(0, 1, 2) * extent + shore @ _turned(rng.uniform(0, 3))], "lake")


def _places(rng: np.random.Generator, extent: Points) -> Points:
    """Centres of the settlements, the towns first; no two closer than 1.7 km."""
    chosen = [extent * (0.5 if extent[0] < 4000 else np.array([0.16, 0.7]))]
    for _ in range(400):
        point = rng.uniform(0.03, 0.97, 2) * extent
        if min(float(np.hypot(*(point - other))) for other in chosen) > 1700:
            chosen.append(point)
    return np.array(chosen)


def _links(places: Points) -> list[tuple[int, int]]:
    """Neighbours worth a road: no third place lies nearer to both (the relative neighbourhood graph)."""
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    pairs = [(i, j) for i in range(len(places)) for j in range(i)]
    return [(i, j) for i, j in pairs if not (np.maximum(apart[i], apart[j]) < apart[i, j]).any()]


def _roads(rng: np.random.Generator, extent: Points, places: Points) -> list[Points]:
    """Roads between neighbouring places, and from the outer places off the edge of the ground."""
    roads = [_wander(rng, places[i], places[j], 0.045) for i, j in _links(places)]
    for place in places:
        for out in (place * [1, 0] - [0, 200], place * [0, 1] - [200, 0], np.array([place[0], extent[1] + 200])):
            if np.hypot(*(out - place)) < 1900:
                roads.append(_wander(rng, place, out + rng.normal(0, 300, 2) * (out != place), 0.04))
    return roads


def _paint_roads(rng: np.random.Generator, paint: Paint, extent: Points, roads: list[Points]) -> None:
    """Roads with a tree here and there, a railway and a motorway."""
    rail = _wander(rng, np.array([-100, extent[1] * 0.9]), np.array([extent[0] + 100, extent[1] * 0.12]), 0.05)
    _trace(paint, [rail], "margin", 20)
    _trace(paint, [rail], "rail", 10)
    for road in roads:
        tree_lined = rng.uniform(-0.2, 0.35)
        for side in (-11.0, 11.0):
            trees = _beside(road, np.full(len(road), side))
            _dots(rng, paint, trees[rng.random(len(road)) < tree_lined], "broadleaf", 9)
        _trace(paint, [road], "road", 10)
    motorway = _wander(rng, np.array([extent[0] * 0.36, -100]), np.array([extent[0] * 0.72, extent[1] + 100]), 0.06)
    _trace(paint, [motorway], "margin", 50)
    _trace(paint, [motorway], "motorway", 30)
    _trace(paint, [motorway], "margin", 5)


def _houses(rng: np.random.Generator, paint: Paint, block: Points, dense: float) -> None:
    """Houses along the inside of a town block."""
    centre = block.mean(axis=0)
    kinds = rng.choice(["red roof", "dark roof", "grey roof", "white roof"], 64, p=[0.44, 0.27, 0.24, 0.05])
    for start, end in zip(block, np.roll(block, -1, axis=0), strict=True):
        along = end - start
        length = float(np.hypot(*along))
        for place in np.arange(12, length - 8, rng.uniform(17, 26)):
            if rng.random() > dense:
                continue
            spot = start + along * place / length
            inward = (centre - spot) / (np.hypot(*(centre - spot)) + 1e-9)
            size = rng.uniform(9, 18), rng.uniform(7, 12)
            roof = _box(spot + inward * rng.uniform(13, 20), size, np.arctan2(along[1], along[0]))
            _fill(paint, [roof], str(kinds[int(rng.integers(64))]))


def _paint_settlement(rng: np.random.Generator, paint: Paint, centre: Points, radius: float, angle: float) -> None:
    """A town or village: blocks between streets, houses along them, and halls at the edge of the larger ones."""
    around = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    rim = np.stack([np.cos(around) * 1.5, np.sin(around) * rng.uniform(0.45, 0.9)], axis=1) * radius
    blocks = _split(rng, centre + rim @ _turned(angle), angle, 9e3, 1.6)
    for block in blocks:
        far = float(np.hypot(*(block.mean(axis=0) - centre))) / radius
        if rng.random() < (far - 0.3) * 0.85:
            continue
        _fill(paint, [block], "yard" if rng.random() < 0.05 else "garden")
        _dots(rng, paint, block[:1] * 0.4 + block.mean(axis=0) * 0.6 + rng.normal(0, 18, (3, 2)), "broadleaf", 9)
        _trace(paint, [block], "street", rng.choice([5, 10]), closed=True)
        _houses(rng, paint, block, 1.0 - 0.35 * far)
    for _ in range(int(radius / 130)):
        heading = rng.uniform(0, 2 * np.pi)
        spot = centre + np.array([np.cos(heading), np.sin(heading)]) * radius * rng.uniform(0.8, 1.15)
        size = rng.uniform(40, 130, 2) * min(1, radius / 450)
        _fill(paint, [_box(spot, size * 1.7, angle)], "yard")
        _fill(paint, [_box(spot + rng.normal(0, 6, 2), size, angle)], str(rng.choice(["white roof", "grey roof"])))


def _paint_details(rng: np.random.Generator, paint: Paint, extent: Points) -> None:
    """Copses, ponds and farmsteads in the open fields."""
    count = int(extent[0] * extent[1] / 3.2e5)
    for spot in rng.uniform(0, 1, (count, 2)) * extent:
        near = spot + rng.normal(0, rng.uniform(4, 26), (int(rng.integers(2, 22)), 2))
        if rng.random() < 0.4:
            _dots(rng, paint, near, "margin", 24)
        _dots(rng, paint, near, "broadleaf", 15)
        if rng.random() < 0.12:
            _dots(rng, paint, near[:2], "lake", 22)
    for spot in rng.uniform(0, 1, (count // 8, 2)) * extent:
        angle = rng.uniform(0, np.pi)
        _fill(paint, [_box(spot, (70, 55), angle)], "yard")
        for _ in range(4):
            barn = _box(spot + rng.normal(0, 18, 2), (rng.uniform(14, 38), 12), angle)
            _fill(paint, [barn], str(rng.choice(["red roof", "grey roof", "white roof"])))


def _texture(rng: np.random.Generator, paint: Paint, mosaic: Mosaic) -> Floats:
    """Brightness within one paint: crowns in woods, tramlines and patches on fields, grain everywhere."""
    shape = (paint.shape[0], paint.shape[1])
    parcels = len(mosaic.polygons)
    grain = _noise(rng, shape, 12, 2, 0.5)
    crowns = 0.17 * _noise(rng, shape, 10, 3, 0.3) + 0.1 * _noise(rng, shape, 120, 10, 1)
    inside = paint < parcels
    parcel = np.minimum(paint, parcels - 1)
    angle, spacing = mosaic.angles[parcel], rng.uniform(20, 46, parcels).astype(np.float32)[parcel]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) * CELL_M
    lines = np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / spacing)
    strength = (rng.gamma(2, 0.016, parcels).astype(np.float32))[parcel]
    fields = strength * lines + 0.035 * grain + 0.03 * _noise(rng, shape, 60, 8, 1)
    wooded = (paint == _INDEX["conifer"]) | (paint == _INDEX["broadleaf"])
    still = (paint == _INDEX["river"]) | (paint == _INDEX["lake"])
    rest = np.where(still, 0.01, 0.06).astype(np.float32) * grain
    return np.asarray(1 + np.where(wooded, crowns, np.where(inside, fields, rest)), np.float32)


def _relief(rng: np.random.Generator, shape: tuple[int, int], river: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Slope of the ground (2, H, W) and distance to the river in metres (H, W); the river runs in a valley."""
    far = cv2.distanceTransform(1 - river, cv2.DIST_L2, 5) * np.float32(CELL_M)
    height = 26 * _noise(rng, shape, 1200, 30, 2.0) * np.clip(far / 1500, 0.05, 1) + 18 * np.tanh(far / 700)
    height = cv2.GaussianBlur(height, (0, 0), 4)
    south, east = np.gradient(height, CELL_M)
    return np.stack([east, south]).astype(np.float32), far


def make_ground(size: int, east: int, seed: int) -> Ground:
    """Make the ground under both tiles.

    Args:
        size: Side of a tile in px of 10 m.
        east: Columns the eastern tile begins after the western one, px.
        seed: Another number makes another landscape.
    """
    rng = np.random.default_rng([seed, size])
    shape = (2 * size, 2 * (size + east))
    extent = np.array([shape[1], shape[0]]) * CELL_M
    mosaic, river = _mosaic(rng, extent), _river_line(rng, extent)
    parcels = len(mosaic.polygons)
    paint = _parcel_paint(rng, shape, mosaic)
    mask = np.zeros(shape, np.uint8)
    cv2.polylines(mask, [_fixed(river)], False, 1, 10, cv2.LINE_8, 4)
    slope, far = _relief(rng, shape, mask)
    floodplain = _mean_by_parcel(paint, far, parcels) < 170
    _paint_woods(rng, paint, parcels)
    _paint_details(rng, paint, extent)
    _paint_brooks(rng, paint, extent, river)
    _paint_river(rng, paint, extent, river)
    _paint_lakes(rng, paint, extent)
    places = _places(rng, extent)
    _paint_roads(rng, paint, extent, _roads(rng, extent, places))
    for rank, place in enumerate(places):
        radius = rng.uniform(480, 760) if rank % 9 == 0 else 10 ** rng.uniform(1.9, 2.5)
        _paint_settlement(rng, paint, place, min(radius, extent[1] / 4), rng.uniform(0, np.pi))
    return Ground(paint, _texture(rng, paint, mosaic), _noise(rng, shape, 300, 6, 1.2), slope, parcels, floodplain)


# --- dates ---


def _colour_on(curve: Curve, days: Points | float) -> NDArray[np.float64]:
    """Colour (..., 3) of a yearly curve on one or many days of the year."""
    table = np.array(curve, float)
    return np.stack([np.interp(days, table[:, 0], table[:, band], period=365.25) for band in (1, 2, 3)], axis=-1)


def _palette(ground: Ground, seed: int, date: datetime) -> tuple[Floats, Floats]:
    """Colours (65536, 3) on a date, and how strongly the soil's patches show through (65536,)."""
    day = float(date.timetuple().tm_yday)
    colours, shows = np.zeros((65536, 3), np.float32), np.zeros(65536, np.float32)
    fixed = np.random.default_rng([seed, 1])
    habit = fixed.normal(0, 8, ground.parcels)
    tint = np.exp(fixed.normal(0, 0.07, (ground.parcels, 1)) + fixed.normal(0, 0.025, (ground.parcels, 3)))
    year = np.random.default_rng([seed, 2, date.year])
    crop = year.choice(len(_ROTATION), ground.parcels, p=_ROTATION_SHARES)
    crop[ground.floodplain] = _ROTATION.index("grass")
    days = day + habit + year.normal(0, 5, ground.parcels)
    for place, name in enumerate(_ROTATION):
        colours[: ground.parcels][crop == place] = _colour_on(_CROPS[name], days[crop == place])
    bare = colours[: ground.parcels, 0] / colours[: ground.parcels, 1]
    shows[: ground.parcels] = np.interp(bare, [0.6, 0.85, 1.2], [-0.025, 0.03, 0.1])
    colours[: ground.parcels] *= tint
    for name, curve in _MATERIALS.items():
        colours[_INDEX[name]] = _colour_on(curve, day)
    grey = colours.mean(axis=1, keepdims=True)
    colours = grey + _CHROMA * (colours - grey)
    return colours, shows


def sun_at(date: datetime) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the morning sun over the sample, degrees."""
    season = np.cos(2 * np.pi * (date.timetuple().tm_yday - 172) / 365.25)
    return 161 - 9 * float(season), 38 + 22 * float(season)


def _sunward(azimuth: float) -> Floats:
    """Unit vector (east, south) towards the sun."""
    return np.array([np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth))], np.float32)


def _cast(paint: Paint, azimuth: float, elevation: float) -> NDArray[np.bool_]:
    """Cells in the shadow of trees and houses."""
    table = np.zeros(65536, np.uint8)
    for name, height in _HEIGHT_M.items():
        table[_INDEX[name]] = height
    heights = table[paint]
    dark = np.zeros(paint.shape, bool)
    east, south = _sunward(azimuth)
    for step in range(1, int(20 / np.tan(np.radians(elevation)) / CELL_M) + 1):
        move = np.array([[1, 0, -step * east], [0, 1, -step * south]])
        between = cv2.warpAffine(heights, move, paint.shape[::-1], flags=cv2.INTER_NEAREST)
        dark |= between > heights + step * CELL_M * np.tan(np.radians(elevation))
    return dark


def _snowed(rng: np.random.Generator, colour: Floats, ground: Ground, share: float) -> Floats:
    """Cover open ground with snow; woods, water and roads keep less."""
    table = np.ones(65536, np.float32)
    for name, held in _SNOW_SHARE.items():
        table[_INDEX[name]] = held
    drift = _noise(rng, (colour.shape[0], colour.shape[1]), 300, 6, 1.3)
    cover = np.clip(share + 0.1 * drift, 0, 1) * table[ground.paint]
    white = np.array([196, 200, 209], np.float32) * (1 + 0.025 * ground.soil[..., None])
    return np.asarray(colour + cover[..., None] * (white + 0.5 * (colour - 80) - colour), np.float32)


def _surface(rng: np.random.Generator, ground: Ground, take: Take, seed: int) -> Floats:
    """The ground (H, W, 3) in px of 10 m on a date, without the air above it."""
    colours, shows = _palette(ground, seed, take.sensed)
    azimuth, elevation = sun_at(take.sensed)
    colour = colours[ground.paint]
    colour *= (ground.texture * (1 + shows[ground.paint] * ground.soil))[..., None]
    if take.snow:
        colour = _snowed(rng, colour, ground, take.snow)
    light = 1 - np.tensordot(_sunward(azimuth), ground.slope, 1) / np.tan(np.radians(elevation))
    light *= np.where(_cast(ground.paint, azimuth, elevation), 0.62, 1)
    colour *= np.clip(light, 0.45, 1.6)[..., None]
    height, width = colour.shape[:2]
    return np.asarray(cv2.resize(colour, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)


def _clouds(rng: np.random.Generator, shape: tuple[int, int], take: Take) -> tuple[Floats, Floats, Floats]:
    """Opacity of the cumulus, its brightness and the light left in its shadow, each (H, W) in px."""
    azimuth, elevation = sun_at(take.sensed)
    reach = CLOUD_HEIGHT_M / PIXEL_M / np.tan(np.radians(elevation))
    margin = int(reach) + 2
    grown = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    towers = _noise(rng, grown, 130, 6, 1.5) + 0.45 * _noise(rng, grown, 500, 120, 1.5)
    towers -= 0.32 * np.abs(_noise(rng, grown, 24, 5, 0.9))
    towers -= np.quantile(towers, 1 - take.clouds).astype(np.float32)
    thick = np.clip(0.5 + 1.35 * towers, 0, 1)
    thick = thick * thick * (3 - 2 * thick)
    east, south = _sunward(azimuth)
    move = np.array([[1, 0, -reach * east], [0, 1, -reach * south]])
    shadow = cv2.GaussianBlur(cv2.warpAffine(thick, move, grown[::-1]), (0, 0), 1.5)
    lit = cv2.warpAffine(towers, move * [[1, 1, -0.06], [1, 1, -0.06]], grown[::-1], borderMode=cv2.BORDER_REFLECT)
    bright = np.clip(208 + 28 * towers - 40 * (lit - towers), 155, 262)
    inside = np.s_[margin : margin + shape[0], margin : margin + shape[1]]
    opacity, brightness, left = (np.asarray(layer[inside], np.float32) for layer in (thick, bright, 1 - 0.55 * shadow))
    return opacity, brightness, left


def render(ground: Ground, take: Take, seed: int) -> NDArray[np.uint8]:
    """Render the whole ground on one date.

    Args:
        ground: What to render.
        take: Date and weather; its tile and swath are not looked at.
        seed: The same as the ground's.

    Returns:
        (H, W, 3) in px of 10 m, red green blue, 12 or more: 0 is kept for nodata, with room for the codec to err.
    """
    rng = np.random.default_rng([seed, 3, take.sensed.toordinal()])
    image = _surface(rng, ground, take, seed)
    shape = (image.shape[0], image.shape[1])
    if take.clouds:
        thick, bright, left = _clouds(rng, shape, take)
        image *= left[..., None]
        image += thick[..., None] * (bright[..., None] * np.array([0.985, 0.99, 1.0], np.float32) - image)
    veil = take.haze * (1 + 0.22 * _noise(rng, shape, 700, 60, 1.6))[..., None]
    image += np.clip(veil, 0, 0.8) * (np.array([150, 158, 170], np.float32) - image)
    image = cv2.GaussianBlur(image, (0, 0), 0.5)
    image += rng.normal(0, 0.9, image.shape).astype(np.float32)
    return np.asarray(np.clip(np.round(image), 12, 255), np.uint8)


# --- files ---


def _without_swath(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Set to nodata what lies beyond the slanted edge of the swath."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    return np.where((x > width * (0.58 - 0.26 * y / height))[..., None], image, np.uint8(0))


def _write_jp2(path: Path, image: NDArray[np.uint8], left_m: float, lossless: bool) -> None:
    """Write (H, W, 3) as JPEG 2000 with its place on the map."""
    profile = {
        "driver": "JP2OpenJPEG",
        "height": image.shape[0],
        "width": image.shape[1],
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, left_m, 0, -PIXEL_M, ORIGIN_M[1]),
    }
    # lossy wavelets ring across the edge of nodata, and 0 must stay 0
    codec = {"QUALITY": 100, "REVERSIBLE": "YES"} if lossless else {"QUALITY": 7, "REVERSIBLE": "NO"}
    with written_whole(path) as partial, rasterio.open(partial, "w", **profile, **codec) as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        file.write(image.transpose(2, 0, 1))


def write_sample(folder: Path, size: int = SIZE_PX, seed: int = 11, takes: Sequence[Take] = TAKES) -> tuple[Path, ...]:
    """Make the sample: five dates of a western tile and thirteen of an eastern one that overlaps it.

    Args:
        folder: Where to write; made when missing.
        size: Side of a tile in px of 10 m, at least 64; the overlap shrinks with it.
        seed: Another number makes another landscape.
        takes: Which scenes to write.

    Returns:
        The files in the order of ``takes``.

    Raises:
        OutputError: The folder cannot be made, or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    east = round(size * EAST_PX / SIZE_PX)
    ground = make_ground(size, east, seed)
    for sensed in sorted({take.sensed for take in takes}):
        of_date = [take for take in takes if take.sensed == sensed]
        world = render(ground, of_date[0], seed)
        for take in of_date:
            begin = east if take.tile == "B" else 0
            image = world[:, begin : begin + size]
            image = _without_swath(image) if take.swath else image
            _write_jp2(folder / take.name, image, ORIGIN_M[0] + begin * PIXEL_M, lossless=take.swath)
    return tuple(folder / take.name for take in takes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sample from the command line."""
    parser = argparse.ArgumentParser(description="Make the synthetic Sentinel-2-like sample scenes.")
    parser.add_argument("folder", type=Path, help="folder to write the scenes to")
    for path in write_sample(parser.parse_args(arguments).folder):
        print(path)


if __name__ == "__main__":
    main()
