"""Fields: blocks of parcels with tracks between them."""

from dataclasses import dataclass

import cv2
import numpy as np

from s2match.synthetic.brush import discs, drawing_units, stroke
from s2match.synthetic.shapes import noise, sinuous_line, subdivide
from s2match.synthetic.units import Floats, Paint, Points


@dataclass(frozen=True)
class Mosaic:
    """Partition of the ground into parcels.

    Attributes:
        polygons: A convex polygon for each parcel.
        angles: Direction of the crop rows of each parcel, radians from east towards south.
        borders: Polygons of the blocks; tracks follow their edges.
    """

    polygons: tuple[Points, ...]
    angles: Floats
    borders: tuple[Points, ...]


def cut_mosaic(rng: np.random.Generator, extent: Points) -> Mosaic:
    """Partition the ground into blocks of one direction, and the blocks into parcels."""
    edge = 300.0
    whole = np.array([[-edge, -edge], [extent[0] + edge, -edge], extent + edge, [-edge, extent[1] + edge]])
    polygons, angles, borders = [], [], []
    trend = rng.uniform(0, np.pi)
    for district in subdivide(rng, whole, rng.uniform(0, np.pi), 9e6, 1.0):
        trend += rng.normal(0, 0.5)
        for block in subdivide(rng, district, trend, 1.3e6, 1.2):
            angle = trend + rng.normal(0, 0.12) + rng.choice([0, np.pi / 2])
            parts = subdivide(rng, block, angle, np.exp(rng.normal(np.log(5.5e4), 0.75)), rng.uniform(1.0, 4.5))
            polygons += parts
            angles += [angle] * len(parts)
            borders.append(block)
    return Mosaic(tuple(polygons), np.array(angles, np.float32), tuple(borders))


def paint_parcels(rng: np.random.Generator, shape: tuple[int, int], mosaic: Mosaic) -> Paint:
    """Paint parcels, margins and tracks, with borders distorted by smooth noise."""
    paint = np.zeros(shape, np.uint16)
    for index, polygon in enumerate(mosaic.polygons):
        cv2.fillPoly(paint, [drawing_units(polygon)], index, cv2.LINE_8, 4)
    edged = [polygon for polygon in mosaic.polygons if rng.random() < 0.45]
    stroke(paint, edged, "margin", 5, closed=True)
    stroke(paint, [p for p in mosaic.borders if rng.random() < 0.7], "track", 5, closed=True)
    for polygon in mosaic.polygons:
        if rng.random() < 0.13:
            hedge = sinuous_line(rng, polygon[0], polygon[1], 0.0)
            discs(rng, paint, hedge[rng.random(len(hedge)) < 0.7], "broadleaf", 13)
    bend = [noise(rng, shape, 400, 100, 1.5) * 5 + noise(rng, shape, 40, 8, 1) * 0.4 for _ in range(2)]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.asarray(cv2.remap(paint, x + bend[0], y + bend[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT))


def mean_by_parcel(paint: Paint, values: Floats, parcels: int) -> Floats:
    """(parcels,) mean of ``values`` over each parcel."""
    inside = paint < parcels
    count = np.bincount(paint[inside], minlength=parcels)
    total = np.bincount(paint[inside], weights=values[inside], minlength=parcels)
    return (total / np.maximum(count, 1)).astype(np.float32)
