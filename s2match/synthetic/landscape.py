"""Woods, water, copses and farmsteads."""

import cv2
import numpy as np

from s2match.synthetic.brush import discs, fill, stroke
from s2match.synthetic.materials import INDEX
from s2match.synthetic.parcels import mean_by_parcel
from s2match.synthetic.shapes import noise, offset_curve, rectangle, rotation, sinuous_line, smooth_series
from s2match.synthetic.units import Paint, Points


def paint_woods(rng: np.random.Generator, paint: Paint, parcels: int) -> None:
    """Paint woods over whole parcels, with irregular edges and stands of conifers and broadleaves."""
    shape = (paint.shape[0], paint.shape[1])
    density = noise(rng, shape, 900, 12, 1.7)
    by_parcel = np.append(mean_by_parcel(paint, density, parcels), 0).astype(np.float32)
    score = np.where(paint < parcels, by_parcel[np.minimum(paint, parcels)], density)
    score += 0.12 * noise(rng, shape, 60, 4, 1) + 0.25 * (density - score)
    wooded = cv2.medianBlur((score > 0.95).astype(np.uint8), 5) > 0
    conifers = noise(rng, shape, 500, 20, 1.5) + 0.3 * by_parcel[np.minimum(paint, parcels)] > 0.1
    cleared = rng.random(parcels + 1) < 0.06
    wooded &= ~cleared[np.minimum(paint, parcels)]
    paint[wooded & conifers] = INDEX["conifer"]
    paint[wooded & ~conifers] = INDEX["broadleaf"]


def river_line(rng: np.random.Generator, extent: Points) -> Points:
    """Sine-generated curve (Langbein and Leopold 1966) from the west to the east edge, a point each 10 m."""
    length = np.arange(0, extent[0] * 2.6, 10)
    count = len(length)
    amplitude = 1.1 + 0.3 * smooth_series(rng, count, 100)
    phase = 2 * np.pi * length / 2100 + 0.9 * smooth_series(rng, count, 90)
    heading = amplitude * np.sin(phase) + 0.35 * np.sin(length / 6000 + rng.uniform(0, 6))
    heading = heading + 0.18 * smooth_series(rng, count, 9)
    line = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * 10, axis=0)
    line[:, 1] += extent[1] * 0.6 - np.median(line[:, 1])
    return np.asarray(line - [400, 0])


def paint_brooks(rng: np.random.Generator, paint: Paint, extent: Points, river: Points) -> None:
    """Paint brooks from the edges of the ground to the river, with trees along them."""
    for x in np.arange(extent[0] * 0.06, extent[0], 2600):
        source = np.array([x + rng.normal(0, 600), rng.choice([-100, extent[1] + 100])])
        mouth = river[np.argmin(np.abs(river[:, 0] - x - rng.normal(0, 600)))]
        brook = sinuous_line(rng, source, mouth, 0.1)
        brook = offset_curve(brook, smooth_series(rng, len(brook), 9) * 16)
        trees = np.repeat(brook, 4, axis=0)
        trees = trees[rng.random(len(trees)) < np.repeat(0.35 + 0.3 * smooth_series(rng, len(brook), 25), 4)]
        discs(rng, paint, trees + rng.normal(0, 9, trees.shape), "broadleaf", 13)
        stroke(paint, [brook], "river", 5)


def paint_river(rng: np.random.Generator, paint: Paint, extent: Points, river: Points) -> None:
    """Paint the river, oxbow lakes and the trees on its banks."""
    for _ in range(max(1, int(extent[0] / 2300))):
        first = int(rng.integers(len(river) - 90))
        bend = river[first : first + 80]
        offset = (bend[[0, -1]].mean(axis=0) - bend[40]) * rng.uniform(-1.4, -0.7)
        stroke(paint, [bend.mean(axis=0) + (bend - bend.mean(axis=0)) * 0.8 + offset], "lake", 35)
    bank = np.repeat(offset_curve(river, smooth_series(rng, len(river), 20) * 10), 3, axis=0)
    bank = bank[rng.random(len(bank)) < np.repeat(0.4 + 0.35 * smooth_series(rng, len(river), 30), 3)]
    side = rng.choice([-1, 1], len(bank)) * (24 + rng.gamma(1.5, 10, len(bank)))
    discs(rng, paint, offset_curve(bank + rng.normal(0, 3, bank.shape), side), "broadleaf", 18)
    for width, offset in ((35, 0.0), (30, 9.0), (30, 9.0)):
        stroke(paint, [offset_curve(river, smooth_series(rng, len(river), 14) * offset)], "river", width)


def paint_lakes(rng: np.random.Generator, paint: Paint, extent: Points) -> None:
    """Paint lakes and ponds with bays."""
    direction = np.linspace(0, 2 * np.pi, 90)
    for _ in range(max(1, round(extent[0] * extent[1] / 7e6))):
        lobes = np.zeros_like(direction)
        for k in range(1, 12):
            lobes += rng.normal(0, 0.38 / k**1.25) * np.sin(k * direction + rng.uniform(0, 6))
        radius = 10 ** rng.uniform(1.4, 2.35) * np.exp(lobes)
        shore = np.stack([np.cos(direction) * radius * rng.uniform(0.4, 1), np.sin(direction) * radius], axis=1)
        fill(paint, [rng.uniform(0, 1, 2) * extent + shore @ rotation(rng.uniform(0, 3))], "lake")


def paint_details(rng: np.random.Generator, paint: Paint, extent: Points) -> None:
    """Paint copses, ponds and farmsteads in the open fields."""
    count = int(extent[0] * extent[1] / 3.2e5)
    for centre in rng.uniform(0, 1, (count, 2)) * extent:
        near = centre + rng.normal(0, rng.uniform(4, 26), (int(rng.integers(2, 22)), 2))
        if rng.random() < 0.4:
            discs(rng, paint, near, "margin", 24)
        discs(rng, paint, near, "broadleaf", 15)
        if rng.random() < 0.12:
            discs(rng, paint, near[:2], "lake", 22)
    for centre in rng.uniform(0, 1, (count // 8, 2)) * extent:
        angle = rng.uniform(0, np.pi)
        fill(paint, [rectangle(centre, (70, 55), angle)], "yard")
        for _ in range(4):
            barn = rectangle(centre + rng.normal(0, 18, 2), (rng.uniform(14, 38), 12), angle)
            fill(paint, [barn], str(rng.choice(["red roof", "grey roof", "white roof"])))
