"""Measure weights on held-out dates; checkpoints are chosen by these, never by the test dates.

python -m training.validate --data FOLDER... --weights FILE...

A pair is two held-out dates of one place, the second shifted so that the truth is not on the network's grid of 8 px. A
held-out single date is paired with itself, rotated, scaled and repainted. Neighbouring tiles are matched whole.
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2match.loftr.checkpoints import load_network
from s2match.loftr.engine import Engine, EngineMatches
from s2match.util.devices import pick_device
from s2match.util.threads import limit_threads
from training.pairs import Matrix, apply, cut, translation
from training.photometry import repaint, stretch
from training.scenes import Stack, list_images, load_stacks, matches_any

# The fixed validation dates of the images that the sentinel2 weights were trained on.
HELD_OUT = (
    "T36UYA_20190606*",
    "T36UYA_20190904*",
    "T36UYA_20190402*",
    "T36UYA_20190417*",
    "T36UXA_20180830*",
    "T36UXA_20180904*",
    "zone9_Jun*",
    "zone9_Dec*",
    "dolomites*",
    "sen1floods11_spain*",
)
# May, Sep and Oct of this place are off by about a pixel: they serve as single dates.
SAME_PLACE = ("zone9_[ADFJN]*",)
RIGHT_PX = 1.5
LEAST_CONFIDENCE = 0.2
_SIDE_PX = 512
_SHIFTS = ((3, 5), (4, 4), (2.4, -1.3), (1, 2), (-6.6, 3.5))


@dataclass(frozen=True)
class Check:
    """Validation pair.

    Attributes:
        name: Title of the pair.
        images: The two, H×W float32 in [0, 1]; sizes may differ.
        warp: 3×3, pixels of the first to pixels of the second, pixel centres at integers; None for different places.
    """

    name: str
    images: tuple[NDArray[np.float32], NDArray[np.float32]]
    warp: Matrix | None


@dataclass(frozen=True)
class Figures:
    """Figures of a pair.

    Attributes:
        name: Title of the pair.
        matches: Number of matches with a confidence above 0.2.
        right: Number of these within 1.5 px of the truth.
        sure: Number of matches with a confidence above 0.8.
        sure_right: Number of these within 1.5 px of the truth.
        median_px: Median error of the right matches.
        slope: Slope of estimated against true offsets from the cell's centre.
    """

    name: str
    matches: int
    right: int
    sure: int
    sure_right: int
    median_px: float
    slope: float


def checks_of(stacks: Sequence[Stack], different: int | None = 2) -> list[Check]:
    """Validation pairs of stacks, the same at every call.

    Args:
        stacks: Dates by place.
        different: Number of pairs of different places; None: all.
    """
    shifts = itertools.cycle(_SHIFTS)
    checks = [
        _same_place(stack, a, b, next(shifts))
        for stack in stacks
        for a, b in itertools.combinations(range(len(stack.names)), 2)
    ]
    checks += [_repainted(stack, k) for k, stack in enumerate(stacks) if len(stack.names) == 1]
    pairs = list(itertools.combinations(stacks, 2))
    checks += [check for a, b in pairs if (check := _neighbours(a, b)) is not None]
    checks += [_different(*pair) for pair in pairs[:different]]
    return checks


def held_out_checks(
    paths: Sequence[Path], hold_out: Sequence[str], same_place: Sequence[str], different: int | None = 2
) -> list[Check]:
    """Validation pairs of the images that match ``hold_out``; see :func:`checks_of`."""
    held_out = [path for path in paths if matches_any(path.name, hold_out)]
    return checks_of(load_stacks(held_out, same_place), different)


def _middle(stack: Stack) -> tuple[tuple[int, int], Matrix]:
    width, height = (min(_SIDE_PX, side) for side in stack.images.shape[:1:-1])
    return (width, height), translation(*((np.array(stack.images.shape[:1:-1]) - (width, height)) // 2))


def _grey(stack: Stack, date: int, view: Matrix, size: tuple[int, int]) -> NDArray[np.float32]:
    image = cut(stack.images[date, -1], view, size, cv2.INTER_LINEAR)
    data = cut(stack.data[date].view(np.uint8), view, size, cv2.INTER_NEAREST) > 0
    return stretch(image, data, 1, 97)


def _same_place(stack: Stack, a: int, b: int, shift: tuple[float, float]) -> Check:
    size, view = _middle(stack)
    images = _grey(stack, a, view, size), _grey(stack, b, view @ translation(*shift), size)
    return Check(f"{stack.names[a][:15]} {stack.names[b][:15]}", images, translation(-shift[0], -shift[1]))


def _repainted(stack: Stack, seed: int) -> Check:
    size, view = _middle(stack)
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), 4, 1.05)
    second = repaint(np.random.default_rng(seed), _grey(stack, 0, view @ np.linalg.inv(turn), size), 1.0)
    return Check(f"{stack.names[0][:15]} turned", (_grey(stack, 0, view, size), second), turn)


def _neighbours(a: Stack, b: Stack) -> Check | None:
    """The last dates of two neighbouring tiles, whole; None if they do not overlap on one grid."""
    if a.transform is None or b.transform is None or a.crs != b.crs:
        return None
    warp = np.array(~b.transform @ a.transform).reshape(3, 3)
    # from the GDAL frame to pixel centres at integers
    warp = translation(-0.5, -0.5) @ warp @ translation(0.5, 0.5)
    size = (a.images.shape[-1], a.images.shape[-2])
    shift = np.abs(apply(warp, np.zeros((1, 2)))[0])
    if (shift >= size).any() or not np.allclose(warp[:2, :2], np.eye(2)):
        return None
    images = _grey(a, -1, np.eye(3), size), _grey(b, -1, np.eye(3), (b.images.shape[-1], b.images.shape[-2]))
    return Check(f"{a.names[-1][:15]} {b.names[-1][:15]}", images, warp)


def _different(a: Stack, b: Stack) -> Check:
    images = [_grey(stack, 0, _middle(stack)[1], _middle(stack)[0]) for stack in (a, b)]
    return Check(f"{a.names[0][:15]} not {b.names[0][:15]}", (images[0], images[1]), None)


def match(engine: Engine, check: Check, threshold: float) -> EngineMatches:
    """Matches of a validation pair."""
    first, second = (engine.extract(torch.from_numpy(image)) for image in check.images)
    return engine.match(first, second, threshold)


def points(matches: EngineMatches) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) points (x, y) of both images."""
    return matches.keypoints0.double().cpu().numpy(), matches.keypoints1.double().cpu().numpy()


def measure(engine: Engine, check: Check) -> Figures:
    """Match a pair and compare the matches with the truth."""
    matches = match(engine, check, LEAST_CONFIDENCE)
    xy0, xy1 = points(matches)
    sure = matches.confidence.cpu().numpy() > 0.8
    if check.warp is None or len(xy0) == 0:
        return Figures(check.name, len(xy0), 0, int(sure.sum()), 0, np.nan, np.nan)
    true = apply(check.warp, xy0)
    error = np.linalg.norm(xy1 - true, axis=1)
    right = error < RIGHT_PX
    median = float(np.median(error[right])) if right.any() else np.nan
    slope = _slope(xy1, true)
    return Figures(check.name, len(xy0), int(right.sum()), int(sure.sum()), int((right & sure).sum()), median, slope)


def _slope(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Slope of (N, 2) estimated against true offsets from the cell's centre, where the cell is right."""
    # an estimate may lie up to 4 px from its cell's centre, so the cell is that of the true point
    cell = np.round(true / 8) * 8
    a, b = (estimated - cell), (true - cell)
    near = (np.abs(a) <= 4).all(1)
    a, b = a[near], b[near]
    return float((a * b).sum() / (b**2).sum()) if (b**2).sum() > len(b) * 0.25 else np.nan


def table(figures: Sequence[Figures]) -> str:
    """Table as text: a line for each pair and one for all."""
    lines = [
        f"{f.name:34s} {f.matches:6d} right {f.right:6d} ({f.right / max(1, f.matches):.2f})  above 0.8 {f.sure:6d}"
        f" ({f.sure_right / max(1, f.sure):.3f})  median {f.median_px:.2f} px  slope {f.slope:.2f}"
        for f in figures
    ]
    names = ("matches", "right", "sure", "sure_right")
    matches, right, sure, good = (sum(getattr(f, name) for f in figures) for name in names)
    lines.append(
        f"{'all':34s} {matches:6d} right {right:6d} ({right / max(1, matches):.2f})  above 0.8 {sure:6d}"
        f" ({good / max(1, sure):.3f})  median {np.nanmedian([f.median_px for f in figures]):.2f} px"
        f"  slope {np.nanmedian([f.slope for f in figures]):.2f}"
    )
    return "\n".join(lines)


@limit_threads()
def main() -> None:
    """Print the figures of weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", nargs="+", default=["sentinel2"])
    parser.add_argument("--same-place", nargs="*", default=SAME_PLACE, metavar="PATTERN")
    parser.add_argument("--hold-out", nargs="*", default=HELD_OUT, metavar="PATTERN")
    a = parser.parse_args()
    checks = held_out_checks(list_images(a.data), a.hold_out, a.same_place)
    for weights in a.weights:
        network = load_network(weights)
        engine = Engine(network.net, pick_device("auto"), config=network.config)
        print(f"{weights}\n{table([measure(engine, check) for check in checks])}\n", flush=True)


if __name__ == "__main__":
    main()
