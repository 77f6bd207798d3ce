"""The edges around points of two images, correlated: where a point of one lies in the other, whatever the contrast.

What is correlated is the direction of the gradient with its angle doubled: the edge of a field stays an edge when the
field turns from dark to bright, and only its sign changes (Fitch et al., "Orientation Correlation", BMVC 2002,
correlate directions with their sign; doubling is what structure tensors do to be free of it, Bigun and Granlund, ICCV
1987). The target is resampled where the last round found the point, so that in the end the peak lies in the middle,
where fitting a parabola to it has no bias.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name everybody knows
from numpy.typing import NDArray
from torch import Tensor

from s2match.core.matches import GreyImage

# The images are smoothed by this before gradients are taken: single pixels are noise.
BLUR_PX = 0.6

# How far around the middle the rounds after the first look; the outermost shifts only fix the peak.
_SHIFTS_PX, _ROUNDS = 1, 4

# A point has come to rest when its last move was no longer than this. One that has moved as little as the second number
# is not looked at again: what is left of a move is a tenth of it.
_AT_REST_PX, _SETTLED_PX = 0.1, 0.03

# Least share of the weight of a square that must lie on valid pixels.
_LEAST_VALID = 0.5

# Less than this is nothing, where a division asks for more.
_TINY = 1e-9


@dataclass(frozen=True)
class Pixels:
    """An image ready to be cut.

    Attributes:
        image: The image itself.
        fine: (1, 1, 2H, 2W) grey values, smoothed and finer.
        valid: (1, 1, H, W) 1 where the gradient is of valid pixels alone, else 0.
    """

    image: GreyImage
    fine: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Template:
    """The edges around points of the reference.

    Attributes:
        edges: (N, 2, S, S) gradients with their angle doubled, weighted.
        energy: (N,) weighted sum of their squares before they were weighted.
        seen: (N,) weight of the valid pixels.
    """

    edges: Tensor
    energy: Tensor
    seen: Tensor

    def subset(self, some: Tensor) -> "Template":
        """Some of them, by their indices."""
        return Template(self.edges[some], self.energy[some], self.seen[some])


@dataclass(frozen=True)
class Settled:
    """Where rounds of correlation have ended.

    Attributes:
        xy1: (N, 2) points (x, y) of the target, GDAL frame.
        before: (N,) correlation where they began.
        after: (N,) where they ended.
        sound: (N,) whether they came to rest, on ground that both images show.
    """

    xy1: Tensor
    before: Tensor
    after: Tensor
    sound: Tensor


def pixels(image: GreyImage) -> Pixels:
    """Prepare an image."""
    smooth = cv2.GaussianBlur(image.grey, (0, 0), BLUR_PX)
    # bilinear samples of twice the resolution neither blur nor move what is there, cubic ones of torch and OpenCV do
    fine = cv2.resize(smooth, None, fx=2, fy=2, interpolation=cv2.INTER_LANCZOS4)
    # smoothing and differences look two pixels around
    valid = cv2.erode(image.valid.astype(np.float32), np.ones((5, 5), np.uint8))
    return Pixels(image, torch.from_numpy(fine)[None, None], torch.from_numpy(valid)[None, None])


def template(image: Pixels, xy: Tensor, side: int) -> Template:
    """The edges in squares of a side around points (N, 2), (x, y) in the reference, GDAL frame, at pixel centres."""
    weights = window(side)
    around, valid = edges(image, xy, torch.eye(2), side)
    weighted = around * weights
    return Template(weighted, (around * weighted).sum((1, 2, 3)), (valid * weights).sum((1, 2)))


def settle(known: Template, target: Pixels, start: Tensor, linear: Tensor, first_px: int = _SHIFTS_PX) -> Settled:
    """Move points to where the edges around them fit best, round by round.

    Args:
        known: What is sought.
        target: Where.
        start: (N, 2) points (x, y) of the target to begin with, GDAL frame; N is 1 or more.
        linear: (2, 2) steps (x, y) in the reference to steps in the target.
        first_px: How far around the start the first round looks, in pixels of the reference.
    """
    weights = window(known.edges.shape[-1])
    xy1, moved = start.clone(), torch.zeros_like(start)
    before, after, seen = (torch.zeros(len(start)) for _ in range(3))
    some = torch.arange(len(start))
    for turn in range(_ROUNDS):
        reach = first_px if turn == 0 else _SHIFTS_PX
        around, valid = edges(target, xy1[some], linear, len(weights), reach)
        surface, seen[some] = _correlation(known.subset(some), around, valid, weights)
        step, after[some] = peak(surface)
        before = surface[:, reach, reach] if turn == 0 else before
        moved[some] = step.double()
        xy1[some] += moved[some] @ linear.double().T
        some = some[moved[some].norm(dim=1) > _SETTLED_PX]
        if len(some) == 0:
            break
    covered = torch.minimum(known.seen, seen) >= _LEAST_VALID * weights.sum()
    return Settled(xy1, before, after, covered & (moved.norm(dim=1) <= _AT_REST_PX))


def edges(image: Pixels, xy: Tensor, linear: Tensor, side: int, reach: int = 0) -> tuple[Tensor, Tensor]:
    """Gradients with their angle doubled around points, and where they are valid.

    Args:
        image: What to cut.
        xy: (N, 2) middles (x, y), GDAL frame.
        linear: (2, 2) steps (x, y) of the squares to steps of the image.
        side: Of the squares.
        reach: Samples beyond the square to each side.

    Returns:
        (N, 2, S, S) with S the side and twice the reach, and (N, S, S).
    """
    side = side + 2 * reach + 2
    step = torch.arange(side) - (side - 1) / 2
    steps = torch.stack(torch.meshgrid(step, step, indexing="xy"), -1).view(-1, 2) @ linear.T
    to_unit = 2 / torch.tensor(image.valid.shape[:1:-1])
    places = ((xy.float() * to_unit - 1)[:, None] + steps * to_unit)[None]
    cut = F.grid_sample(image.fine, places, "bilinear", "border", align_corners=False).view(-1, side, side)
    valid = F.grid_sample(image.valid, places, "nearest", "zeros", align_corners=False).view(-1, side, side)
    across = cut[:, 1:-1, 2:] - cut[:, 1:-1, :-2]
    down = cut[:, 2:, 1:-1] - cut[:, :-2, 1:-1]
    inside = valid[:, 1:-1, 1:-1]
    share = inside / (torch.hypot(across, down) + _TINY)
    return torch.stack([(across**2 - down**2) * share, 2 * across * down * share], 1), inside


def _correlation(known: Template, around: Tensor, valid: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K, K) normalised correlation at shifts (rows, columns), and (N,) the weight of valid pixels at none."""
    side = len(weights)
    shifts = range(around.shape[2] - side + 1)
    squares = around.square().sum(1)
    surface = around.new_empty(len(around), len(shifts), len(shifts))
    for down in shifts:
        for right in shifts:
            part = np.s_[..., down : down + side, right : right + side]
            norm = (known.energy * (squares[part] * weights).sum((1, 2))).sqrt() + _TINY
            surface[:, down, right] = (known.edges * around[part]).sum((1, 2, 3)) / norm
    middle = len(shifts) // 2
    seen = valid[:, middle : middle + side, middle : middle + side]
    return surface, (seen * weights).sum((1, 2))


def search(known: Template, target: Pixels, middles: Tensor, linear: Tensor, reach: int) -> Tensor:
    """Correlation at many shifts, as :func:`settle` measures it at few.

    Args:
        known: What is sought.
        target: Where.
        middles: (N, 2) points (x, y) of the target, GDAL frame, about which it is sought.
        linear: (2, 2) steps (x, y) in the reference to steps in the target.
        reach: Shifts to each side, in pixels of the reference.

    Returns:
        (N, K, K) at shifts (rows, columns), with K twice the reach and 1.
    """
    weights = window(known.edges.shape[-1])
    around = edges(target, middles, linear, len(weights), reach)[0].numpy()
    surface = np.stack([_products(*pair) for pair in zip(around, known.edges.numpy(), strict=True)])
    energy = np.stack(
        [_products(squares, weights.numpy()[None]) for squares in np.square(around).sum(1, keepdims=True)]
    )
    norm = (known.energy[:, None, None] * torch.from_numpy(energy).clamp(min=0)).sqrt() + _TINY
    return torch.from_numpy(surface) / norm


def _products(image: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, K) sums of products of (C, S, S) with (C, S + K - 1, S + K - 1) at every shift."""
    return np.asarray(sum(cv2.matchTemplate(*pair, cv2.TM_CCORR) for pair in zip(image, part, strict=True)))


def peak(surface: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) where (N, K, K) correlations are highest, shifts (x, y) from the middle, by parabolas; (N,) how high."""
    count = surface.shape[1]
    best = surface[:, 1:-1, 1:-1].flatten(1).argmax(1)
    row, column = best // (count - 2) + 1, best % (count - 2) + 1
    each = torch.arange(len(surface))
    height = surface[each, row, column]

    def vertex(before: Tensor, after: Tensor) -> Tensor:
        bend = (before + after - 2 * height).clamp(max=-_TINY)
        return (0.5 * (before - after) / bend).clamp(-1, 1)

    x = vertex(surface[each, row, column - 1], surface[each, row, column + 1])
    y = vertex(surface[each, row - 1, column], surface[each, row + 1, column])
    return torch.stack([column + x, row + y], 1) - count // 2, height


def in_blocks(
    measure: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    xy0: NDArray[np.float64],
    xy1: NDArray[np.float64],
    block: int,
) -> tuple[NDArray[np.float64], ...]:
    """Measure pairs of points (N, 2), N 1 or more, some at a time, and join what comes of them."""
    parts = [
        measure(torch.from_numpy(xy0[start : start + block]), torch.from_numpy(xy1[start : start + block]))
        for start in range(0, len(xy0), block)
    ]
    return tuple(torch.cat(values).numpy() for values in zip(*parts, strict=True))


def window(side: int) -> Tensor:
    """(S, S) weights of a square."""
    along = torch.hann_window(side + 2, periodic=False)[1:-1]
    return along[:, None] * along
