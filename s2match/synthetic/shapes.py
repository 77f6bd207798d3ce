"""Random fields, polygons and lines with natural irregularity."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike

from s2match.synthetic.units import Floats, Points


def noise(rng: np.random.Generator, shape: tuple[int, int], largest: float, smallest: float, beta: float) -> Floats:
    """Random field with a power-law spectrum, of mean 0 and standard deviation 1.

    Args:
        rng: Source of random numbers.
        shape: (rows, columns) of the field.
        largest: Longest wavelength in cells.
        smallest: Shortest wavelength in cells.
        beta: Exponent: the amplitude is proportional to wavelength**beta.

    Returns:
        (H, W) field.
    """
    height, width = (cv2.getOptimalDFTSize(int(side + min(largest, 64))) for side in shape)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    gain = np.maximum(frequency, 1 / largest) ** -beta * np.exp(-((frequency * smallest) ** 4) / 2)
    gain[0, 0] = 0
    field = np.fft.irfft2(spectrum * gain.astype(np.float32), s=(height, width))[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def rotation(angle: float) -> Points:
    """Rotation matrix; its rows are the unit vectors along and across ``angle``."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def rectangle(centre: Points, size: ArrayLike, angle: float) -> Points:
    """(4, 2) corners of a rectangle of ``size`` metres, rotated by ``angle``."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(size) / 2
    return np.asarray(centre + corners @ rotation(angle))


def subdivide(rng: np.random.Generator, polygon: Points, angle: float, target: float, slender: float) -> list[Points]:
    """Subdivide a convex polygon along and across a direction.

    Args:
        rng: Source of random numbers.
        polygon: (N, 2) corners.
        angle: The direction, in radians.
        target: Area of the parts in m², about.
        slender: Ratio of width to length from which a part is cut across.

    Returns:
        The parts, each convex.
    """
    parts, remaining = [], [polygon]
    while remaining:
        part = remaining.pop()
        if _area(part) < target * rng.uniform(0.7, 2.2):
            parts.append(part)
            continue
        axes = rotation(angle + rng.normal(0, 0.03))
        along = part @ axes.T
        low, high = along.min(axis=0), along.max(axis=0)
        axis = 0 if (high - low)[0] > (high - low)[1] * slender else 1
        point = low + (high - low) * rng.uniform(0.33, 0.67)
        remaining += [half for half in _cut(part, point @ axes, axes[axis]) if len(half) > 2]
    return parts


def sinuous_line(rng: np.random.Generator, start: Points, end: Points, sway: float) -> Points:
    """Line between two points with sinusoidal deviations, a point each 20 m.

    Args:
        rng: Source of random numbers.
        start: (2,) first point.
        end: (2,) last point.
        sway: Size of the deviations, as a fraction of the length.

    Returns:
        (N, 2) points.
    """
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, max(3, int(length / 20)))
    order = np.arange(1, 6)
    waves = np.sin(np.pi * t[:, None] * order) @ rng.normal(0, sway / order)
    across = np.array([-(end - start)[1], (end - start)[0]])
    return np.asarray(start + t[:, None] * (end - start) + waves[:, None] * across)


def smooth_series(rng: np.random.Generator, count: int, smooth: float) -> Points:
    """(count,) Gaussian-smoothed random series of unit variance; ``smooth`` is the sigma in steps."""
    rough = rng.standard_normal((1, count + 6 * int(smooth)))
    series = cv2.GaussianBlur(rough, (0, 0), smooth, sigmaY=0.01)[0, 3 * int(smooth) :][:count]
    return np.asarray(series * np.sqrt(2 * np.sqrt(np.pi) * smooth))


def offset_curve(line: Points, offset: Points) -> Points:
    """(N, 2) points of a line displaced along its normals by (N,) offsets in metres."""
    along = np.gradient(line, axis=0)
    along /= np.hypot(*along.T)[:, None] + 1e-9
    return line + np.stack([-along[:, 1], along[:, 0]], axis=1) * offset[:, None]


def _area(polygon: Points) -> float:
    """Area of a polygon in square metres."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _cut(polygon: Points, point: Points, normal: Points) -> Iterator[Points]:
    """The two parts of a convex polygon, cut by the line through ``point`` with normal ``normal``."""
    side = (polygon - point) @ normal
    following, following_side = np.roll(polygon, -1, axis=0), np.roll(side, -1)
    crosses = side * following_side < 0
    step = np.where(crosses, side / np.where(crosses, side - following_side, 1), 0)
    corners = np.stack([polygon, polygon + step[:, None] * (following - polygon)], axis=1).reshape(-1, 2)
    for inside in (side >= 0, side < 0):
        yield corners[np.stack([inside, crosses], axis=1).ravel()]
