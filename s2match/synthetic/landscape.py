"""Woods, water, and what stands about in the open fields."""

import cv2
import numpy as np

from s2match.synthetic.brush import dots, fill, trace
from s2match.synthetic.materials import INDEX
from s2match.synthetic.parcels import mean_by_parcel
from s2match.synthetic.shapes import beside, box, drift, noise, turned, wander
from s2match.synthetic.units import Paint, Points


def paint_woods(rng: np.random.Generator, paint: Paint, parcels: int) -> None:
    """Woods take whole parcels where they are dense and fray at the edges; conifers and broadleaves stand in stands."""
    shape = (paint.shape[0], paint.shape[1])
    dense = noise(rng, shape, 900, 12, 1.7)
    by_parcel = np.append(mean_by_parcel(paint, dense, parcels), 0).astype(np.float32)
    score = np.where(paint < parcels, by_parcel[np.minimum(paint, parcels)], dense)
    score += 0.12 * noise(rng, shape, 60, 4, 1) + 0.25 * (dense - score)
    wooded = cv2.medianBlur((score > 0.95).astype(np.uint8), 5) > 0
    stands = noise(rng, shape, 500, 20, 1.5) + 0.3 * by_parcel[np.minimum(paint, parcels)] > 0.1
    rides = rng.random(parcels + 1) < 0.06
    wooded &= ~rides[np.minimum(paint, parcels)]
    paint[wooded & stands] = INDEX["conifer"]
    paint[wooded & ~stands] = INDEX["broadleaf"]


def river_line(rng: np.random.Generator, extent: Points) -> Points:
    """A sine-generated meander from the west edge to the east edge, a point each 10 m."""
    way = np.arange(0, extent[0] * 2.6, 10)
    swing = 1.1 + 0.3 * drift(rng, len(way), 100)
    phase = 2 * np.pi * way / 2100 + 0.9 * drift(rng, len(way), 90)
    heading = swing * np.sin(phase) + 0.35 * np.sin(way / 6000 + rng.uniform(0, 6)) + 0.18 * drift(rng, len(way), 9)
    line = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * 10, axis=0)
    line[:, 1] += extent[1] * 0.6 - np.median(line[:, 1])
    return np.asarray(line - [400, 0])


def paint_brooks(rng: np.random.Generator, paint: Paint, extent: Points, river: Points) -> None:
    """Brooks that run from the edges of the ground into the river, with trees in places."""
    for x in np.arange(extent[0] * 0.06, extent[0], 2600):
        source = np.array([x + rng.normal(0, 600), rng.choice([-100, extent[1] + 100])])
        mouth = river[np.argmin(np.abs(river[:, 0] - x - rng.normal(0, 600)))]
        brook = wander(rng, source, mouth, 0.1)
        brook = beside(brook, drift(rng, len(brook), 9) * 16)
        trees = np.repeat(brook, 4, axis=0)
        trees = trees[rng.random(len(trees)) < np.repeat(0.35 + 0.3 * drift(rng, len(brook), 25), 4)]
        dots(rng, paint, trees + rng.normal(0, 9, trees.shape), "broadleaf", 13)
        trace(paint, [brook], "river", 5)


def paint_river(rng: np.random.Generator, paint: Paint, extent: Points, river: Points) -> None:
    """The river, the oxbows it has left behind, and the trees on its banks."""
    for _ in range(max(1, int(extent[0] / 2300))):
        first = int(rng.integers(len(river) - 90))
        bend = river[first : first + 80]
        away = (bend[[0, -1]].mean(axis=0) - bend[40]) * rng.uniform(-1.4, -0.7)
        trace(paint, [bend.mean(axis=0) + (bend - bend.mean(axis=0)) * 0.8 + away], "lake", 35)
    bank = np.repeat(beside(river, drift(rng, len(river), 20) * 10), 3, axis=0)
    bank = bank[rng.random(len(bank)) < np.repeat(0.4 + 0.35 * drift(rng, len(river), 30), 3)]
    side = rng.choice([-1, 1], len(bank)) * (24 + rng.gamma(1.5, 10, len(bank)))
    dots(rng, paint, beside(bank + rng.normal(0, 3, bank.shape), side), "broadleaf", 18)
    for width, reach in ((35, 0.0), (30, 9.0), (30, 9.0)):
        trace(paint, [beside(river, drift(rng, len(river), 14) * reach)], "river", width)


def paint_lakes(rng: np.random.Generator, paint: Paint, extent: Points) -> None:
    """Lakes and ponds with bays."""
    around = np.linspace(0, 2 * np.pi, 90)
    for _ in range(max(1, round(extent[0] * extent[1] / 7e6))):
        lobes = np.zeros_like(around)
        for k in range(1, 12):
            lobes += rng.normal(0, 0.38 / k**1.25) * np.sin(k * around + rng.uniform(0, 6))
        radius = 10 ** rng.uniform(1.4, 2.35) * np.exp(lobes)
        shore = np.stack([np.cos(around) * radius * rng.uniform(0.4, 1), np.sin(around) * radius], axis=1)
        fill(paint, [rng.uniform(0, 1, 2) * extent + shore @ turned(rng.uniform(0, 3))], "lake")


def paint_details(rng: np.random.Generator, paint: Paint, extent: Points) -> None:
    """Copses, ponds and farmsteads in the open fields."""
    count = int(extent[0] * extent[1] / 3.2e5)
    for spot in rng.uniform(0, 1, (count, 2)) * extent:
        near = spot + rng.normal(0, rng.uniform(4, 26), (int(rng.integers(2, 22)), 2))
        if rng.random() < 0.4:
            dots(rng, paint, near, "margin", 24)
        dots(rng, paint, near, "broadleaf", 15)
        if rng.random() < 0.12:
            dots(rng, paint, near[:2], "lake", 22)
    for spot in rng.uniform(0, 1, (count // 8, 2)) * extent:
        angle = rng.uniform(0, np.pi)
        fill(paint, [box(spot, (70, 55), angle)], "yard")
        for _ in range(4):
            barn = box(spot + rng.normal(0, 18, 2), (rng.uniform(14, 38), 12), angle)
            fill(paint, [barn], str(rng.choice(["red roof", "grey roof", "white roof"])))
