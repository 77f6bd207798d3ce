"""Batches made ahead of the network by processes of their own, each batch a function of the seed and its step."""

import multiprocessing as mp
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Full
from typing import Any

import cv2
import numpy as np
import torch

from s2match.util.threads import limit_threads
from training.losses import Batch
from training.pairs import CELL_PX, Pair, apply, sample_pair, truth_of
from training.scenes import Stack

Numbers = np.ndarray[Any, Any]

# Large grids are seen at times because large images are matched; long ones because tiles overlap in strips.
SHAPES = (
    ((224, 224), 4, 0.55),
    ((320, 320), 2, 0.17),
    ((160, 448), 2, 0.10),
    ((448, 160), 2, 0.10),
    ((448, 448), 1, 0.08),
)
_FURTHEST_ORIGIN = 200
# This share of the fine stage's lessons is a later look, at a window as far off the truth as earlier looks end, and at
# most this far from the cell.
_LATER_LOOKS, _WORST_ERROR_PX, _FURTHEST_PX = 0.6, 1.2, 8.0
_AHEAD = 3


@dataclass(frozen=True)
class Recipe:
    """What a batch is made of.

    Attributes:
        seed: The same seed gives the same batches.
        batch: Multiplies the number of pairs in a batch; 1 suits a CPU.
        fine: Matches that the fine stage is taught, at most, for each multiple.
        size: Width and height of every crop; None for a mixture.
    """

    seed: int = 0
    batch: int = 1
    fine: int = 2000
    size: tuple[int, int] | None = None


def make_arrays(stacks: Sequence[Stack], recipe: Recipe, step: int) -> dict[str, Numbers]:
    """Make the batch of a step; the fields of :class:`training.losses.Batch` as arrays."""
    rng = np.random.default_rng((recipe.seed, step))
    shape = rng.choice(len(SHAPES), p=[chance for _, _, chance in SHAPES])
    size, count = (recipe.size, 2) if recipe.size else SHAPES[shape][:2]
    pairs = [sample_pair(rng, stacks, size) for _ in range(count * recipe.batch)]
    truths = [truth_of(pair) for pair in pairs]
    matches = np.concatenate([_numbered(k, t.cells) for k, t in enumerate(truths)])
    chosen = rng.permutation(len(matches))[: recipe.fine * recipe.batch]
    offsets = np.concatenate([t.offsets for t in truths])
    looks = _looks(rng, offsets[chosen])
    images = np.stack([p.images[0] for p in pairs] + [p.images[1] for p in pairs])[:, None]
    origins = rng.integers(0, _FURTHEST_ORIGIN + 1, (len(images), 2))
    return {
        "images": images,
        "matches": matches,
        "offsets": offsets,
        "undecided": np.concatenate([_numbered(k, t.undecided) for k, t in enumerate(truths)]),
        # each image's own, so that the encoding cannot tell the shift; at times the one used for matching
        "origins": origins * (rng.random((len(images), 1)) > 0.15),
        "fine": chosen,
        "looks": looks,
        "returns": _returns(pairs, matches[chosen], looks),
    }


def _looks(rng: np.random.Generator, offsets: Numbers) -> Numbers:
    """(N, 2) float32, see :class:`training.losses.Batch`: the cell itself, or a guess at the truth."""
    error = rng.uniform(0, _WORST_ERROR_PX, (len(offsets), 1)) * rng.normal(0, 1, offsets.shape)
    later = rng.random((len(offsets), 1)) < _LATER_LOOKS
    return np.asarray(np.clip(offsets + error, -_FURTHEST_PX, _FURTHEST_PX) * later, np.float32)


def _returns(pairs: Sequence[Pair], fine: Numbers, looks: Numbers) -> Numbers:
    """(K, 2) float32, see :class:`training.losses.Batch`."""
    back = np.zeros((len(fine), 2), np.float32)
    for k, pair in enumerate(pairs):
        mine = np.flatnonzero(fine[:, 0] == k)
        if pair.warp is not None and len(mine):
            columns = -(-pair.images.shape[2] // CELL_PX)
            first, second = (
                np.stack([cell % columns, cell // columns], 1) * float(CELL_PX) for cell in fine[mine, 1:].T
            )
            there = second + looks[mine]
            back[mine] = apply(np.asarray(np.linalg.inv(pair.warp)), there) - first
    return back


def _numbered(pair: int, cells: Numbers) -> Numbers:
    return np.concatenate([np.full((len(cells), 1), pair), cells], axis=1)


def make_batch(stacks: Sequence[Stack], recipe: Recipe, step: int) -> Batch:
    """Make the batch of a step."""
    return as_batch(make_arrays(stacks, recipe, step))


def as_batch(arrays: dict[str, Numbers]) -> Batch:
    """Arrays of :func:`make_arrays` to tensors."""
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})


@contextmanager
def batches(stacks: Sequence[Stack], recipe: Recipe, start: int, workers: int) -> Iterator[Iterator[Batch]]:
    """Batches from a step on, without end; with 0 workers they are made when asked for."""
    if workers == 0:
        yield (make_batch(stacks, recipe, step) for step in _count(start))
        return
    # a fork would inherit OpenCV's and CUDA's threads in whatever state they are
    context = mp.get_context("spawn")
    queues = [context.Queue(_AHEAD) for _ in range(workers)]
    processes = [
        context.Process(target=_produce, args=(queue, stacks, recipe, start + k, workers), daemon=True)
        for k, queue in enumerate(queues)
    ]
    for process in processes:
        process.start()
    try:
        yield (as_batch(queues[(step - start) % workers].get(timeout=600)) for step in _count(start))
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _count(start: int, stride: int = 1) -> Iterator[int]:
    while True:
        yield start
        start += stride


@limit_threads()
def _produce(queue: Any, stacks: Sequence[Stack], recipe: Recipe, start: int, stride: int) -> None:
    cv2.setNumThreads(1)
    parent = mp.parent_process()
    with suppress(KeyboardInterrupt):
        for step in _count(start, stride):
            arrays = make_arrays(stacks, recipe, step)
            while not _put(queue, arrays):
                # a parent that was killed ends nothing by itself
                if parent is None or not parent.is_alive():
                    queue.cancel_join_thread()
                    return


def _put(queue: Any, item: object) -> bool:
    try:
        queue.put(item, timeout=10)
    except Full:
        return False
    return True
