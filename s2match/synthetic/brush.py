"""Paint shapes of a material onto the paint map."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.materials import INDEX
from s2match.synthetic.units import CELL_M, Paint, Points


def fill(paint: Paint, polygons: Iterable[Points], material: str) -> None:
    """Paint the inside of polygons."""
    for polygon in polygons:
        cv2.fillPoly(paint, [fixed(polygon)], INDEX[material], cv2.LINE_8, 4)


def trace(paint: Paint, lines: Iterable[Points], material: str, width_m: float, closed: bool = False) -> None:
    """Paint along lines."""
    for line in lines:
        cv2.polylines(paint, [fixed(line)], closed, INDEX[material], round(width_m / CELL_M), cv2.LINE_8, 4)


def dots(rng: np.random.Generator, paint: Paint, points: Points, material: str, largest_m: float) -> None:
    """Trees and bushes: discs of random size."""
    for (x, y), radius in zip(fixed(points), rng.uniform(0.3, 1, len(points)) * largest_m / CELL_M, strict=True):
        cv2.circle(paint, (int(x), int(y)), int(radius * 16), INDEX[material], -1, cv2.LINE_8, 4)


def fixed(points: Points) -> NDArray[np.int32]:
    """Metres to OpenCV's drawing units: 1/16 cell, centres at integers."""
    return np.round((points / CELL_M - 0.5) * 16).astype(np.int32)
