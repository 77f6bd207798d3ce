"""Towns, villages, and the roads between them."""

import numpy as np

from s2match.synthetic.brush import dots, fill, trace
from s2match.synthetic.shapes import beside, box, split, turned, wander
from s2match.synthetic.units import Paint, Points


def choose_places(rng: np.random.Generator, extent: Points) -> Points:
    """Centres of the settlements, the towns first; no two closer than 1.7 km."""
    chosen = [extent * (0.5 if extent[0] < 4000 else np.array([0.16, 0.7]))]
    for _ in range(400):
        point = rng.uniform(0.03, 0.97, 2) * extent
        if min(float(np.hypot(*(point - other))) for other in chosen) > 1700:
            chosen.append(point)
    return np.array(chosen)


def lay_roads(rng: np.random.Generator, extent: Points, places: Points) -> list[Points]:
    """Roads between neighbouring places, and from the outer places off the edge of the ground."""
    roads = [wander(rng, places[i], places[j], 0.045) for i, j in _links(places)]
    for place in places:
        for out in (place * [1, 0] - [0, 200], place * [0, 1] - [200, 0], np.array([place[0], extent[1] + 200])):
            if np.hypot(*(out - place)) < 1900:
                roads.append(wander(rng, place, out + rng.normal(0, 300, 2) * (out != place), 0.04))
    return roads


def paint_roads(rng: np.random.Generator, paint: Paint, extent: Points, roads: list[Points]) -> None:
    """Roads with a tree here and there, a railway and a motorway."""
    rail = wander(rng, np.array([-100, extent[1] * 0.9]), np.array([extent[0] + 100, extent[1] * 0.12]), 0.05)
    trace(paint, [rail], "margin", 20)
    trace(paint, [rail], "rail", 10)
    for road in roads:
        tree_lined = rng.uniform(-0.2, 0.35)
        for side in (-11.0, 11.0):
            trees = beside(road, np.full(len(road), side))
            dots(rng, paint, trees[rng.random(len(road)) < tree_lined], "broadleaf", 9)
        trace(paint, [road], "road", 10)
    motorway = wander(rng, np.array([extent[0] * 0.36, -100]), np.array([extent[0] * 0.72, extent[1] + 100]), 0.06)
    trace(paint, [motorway], "margin", 50)
    trace(paint, [motorway], "motorway", 30)
    trace(paint, [motorway], "margin", 5)


def paint_settlement(rng: np.random.Generator, paint: Paint, centre: Points, radius: float, angle: float) -> None:
    """A town or village: blocks between streets, houses along them, and halls at the edge of the larger ones."""
    around = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    rim = np.stack([np.cos(around) * 1.5, np.sin(around) * rng.uniform(0.45, 0.9)], axis=1) * radius
    blocks = split(rng, centre + rim @ turned(angle), angle, 9e3, 1.6)
    for block in blocks:
        far = float(np.hypot(*(block.mean(axis=0) - centre))) / radius
        if rng.random() < (far - 0.3) * 0.85:
            continue
        fill(paint, [block], "yard" if rng.random() < 0.05 else "garden")
        dots(rng, paint, block[:1] * 0.4 + block.mean(axis=0) * 0.6 + rng.normal(0, 18, (3, 2)), "broadleaf", 9)
        trace(paint, [block], "street", rng.choice([5, 10]), closed=True)
        _houses(rng, paint, block, 1.0 - 0.35 * far)
    for _ in range(int(radius / 130)):
        heading = rng.uniform(0, 2 * np.pi)
        spot = centre + np.array([np.cos(heading), np.sin(heading)]) * radius * rng.uniform(0.8, 1.15)
        size = rng.uniform(40, 130, 2) * min(1, radius / 450)
        fill(paint, [box(spot, size * 1.7, angle)], "yard")
        fill(paint, [box(spot + rng.normal(0, 6, 2), size, angle)], str(rng.choice(["white roof", "grey roof"])))


def _links(places: Points) -> list[tuple[int, int]]:
    """Neighbours worth a road: no third place lies nearer to both (the relative neighbourhood graph)."""
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    pairs = [(i, j) for i in range(len(places)) for j in range(i)]
    return [(i, j) for i, j in pairs if not (np.maximum(apart[i], apart[j]) < apart[i, j]).any()]


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
            roof = box(spot + inward * rng.uniform(13, 20), size, np.arctan2(along[1], along[0]))
            fill(paint, [roof], str(kinds[int(rng.integers(64))]))
