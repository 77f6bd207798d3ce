"""Towns and villages, and the roads between them."""

import numpy as np

from s2match.synthetic.brush import discs, fill, stroke
from s2match.synthetic.shapes import offset_curve, rectangle, rotation, sinuous_line, subdivide
from s2match.synthetic.units import Paint, Points


def settlement_centres(rng: np.random.Generator, extent: Points) -> Points:
    """(N, 2) centres of the settlements, at least 1.7 km apart."""
    centres = [extent * (0.5 if extent[0] < 4000 else np.array([0.16, 0.7]))]
    for _ in range(400):
        point = rng.uniform(0.03, 0.97, 2) * extent
        if min(float(np.hypot(*(point - other))) for other in centres) > 1700:
            centres.append(point)
    return np.array(centres)


def road_lines(rng: np.random.Generator, extent: Points, centres: Points) -> list[Points]:
    """Roads between neighbouring settlements, and from the outer ones to the edge of the ground."""
    roads = [sinuous_line(rng, centres[i], centres[j], 0.045) for i, j in _neighbours(centres)]
    for centre in centres:
        for edge_point in (
            centre * [1, 0] - [0, 200],
            centre * [0, 1] - [200, 0],
            np.array([centre[0], extent[1] + 200]),
        ):
            if np.hypot(*(edge_point - centre)) < 1900:
                roads.append(
                    sinuous_line(rng, centre, edge_point + rng.normal(0, 300, 2) * (edge_point != centre), 0.04)
                )
    return roads


def paint_roads(rng: np.random.Generator, paint: Paint, extent: Points, roads: list[Points]) -> None:
    """Paint roads with trees along them, a railway and a motorway."""
    rail = sinuous_line(rng, np.array([-100, extent[1] * 0.9]), np.array([extent[0] + 100, extent[1] * 0.12]), 0.05)
    stroke(paint, [rail], "margin", 20)
    stroke(paint, [rail], "rail", 10)
    for road in roads:
        tree_lined = rng.uniform(-0.2, 0.35)
        for side in (-11.0, 11.0):
            trees = offset_curve(road, np.full(len(road), side))
            discs(rng, paint, trees[rng.random(len(road)) < tree_lined], "broadleaf", 9)
        stroke(paint, [road], "road", 10)
    motorway = sinuous_line(
        rng, np.array([extent[0] * 0.36, -100]), np.array([extent[0] * 0.72, extent[1] + 100]), 0.06
    )
    stroke(paint, [motorway], "margin", 50)
    stroke(paint, [motorway], "motorway", 30)
    stroke(paint, [motorway], "margin", 5)


def paint_settlement(rng: np.random.Generator, paint: Paint, centre: Points, radius: float, angle: float) -> None:
    """Paint a town or village: blocks, streets and houses, and halls at the edge of the larger ones."""
    direction = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    rim = np.stack([np.cos(direction) * 1.5, np.sin(direction) * rng.uniform(0.45, 0.9)], axis=1) * radius
    blocks = subdivide(rng, centre + rim @ rotation(angle), angle, 9e3, 1.6)
    for block in blocks:
        distance = float(np.hypot(*(block.mean(axis=0) - centre))) / radius
        if rng.random() < (distance - 0.3) * 0.85:
            continue
        fill(paint, [block], "yard" if rng.random() < 0.05 else "garden")
        discs(rng, paint, block[:1] * 0.4 + block.mean(axis=0) * 0.6 + rng.normal(0, 18, (3, 2)), "broadleaf", 9)
        stroke(paint, [block], "street", rng.choice([5, 10]), closed=True)
        _houses(rng, paint, block, 1.0 - 0.35 * distance)
    for _ in range(int(radius / 130)):
        heading = rng.uniform(0, 2 * np.pi)
        hall = centre + np.array([np.cos(heading), np.sin(heading)]) * radius * rng.uniform(0.8, 1.15)
        size = rng.uniform(40, 130, 2) * min(1, radius / 450)
        fill(paint, [rectangle(hall, size * 1.7, angle)], "yard")
        fill(paint, [rectangle(hall + rng.normal(0, 6, 2), size, angle)], str(rng.choice(["white roof", "grey roof"])))


def _neighbours(centres: Points) -> list[tuple[int, int]]:
    """Edges of the relative neighbourhood graph (Toussaint 1980): no third point is nearer to both ends."""
    distance = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    pairs = [(i, j) for i in range(len(centres)) for j in range(i)]
    return [(i, j) for i, j in pairs if not (np.maximum(distance[i], distance[j]) < distance[i, j]).any()]


def _houses(rng: np.random.Generator, paint: Paint, block: Points, density: float) -> None:
    """Paint houses along the inside of a town block."""
    centre = block.mean(axis=0)
    kinds = rng.choice(["red roof", "dark roof", "grey roof", "white roof"], 64, p=[0.44, 0.27, 0.24, 0.05])
    for start, end in zip(block, np.roll(block, -1, axis=0), strict=True):
        along = end - start
        length = float(np.hypot(*along))
        for position in np.arange(12, length - 8, rng.uniform(17, 26)):
            if rng.random() > density:
                continue
            street = start + along * position / length
            inward = (centre - street) / (np.hypot(*(centre - street)) + 1e-9)
            size = rng.uniform(9, 18), rng.uniform(7, 12)
            roof = rectangle(street + inward * rng.uniform(13, 20), size, np.arctan2(along[1], along[0]))
            fill(paint, [roof], str(kinds[int(rng.integers(64))]))
