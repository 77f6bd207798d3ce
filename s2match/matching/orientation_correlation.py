"""Orientation correlation: the position of a point of one image in another, whatever the contrast.

Gradient directions are correlated with their angle doubled. So an edge still matches when its contrast is inverted, as
when a field turns from dark to bright. Fitch et al. ("Orientation Correlation", BMVC 2002) correlate directions with
their sign. Angles are doubled as in structure tensors (Bigun and Granlund, ICCV 1987). In each round the target is
resampled at the position of the round before. So the last peak lies in the centre, where the parabola fit has no bias.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the usual name
from numpy.typing import NDArray
from torch import Tensor

from s2match.core.matches import GreyImage

# Standard deviation of the Gaussian blur before gradients are taken: single pixels are noise.
BLUR_PX = 0.6

# Search radius of the rounds after the first, whose outermost shifts only determine the peak; most rounds.
_RADIUS_PX, _ROUNDS = 1, 4

# A point has converged if its last move was no longer than the first number. After a move no longer than the second it
# is not measured again: the next one would be a tenth of it.
_CONVERGED_PX, _FINAL_PX = 0.1, 0.03

# Least fraction of the weight of a square that must lie on valid pixels.
_LEAST_VALID = 0.5

# Keeps divisions finite.
_EPSILON = 1e-9


@dataclass(frozen=True)
class Pixels:
    """An image prepared for :func:`orientations`.

    Attributes:
        image: The image itself.
        fine: (1, 1, 2H, 2W) grey values, blurred, at twice the resolution.
        valid: (1, 1, H, W) 1 where the gradient depends on valid pixels alone, else 0.
    """

    image: GreyImage
    fine: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Template:
    """Squares of orientations around points of the reference.

    Attributes:
        weighted: (N, 2, S, S) gradients with doubled angle, times the window's weights.
        energy: (N,) weighted sum of their squares.
        valid_weight: (N,) sum of the weights of valid pixels.
    """

    weighted: Tensor
    energy: Tensor
    valid_weight: Tensor

    def subset(self, indices: Tensor) -> "Template":
        """The squares of some points, by their indices."""
        return Template(self.weighted[indices], self.energy[indices], self.valid_weight[indices])


@dataclass(frozen=True)
class Refined:
    """Result of the iterative correlation.

    Attributes:
        xy1: (N, 2) points (x, y) of the target, GDAL frame.
        before: (N,) correlation at the start.
        after: (N,) correlation at the end.
        converged: (N,) whether the last move was short and both squares are mostly valid.
    """

    xy1: Tensor
    before: Tensor
    after: Tensor
    converged: Tensor


def pixels(image: GreyImage) -> Pixels:
    """Blur an image and double its resolution."""
    smooth = cv2.GaussianBlur(image.grey, (0, 0), BLUR_PX)
    # bilinear samples at twice the resolution neither blur nor shift; cubic ones of torch and OpenCV do
    fine = cv2.resize(smooth, None, fx=2, fy=2, interpolation=cv2.INTER_LANCZOS4)
    # blur and differences extend over two pixels
    valid = cv2.erode(image.valid.astype(np.float32), np.ones((5, 5), np.uint8))
    return Pixels(image, torch.from_numpy(fine)[None, None], torch.from_numpy(valid)[None, None])


def template(image: Pixels, xy: Tensor, side: int) -> Template:
    """Squares around points (N, 2), (x, y), of the reference; GDAL frame, at pixel centres."""
    weights = window(side)
    squares, valid = orientations(image, xy, torch.eye(2), side)
    weighted = squares * weights
    return Template(weighted, (squares * weighted).sum((1, 2, 3)), (valid * weights).sum((1, 2)))


def settle(squares: Template, target: Pixels, start: Tensor, linear: Tensor, radius_px: int = _RADIUS_PX) -> Refined:
    """Move points of the target to the peak of the correlation, round by round.

    Args:
        squares: Squares of the reference.
        target: Image in which they are searched for.
        start: (N, 2) initial points (x, y) of the target, GDAL frame; N is 1 or more.
        linear: (2, 2) steps (x, y) in the reference to steps in the target.
        radius_px: Search radius of the first round, in pixels of the reference.
    """
    weights = window(squares.weighted.shape[-1])
    xy1, moves = start.clone(), torch.zeros_like(start)
    before, after, valid_weight = (torch.zeros(len(start)) for _ in range(3))
    moving = torch.arange(len(start))
    for turn in range(_ROUNDS):
        radius = radius_px if turn == 0 else _RADIUS_PX
        around, valid = orientations(target, xy1[moving], linear, len(weights), radius)
        surface, valid_weight[moving] = _correlation(squares.subset(moving), around, valid, weights)
        shift, after[moving] = peak(surface)
        before = surface[:, radius, radius] if turn == 0 else before
        moves[moving] = shift.double()
        xy1[moving] += moves[moving] @ linear.double().T
        moving = moving[moves[moving].norm(dim=1) > _FINAL_PX]
        if len(moving) == 0:
            break
    covered = torch.minimum(squares.valid_weight, valid_weight) >= _LEAST_VALID * weights.sum()
    return Refined(xy1, before, after, covered & (moves.norm(dim=1) <= _CONVERGED_PX))


def orientations(image: Pixels, xy: Tensor, linear: Tensor, side: int, margin: int = 0) -> tuple[Tensor, Tensor]:
    """Gradients with doubled angle in squares around points, and whether each is valid.

    Args:
        image: The image.
        xy: (N, 2) centres (x, y), GDAL frame.
        linear: (2, 2) steps (x, y) of the squares to steps of the image.
        side: Samples along a side of the squares.
        margin: Samples beyond the square on each side.

    Returns:
        (N, 2, S, S) with S the side and twice the margin, and (N, S, S).
    """
    side = side + 2 * margin + 2
    along = torch.arange(side) - (side - 1) / 2
    steps = torch.stack(torch.meshgrid(along, along, indexing="xy"), -1).view(-1, 2) @ linear.T
    to_unit = 2 / torch.tensor(image.valid.shape[:1:-1])
    samples = ((xy.float() * to_unit - 1)[:, None] + steps * to_unit)[None]
    grey = F.grid_sample(image.fine, samples, "bilinear", "border", align_corners=False).view(-1, side, side)
    valid = F.grid_sample(image.valid, samples, "nearest", "zeros", align_corners=False).view(-1, side, side)
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    inside = valid[:, 1:-1, 1:-1]
    scale = inside / (torch.hypot(across, down) + _EPSILON)
    return torch.stack([(across**2 - down**2) * scale, 2 * across * down * scale], 1), inside


def _correlation(squares: Template, around: Tensor, valid: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K, K) normalised correlation at shifts (rows, columns), and (N,) the weight of valid pixels at shift 0."""
    side = len(weights)
    shifts = range(around.shape[2] - side + 1)
    energy = around.square().sum(1)
    surface = around.new_empty(len(around), len(shifts), len(shifts))
    for down in shifts:
        for right in shifts:
            part = np.s_[..., down : down + side, right : right + side]
            norm = (squares.energy * (energy[part] * weights).sum((1, 2))).sqrt() + _EPSILON
            surface[:, down, right] = (squares.weighted * around[part]).sum((1, 2, 3)) / norm
    middle = len(shifts) // 2
    central = valid[:, middle : middle + side, middle : middle + side]
    return surface, (central * weights).sum((1, 2))


def correlate(squares: Template, target: Pixels, centres: Tensor, linear: Tensor, radius: int) -> Tensor:
    """Normalised correlation at all shifts within a radius, as :func:`settle` measures it at few.

    Args:
        squares: Squares of the reference.
        target: Image in which they are searched for.
        centres: (N, 2) points (x, y) of the target, GDAL frame, at shift 0.
        linear: (2, 2) steps (x, y) in the reference to steps in the target.
        radius: Shifts to each side, in pixels of the reference.

    Returns:
        (N, K, K) at shifts (rows, columns), where K is twice the radius plus 1.
    """
    weights = window(squares.weighted.shape[-1])
    around = orientations(target, centres, linear, len(weights), radius)[0].numpy()
    surface = np.stack([_cross_correlation(*pair) for pair in zip(around, squares.weighted.numpy(), strict=True)])
    energy = np.stack(
        [_cross_correlation(square, weights.numpy()[None]) for square in np.square(around).sum(1, keepdims=True)]
    )
    norm = (squares.energy[:, None, None] * torch.from_numpy(energy).clamp(min=0)).sqrt() + _EPSILON
    return torch.from_numpy(surface) / norm


def _cross_correlation(image: NDArray[np.float32], square: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, K) sums of products of a (C, S, S) square with a (C, S + K - 1, S + K - 1) image at every shift."""
    return np.asarray(sum(cv2.matchTemplate(*pair, cv2.TM_CCORR) for pair in zip(image, square, strict=True)))


def peak(surface: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) shift (x, y) from the centre to the peak of (N, K, K) correlations, by parabolas, and (N,) its height."""
    count = surface.shape[1]
    best = surface[:, 1:-1, 1:-1].flatten(1).argmax(1)
    row, column = best // (count - 2) + 1, best % (count - 2) + 1
    each = torch.arange(len(surface))
    height = surface[each, row, column]

    def vertex(before: Tensor, after: Tensor) -> Tensor:
        bend = (before + after - 2 * height).clamp(max=-_EPSILON)
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
    """Results of a function of point pairs (N, 2), evaluated in blocks and concatenated; N is 1 or more."""
    parts = [
        measure(torch.from_numpy(xy0[start : start + block]), torch.from_numpy(xy1[start : start + block]))
        for start in range(0, len(xy0), block)
    ]
    return tuple(torch.cat(values).numpy() for values in zip(*parts, strict=True))


def window(side: int) -> Tensor:
    """(S, S) Hann weights of a square."""
    along = torch.hann_window(side + 2, periodic=False)[1:-1]
    return along[:, None] * along
