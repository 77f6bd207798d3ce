"""Training batches, prepared by worker processes; each batch depends on the seed and its step only."""

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

# Sizes (width, height), pairs and probabilities. Large ones, because large images are matched; long ones, because
# neighbouring tiles overlap in strips.
SHAPES = (
    ((224, 224), 4, 0.55),
    ((320, 320), 2, 0.17),
    ((160, 448), 2, 0.10),
    ((448, 160), 2, 0.10),
    ((448, 448), 1, 0.08),
)
# Largest row and column at which a positional encoding begins.
_MAX_ORIGIN = 200
# Fraction of the fine windows that are shifted as in later iterations: to the truth, with an error up to this, and at
# most this far from the cell.
_SHIFTED_FRACTION, _MAX_ERROR_PX, _MAX_SHIFT_PX = 0.6, 1.2, 8.0
# Batches that a worker prepares ahead.
_AHEAD = 3


@dataclass(frozen=True)
class Recipe:
    """Parameters of the batches.

    Attributes:
        seed: The same seed gives the same batches.
        batch: Factor on the number of pairs in a batch; 1 suits a CPU.
        fine: Highest number of matches that train the fine stage, times ``batch``.
        size: Width and height of every crop; None for a mixture.
    """

    seed: int = 0
    batch: int = 1
    fine: int = 2000
    size: tuple[int, int] | None = None


def make_arrays(stacks: Sequence[Stack], recipe: Recipe, step: int) -> dict[str, Numbers]:
    """The fields of :class:`training.losses.Batch` of a step, as arrays."""
    rng = np.random.default_rng((recipe.seed, step))
    shape = rng.choice(len(SHAPES), p=[chance for _, _, chance in SHAPES])
    size, count = (recipe.size, 2) if recipe.size else SHAPES[shape][:2]
    pairs = [sample_pair(rng, stacks, size) for _ in range(count * recipe.batch)]
    truths = [truth_of(pair) for pair in pairs]
    matches = np.concatenate([_with_pair_index(k, t.cells) for k, t in enumerate(truths)])
    chosen = rng.permutation(len(matches))[: recipe.fine * recipe.batch]
    offsets = np.concatenate([t.offsets for t in truths])
    window_shifts = _window_shifts(rng, offsets[chosen])
    images = np.stack([p.images[0] for p in pairs] + [p.images[1] for p in pairs])[:, None]
    origins = rng.integers(0, _MAX_ORIGIN + 1, (len(images), 2))
    return {
        "images": images,
        "matches": matches,
        "offsets": offsets,
        "undecided": np.concatenate([_with_pair_index(k, t.undecided) for k, t in enumerate(truths)]),
        # random, so that the encoding does not reveal the shift; sometimes 0, as in matching
        "origins": origins * (rng.random((len(images), 1)) > 0.15),
        "fine": chosen,
        "window_shifts": window_shifts,
        "reverse_offsets": _reverse_offsets(pairs, matches[chosen], window_shifts),
    }


def _window_shifts(rng: np.random.Generator, offsets: Numbers) -> Numbers:
    """(K, 2) float32, see :class:`training.losses.Batch`: 0, or the true offset with a random error."""
    error = rng.uniform(0, _MAX_ERROR_PX, (len(offsets), 1)) * rng.normal(0, 1, offsets.shape)
    shifted = rng.random((len(offsets), 1)) < _SHIFTED_FRACTION
    return np.asarray(np.clip(offsets + error, -_MAX_SHIFT_PX, _MAX_SHIFT_PX) * shifted, np.float32)


def _reverse_offsets(pairs: Sequence[Pair], fine: Numbers, window_shifts: Numbers) -> Numbers:
    """(K, 2) float32, see :class:`training.losses.Batch`, of the matches ``fine`` (K, 3)."""
    offsets = np.zeros((len(fine), 2), np.float32)
    for k, pair in enumerate(pairs):
        indices = np.flatnonzero(fine[:, 0] == k)
        if pair.warp is not None and len(indices):
            columns = -(-pair.images.shape[2] // CELL_PX)
            first, second = (
                np.stack([cell % columns, cell // columns], 1) * float(CELL_PX) for cell in fine[indices, 1:].T
            )
            centres = second + window_shifts[indices]
            offsets[indices] = apply(np.asarray(np.linalg.inv(pair.warp)), centres) - first
    return offsets


def _with_pair_index(pair: int, cells: Numbers) -> Numbers:
    """(N, 3) cells (N, 2) with the index of their pair before them."""
    return np.concatenate([np.full((len(cells), 1), pair), cells], axis=1)


def make_batch(stacks: Sequence[Stack], recipe: Recipe, step: int) -> Batch:
    """The batch of a step."""
    return as_batch(make_arrays(stacks, recipe, step))


def as_batch(arrays: dict[str, Numbers]) -> Batch:
    """Batch of tensors from the arrays of :func:`make_arrays`."""
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})


@contextmanager
def batches(stacks: Sequence[Stack], recipe: Recipe, start: int, workers: int) -> Iterator[Iterator[Batch]]:
    """Endless batches from a step on; with 0 workers they are made in this process when requested."""
    if workers == 0:
        yield (make_batch(stacks, recipe, step) for step in _count(start))
        return
    # a forked process would inherit OpenCV's and CUDA's threads in an undefined state
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
    """Put every ``stride``-th batch from a step on into a queue."""
    cv2.setNumThreads(1)
    parent = mp.parent_process()
    with suppress(KeyboardInterrupt):
        for step in _count(start, stride):
            arrays = make_arrays(stacks, recipe, step)
            while not _put(queue, arrays):
                # a parent that was killed does not end its workers
                if parent is None or not parent.is_alive():
                    queue.cancel_join_thread()
                    return


def _put(queue: Any, item: object) -> bool:
    """Put an item into a queue; False if it stays full."""
    try:
        queue.put(item, timeout=10)
    except Full:
        return False
    return True
