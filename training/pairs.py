"""Pairs with exact truth: two dates of one place, one of them moved by a known warp, both repainted.

Pixel frame of the weights trained here: the centre of the first pixel is (0, 0); points are (x, y).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photometry import add_cloud, add_snow, repaint, stretch
from training.scenes import Stack

CELL_PX = 8
FINE_RADIUS_PX = 4
# A cell whose centre is this near to the true position, per axis, does not count as wrong.
_NEAR_PX = 5.0
_LEAST_CLEAR = 0.25

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two images of size H×W with the true transformation between them.

    Attributes:
        images: (2, H, W) float32 in [0, 1].
        warp: 3×3, pixels of the first to pixels of the second; None where the images show different places.
        clear: (2, H, W) bool, where the ground is certainly visible.
        hidden: (2, H, W) bool, where it certainly is not: under an added cloud, or without data.
    """

    images: NDArray[np.float32]
    warp: Matrix | None
    clear: NDArray[np.bool_]
    hidden: NDArray[np.bool_]


@dataclass(frozen=True)
class Truth:
    """True matches of a pair.

    Attributes:
        cells: (N, 2) int64, row-major cell of the first image and of the second.
        offsets: (N, 2) float32, true position (x, y) in the second image from the centre of its cell, pixels.
        undecided: (M, 2) int64, cell pairs that are neither a match nor a mistake.
    """

    cells: NDArray[np.int64]
    offsets: NDArray[np.float32]
    undecided: NDArray[np.int64]


def translation(x: float, y: float) -> Matrix:
    """3×3 matrix of a shift."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def apply(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map (N, 2) points (x, y) by a 3×3 matrix."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def random_shift(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Random shift (x, y) in pixels: up to 12 % of the sides, or one that leaves 12 to 60 % of the area in common."""
    if rng.random() < 0.7:
        return np.asarray(rng.uniform(-0.12, 0.12, 2) * size)
    common, split = rng.uniform(0.12, 0.6), rng.random()
    return np.asarray((1 - common ** np.array([split, 1 - split])) * rng.choice([-1, 1], 2) * size)


def _whole_shift(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Random shift by whole pixels; sometimes by half cells, which are ambiguous for the coarse stage."""
    shift = np.round(random_shift(rng, size))
    if rng.random() < 0.15:
        shift = np.round(shift / CELL_PX) * CELL_PX + CELL_PX / 2
    return np.asarray(shift)


def random_warp(rng: np.random.Generator, size: tuple[int, int]) -> Matrix:
    """Random 3×3 warp of images of a size (width, height): shift, rotation, scale, shear, slight perspective."""
    x, y = (np.array(size) - 1) / 2
    angle, scale = np.deg2rad(rng.normal(0, 5)), np.exp(rng.normal(0, 0.05))
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    shear, bend = rng.normal(0, 0.02, 2), rng.normal(0, 4e-5, 2)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    skew = np.array([[1, shear[0], 0], [shear[1], 1, 0], [bend[0], bend[1], 1]])
    shift = random_shift(rng, size)
    return np.asarray(translation(x + shift[0], y + shift[1]) @ turn @ skew @ translation(-x, -y))


def random_view(rng: np.random.Generator, size: tuple[int, int], extent: tuple[int, int], whole: bool) -> Matrix:
    """Random 3×3 transformation from the pixels of a crop to those of an image, with rotation, zoom and mirroring.

    Args:
        rng: Random generator.
        size: Width and height of the crop.
        extent: Width and height of the image.
        whole: Keep pixels on pixels, so that nothing is resampled.
    """
    quarter = whole or rng.random() < 0.5
    angle = float(rng.integers(4) * np.pi / 2 if quarter else rng.uniform(0, 2 * np.pi))
    zoom = 1.0 if whole else np.exp(rng.uniform(np.log(0.7), np.log(1.25)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
    turn = turn * [rng.choice([-1, 1]), 1]
    turn = np.round(turn) if whole else turn
    margin = np.minimum(0.5 * max(size), np.array(extent) * 0.4)
    centre = rng.uniform(margin, np.array(extent) - margin)
    origin = centre - turn @ ((np.array(size) - 1) / 2)
    view = np.eye(3)
    view[:2, :2], view[:2, 2] = turn, np.round(origin) if whole else origin
    return view


def cut(image: NDArray[np.uint8], view: Matrix, size: tuple[int, int], method: int) -> NDArray[np.float32]:
    """H×W float32 crop of an image by a 3×3 view from crop to image pixels; 0 outside the image."""
    width, height = size
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1.0]])
    outline = apply(view, corners)
    low = np.maximum(np.floor(outline.min(0)).astype(int) - 3, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 4, image.shape[::-1])
    if (low >= high).any():
        return np.zeros((height, width), np.float32)
    part = image[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    local = translation(-low[0], -low[1]) @ view
    return np.asarray(cv2.warpPerspective(part, local, size, flags=method | cv2.WARP_INVERSE_MAP, borderValue=0))


def sample_pair(rng: np.random.Generator, stacks: Sequence[Stack], size: tuple[int, int]) -> Pair:
    """Random pair of a size (width, height); stacks are drawn by their weights."""
    weights = np.array([stack.weight for stack in stacks])
    while True:
        stack = stacks[rng.choice(len(stacks), p=weights / weights.sum())]
        first, second = rng.integers(len(stack.names), size=2)
        first = second if rng.random() < 0.1 else first
        whole = rng.random() < 0.35
        view = random_view(rng, size, stack.images.shape[:1:-1], whole)
        warp = translation(*_whole_shift(rng, size)) if whole else random_warp(rng, size)
        if not whole and rng.random() < 0.35:
            warp = translation(*random_shift(rng, size))
        other = stack
        apart = rng.random() < 0.06
        if apart:
            other = stacks[rng.choice(len(stacks), p=weights / weights.sum())]
            second = rng.integers(len(other.names))
            if other is stack:
                continue
        view1 = random_view(rng, size, other.images.shape[:1:-1], whole) if apart else view @ np.linalg.inv(warp)
        sides = [_side(rng, stack, first, view, size), _side(rng, other, second, view1, size)]
        if min(clear.mean() for _, clear, _ in sides) < _LEAST_CLEAR:
            continue
        images, clear, hidden = (np.stack(both) for both in zip(*sides, strict=True))
        return Pair(images.astype(np.float32), None if apart else warp, clear > 0, hidden > 0)


def _side(
    rng: np.random.Generator, stack: Stack, date: int, view: Matrix, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """One image of a pair, H×W, and where its ground is clear and where it is hidden."""
    bands = stack.images[date]
    band = rng.integers(3) if len(bands) > 1 and rng.random() < 0.35 else len(bands) - 1
    method = cv2.INTER_LINEAR if rng.random() < 0.6 else cv2.INTER_CUBIC
    image = cut(bands[band], view, size, method)
    clear = cut(stack.clear[date].view(np.uint8), view, size, cv2.INTER_NEAREST) > 0
    data = cut(stack.data[date].view(np.uint8), view, size, cv2.INTER_NEAREST) > 0
    clear = cv2.erode(clear.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    if rng.random() < 0.6:
        image = stretch(image, data, 1, 97)
    else:
        image = stretch(image, data, rng.uniform(0, 3), rng.uniform(94, 99.9))
    if rng.random() < 0.1:
        image = add_snow(rng, image)
    if rng.random() < 0.6:
        image = repaint(rng, image, 0.7)
    hidden = ~data
    if rng.random() < 0.3:
        image, cloud = add_cloud(rng, image)
        hidden |= cloud
    return np.where(data, image, 0).astype(np.float32), clear & ~hidden, hidden


def truth_of(pair: Pair) -> Truth:
    """True matches: cells that are each other's nearest, with clear ground in both images."""
    none = np.zeros((0, 2))
    if pair.warp is None:
        return Truth(none.astype(np.int64), none.astype(np.float32), none.astype(np.int64))
    rows, columns = (-(-side // CELL_PX) for side in pair.images.shape[1:])
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
    target_xy = apply(pair.warp, np.asarray(grid * CELL_PX, np.float64))
    cell = np.floor(target_xy / CELL_PX + 0.5).astype(np.int64)
    back = apply(np.asarray(np.linalg.inv(pair.warp)), np.asarray(cell * CELL_PX, np.float64))
    inside = ((cell >= 0) & (cell < [columns, rows])).all(1)
    mutual = (np.abs(back - grid * CELL_PX) <= CELL_PX / 2 + 1e-6).all(1)
    clear, hidden = pair.clear[:, ::CELL_PX, ::CELL_PX], pair.hidden[:, ::CELL_PX, ::CELL_PX]
    clipped = np.clip(cell, 0, [columns - 1, rows - 1])
    visible = clear[0].ravel() & clear[1][clipped[:, 1], clipped[:, 0]]
    chosen = np.flatnonzero(inside & mutual & visible)
    cells = np.stack([chosen, cell[chosen] @ [1, columns]], 1)
    offsets = (target_xy - cell * CELL_PX)[chosen].astype(np.float32)
    return Truth(cells, offsets, _undecided(target_xy, hidden, (columns, rows), cells))


def _undecided(
    target_xy: NDArray[np.float64], hidden: NDArray[np.bool_], grid: tuple[int, int], cells: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(M, 2) cell pairs near the truth that are neither a match nor a mistake.

    Args:
        target_xy: (N, 2) true positions in the second image of the first image's cells.
        hidden: (2, h, w) bool, hidden ground at the cells.
        grid: Columns and rows of the cells.
        cells: (K, 2) true matches, which are left out.
    """
    columns, rows = grid
    corner = np.floor(target_xy / CELL_PX).astype(np.int64)
    candidates = []
    for step in ((0, 0), (1, 0), (0, 1), (1, 1)):
        cell = corner + step
        near = (np.abs(target_xy - cell * CELL_PX) <= _NEAR_PX).all(1)
        near &= ((cell >= 0) & (cell < [columns, rows])).all(1) & ~hidden[0].ravel()
        index = np.flatnonzero(near)
        index = index[~hidden[1][cell[index, 1], cell[index, 0]]]
        candidates.append(np.stack([index, cell[index] @ [1, columns]], 1))
    codes = [np.concatenate(candidates) @ [columns * rows, 1], cells @ [columns * rows, 1]]
    undecided = np.setdiff1d(codes[0], codes[1])
    return np.stack(np.divmod(undecided, columns * rows), 1)
