"""Draw shapes of a material on the paint map."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.materials import INDEX
from s2match.synthetic.units import CELL_M, Paint, Points


def fill(paint: Paint, polygons: Iterable[Points], material: str) -> None:
    """Fill polygons with a material."""
    for polygon in polygons:
        cv2.fillPoly(paint, [drawing_units(polygon)], INDEX[material], cv2.LINE_8, 4)


def stroke(paint: Paint, lines: Iterable[Points], material: str, width_m: float, closed: bool = False) -> None:
    """Draw lines of a width with a material."""
    for line in lines:
        cv2.polylines(paint, [drawing_units(line)], closed, INDEX[material], round(width_m / CELL_M), cv2.LINE_8, 4)


def discs(rng: np.random.Generator, paint: Paint, points: Points, material: str, largest_m: float) -> None:
    """Draw discs of random radius, as trees and bushes."""
    for (x, y), radius in zip(
        drawing_units(points), rng.uniform(0.3, 1, len(points)) * largest_m / CELL_M, strict=True
    ):
        cv2.circle(paint, (int(x), int(y)), int(radius * 16), INDEX[material], -1, cv2.LINE_8, 4)


def drawing_units(points: Points) -> NDArray[np.int32]:
    """Points in OpenCV's drawing units, 1/16 cell; the centre of a cell is a whole cell."""
    return np.round((points / CELL_M - 0.5) * 16).astype(np.int32)
