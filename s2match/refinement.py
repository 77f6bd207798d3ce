"""Where exactly matches lie, by the edges around them: a second measurement on the pixels themselves.

The network points to within a pixel, from what it learned; its points of the reference lie on a grid of 8 px, and
what is left of their errors in the target is shared by neighbours and does not average away. Here the two images are
correlated around each match. What is correlated is the direction of the gradient with its angle doubled: the edge of a
field stays an edge when the field turns from dark to bright, and only its sign changes (Fitch et al., "Orientation
Correlation", BMVC 2002, correlate directions with their sign; doubling is what structure tensors do to be free of it,
Bigun and Granlund, ICCV 1987). The target is resampled where the last round found the point, so that in the end the
peak lies in the middle, where fitting a parabola to it has no bias.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name everybody knows
from numpy.typing import NDArray
from torch import Tensor

from s2match.matches import GreyImage, Matches

# Side of the squares that are compared, weighted by a Hann window: half of it counts.
SIDE_PX = 64

# The images are smoothed by this before gradients are taken: single pixels are noise.
_BLUR_PX = 0.6

# A point of the reference moves by at most this to where its surroundings show most structure: less than half a cell,
# so that no two meet.
_REACH_PX = 3
_STRUCTURE_PX = 9

# How far around the match the first round looks, and the others; the outermost shifts only fix the peak.
_FIRST_SHIFTS_PX, _SHIFTS_PX, _ROUNDS = 2, 1, 4

# A point is refined when the peak has come to rest, and lies no further from the match than the network may be off. One
# that has moved this little is not looked at again: what is left of a move is a tenth of it.
_AT_REST_PX, _SETTLED_PX, _FURTHEST_PX = 0.1, 0.03, 2.0

# Least correlation of a refined point: benchmarks/registration.py shows errors by it.
_LEAST_SIMILARITY = 0.15

# Least share of the weight of a square that must lie on valid pixels.
_LEAST_VALID = 0.5

# Squares that are compared at once: a few megabytes.
_BLOCK = 256

# Less than this is nothing, where a division asks for more.
_TINY = 1e-9


@dataclass(frozen=True)
class _Pixels:
    """An image ready to be cut.

    Attributes:
        fine: (1, 1, 2H, 2W) grey values, smoothed and finer.
        valid: (1, 1, H, W) 1 where the gradient is of valid pixels alone, else 0.
    """

    fine: Tensor
    valid: Tensor


def refine(matches: Matches, reference: GreyImage, target: GreyImage, linear: NDArray[np.float64]) -> Matches:
    """Measure matches again, and keep those that it makes better.

    Points of the reference move to the pixel centre near them that shows most structure, which is where the reference
    needs no resampling; points of the target to where its edges fit best. A match is kept when its correlation grew,
    came to rest at a peak within 2 px, and is not too low.

    Args:
        matches: Matches of the two images, within about 2 px of the truth, GDAL frame.
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        linear: 2×2, from steps (x, y) in the reference to steps in the target.

    Returns:
        The matches that improved, with their ``similarity``.
    """
    if len(matches) == 0:
        return replace(matches, similarity=np.zeros(0))
    xy0 = _at_structure(matches.xy0, reference)
    start = matches.xy1 + (xy0 - matches.xy0) @ linear.T
    pixels = _pixels(reference), _pixels(target)
    steps = torch.from_numpy(linear).float()
    blocks = [
        _refine_block(*pixels, torch.from_numpy(xy0[i : i + _BLOCK]), torch.from_numpy(start[i : i + _BLOCK]), steps)
        for i in range(0, len(xy0), _BLOCK)
    ]
    xy1, similarity, kept = (torch.cat(parts).numpy() for parts in zip(*blocks, strict=True))
    return replace(matches, xy0=xy0, xy1=xy1, similarity=similarity).of(kept)


def _refine_block(
    reference: _Pixels, target: _Pixels, xy0: Tensor, start: Tensor, linear: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Points of the target (N, 2), correlation there (N,) and whether it is an improvement (N,)."""
    window = _window()
    edges, there = _edges(reference, xy0, torch.eye(2), 0)
    template = edges * window
    energy = (edges * template).sum((1, 2, 3))
    xy1, moved = start.clone(), torch.zeros_like(start)
    first, last, seen = (torch.zeros(len(start)) for _ in range(3))
    some = torch.arange(len(start))
    for turn in range(_ROUNDS):
        reach = _FIRST_SHIFTS_PX if turn == 0 else _SHIFTS_PX
        edges, valid = _edges(target, xy1[some], linear, reach)
        surface, seen[some] = _correlation(template[some], energy[some], edges, valid, window)
        step, last[some] = _peak(surface)
        first = surface[:, reach, reach] if turn == 0 else first
        moved[some] = step.double()
        xy1[some] += moved[some] @ linear.double().T
        some = some[moved[some].norm(dim=1) > _SETTLED_PX]
        if len(some) == 0:
            break
    covered = torch.minimum((there * window).sum((1, 2)), seen) >= _LEAST_VALID * window.sum()
    near = (xy1 - start).norm(dim=1) <= _FURTHEST_PX
    better = (last >= first) & (last >= _LEAST_SIMILARITY)
    return xy1, last.double(), covered & near & better & (moved.norm(dim=1) <= _AT_REST_PX)


def _pixels(image: GreyImage) -> _Pixels:
    smooth = cv2.GaussianBlur(image.grey, (0, 0), _BLUR_PX)
    # bilinear samples of twice the resolution neither blur nor move what is there, cubic ones of torch and OpenCV do
    fine = cv2.resize(smooth, None, fx=2, fy=2, interpolation=cv2.INTER_LANCZOS4)
    # smoothing and differences look two pixels around
    valid = cv2.erode(image.valid.astype(np.float32), np.ones((5, 5), np.uint8))
    return _Pixels(torch.from_numpy(fine)[None, None], torch.from_numpy(valid)[None, None])


def _at_structure(xy: NDArray[np.float64], image: GreyImage) -> NDArray[np.float64]:
    """(N, 2) pixel centres near points (N, 2) where the weaker of the two gradient directions is strongest."""
    corner = cv2.cornerMinEigenVal(cv2.GaussianBlur(image.grey, (0, 0), _BLUR_PX), _STRUCTURE_PX)
    corner[~image.valid] = -1
    steps = np.arange(-_REACH_PX, _REACH_PX + 1)
    height, width = corner.shape
    column, row = np.floor(xy).astype(int).T
    rows = np.clip(row[:, None] + steps, 0, height - 1)[:, :, None]
    columns = np.clip(column[:, None] + steps, 0, width - 1)[:, None, :]
    best = corner[rows, columns].reshape(len(xy), -1).argmax(axis=1)
    down, right = np.divmod(best, len(steps))
    each = np.arange(len(xy))
    return np.stack([columns[each, 0, right], rows[each, down, 0]], axis=1) + 0.5


def _edges(image: _Pixels, xy: Tensor, linear: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Gradients with their angle doubled around points, and where they are valid.

    Args:
        image: What to cut.
        xy: (N, 2) middles (x, y), GDAL frame.
        linear: (2, 2) steps (x, y) of the squares to steps of the image.
        reach: Samples beyond the square to each side.

    Returns:
        (N, 2, S, S) with S the side and twice the reach, and (N, S, S).
    """
    side = SIDE_PX + 2 * reach + 2
    step = torch.arange(side) - (side - 1) / 2
    steps = torch.stack(torch.meshgrid(step, step, indexing="xy"), -1).view(-1, 2) @ linear.T
    to_unit = 2 / torch.tensor(image.valid.shape[:1:-1])
    places = ((xy.float() * to_unit - 1)[:, None] + steps * to_unit)[None]
    cut = F.grid_sample(image.fine, places, "bilinear", "border", align_corners=False).view(-1, side, side)
    valid = F.grid_sample(image.valid, places, "nearest", "zeros", align_corners=False).view(-1, side, side)
    across = cut[:, 1:-1, 2:] - cut[:, 1:-1, :-2]
    down = cut[:, 2:, 1:-1] - cut[:, :-2, 1:-1]
    strength = torch.hypot(across, down) + _TINY
    doubled = torch.stack([(across**2 - down**2) / strength, 2 * across * down / strength], 1)
    inside = valid[:, 1:-1, 1:-1]
    return doubled * inside[:, None], inside


def _correlation(
    template: Tensor, energy: Tensor, edges: Tensor, valid: Tensor, window: Tensor
) -> tuple[Tensor, Tensor]:
    """(N, K, K) normalised correlation at shifts (rows, columns), and (N,) the weight of valid pixels at none."""
    shifts = range(edges.shape[2] - SIDE_PX + 1)
    squares = edges.square().sum(1)
    surface = edges.new_empty(len(edges), len(shifts), len(shifts))
    for down in shifts:
        for right in shifts:
            part = np.s_[..., down : down + SIDE_PX, right : right + SIDE_PX]
            norm = (energy * (squares[part] * window).sum((1, 2))).sqrt() + _TINY
            surface[:, down, right] = (template * edges[part]).sum((1, 2, 3)) / norm
    middle = len(shifts) // 2
    seen = valid[:, middle : middle + SIDE_PX, middle : middle + SIDE_PX]
    return surface, (seen * window).sum((1, 2))


def _peak(surface: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) where (N, K, K) correlations are highest, (x, y) from the middle, by parabolas, and (N,) how high."""
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


def _window() -> Tensor:
    """(S, S) weights of a square."""
    side = torch.hann_window(SIDE_PX + 2, periodic=False)[1:-1]
    return side[:, None] * side
