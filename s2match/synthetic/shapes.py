"""Random fields, polygons and lines that look grown rather than ruled."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike

from s2match.synthetic.units import Floats, Points


def noise(rng: np.random.Generator, shape: tuple[int, int], largest: float, smallest: float, beta: float) -> Floats:
    """Standard normal noise (H, W) with waves of ``smallest`` to ``largest`` cells, amplitude ~ wavelength^beta."""
    height, width = (cv2.getOptimalDFTSize(int(side + min(largest, 64))) for side in shape)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    gain = np.maximum(frequency, 1 / largest) ** -beta * np.exp(-((frequency * smallest) ** 4) / 2)
    gain[0, 0] = 0
    field = np.fft.irfft2(spectrum * gain.astype(np.float32), s=(height, width))[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def turned(angle: float) -> Points:
    """Matrix whose rows are the directions along and across ``angle``."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def box(centre: Points, size: ArrayLike, angle: float) -> Points:
    """Corners of a rectangle of ``size`` metres turned by ``angle``."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(size) / 2
    return np.asarray(centre + corners @ turned(angle))


def split(rng: np.random.Generator, polygon: Points, angle: float, target: float, slender: float) -> list[Points]:
    """Cut a convex polygon along and across ``angle`` until the parts measure about ``target`` square metres."""
    done, todo = [], [polygon]
    while todo:
        part = todo.pop()
        if _area(part) < target * rng.uniform(0.7, 2.2):
            done.append(part)
            continue
        axes = turned(angle + rng.normal(0, 0.03))
        along = part @ axes.T
        low, high = along.min(axis=0), along.max(axis=0)
        axis = 0 if (high - low)[0] > (high - low)[1] * slender else 1
        place = low + (high - low) * rng.uniform(0.33, 0.67)
        todo += [half for half in _cut(part, place @ axes, axes[axis]) if len(half) > 2]
    return done


def wander(rng: np.random.Generator, start: Points, end: Points, sway: float) -> Points:
    """A road-like line from ``start`` to ``end`` that strays about ``sway`` of its length, a point each 20 m."""
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, max(3, int(length / 20)))
    order = np.arange(1, 6)
    waves = np.sin(np.pi * t[:, None] * order) @ rng.normal(0, sway / order)
    across = np.array([-(end - start)[1], (end - start)[0]])
    return np.asarray(start + t[:, None] * (end - start) + waves[:, None] * across)


def drift(rng: np.random.Generator, count: int, smooth: float) -> Points:
    """A smooth random series (count,) of unit spread; ``smooth`` in steps."""
    rough = rng.standard_normal((1, count + 6 * int(smooth)))
    series = cv2.GaussianBlur(rough, (0, 0), smooth, sigmaY=0.01)[0, 3 * int(smooth) :][:count]
    return np.asarray(series * np.sqrt(2 * np.sqrt(np.pi) * smooth))


def beside(line: Points, offset: Points) -> Points:
    """Points of ``line`` moved sideways by ``offset`` metres, one offset a point."""
    along = np.gradient(line, axis=0)
    along /= np.hypot(*along.T)[:, None] + 1e-9
    return line + np.stack([-along[:, 1], along[:, 0]], axis=1) * offset[:, None]


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
