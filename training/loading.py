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

from training.losses import Batch
from training.pairs import sample_pair, truth_of
from training.scenes import Stack

# Large grids are seen at times because large images are matched; long ones because tiles overlap in strips.
SHAPES = (
    ((224, 224), 4, 0.55),
    ((320, 320), 2, 0.17),
    ((160, 448), 2, 0.10),
    ((448, 160), 2, 0.10),
    ((448, 448), 1, 0.08),
)
_FURTHEST_ORIGIN = 200
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


def make_arrays(stacks: Sequence[Stack], recipe: Recipe, step: int) -> dict[str, np.ndarray[Any, Any]]:
    """Make the batch of a step; the fields of :class:`training.losses.Batch` as arrays."""
    rng = np.random.default_rng((recipe.seed, step))
    shape = rng.choice(len(SHAPES), p=[chance for _, _, chance in SHAPES])
    size, count = (recipe.size, 2) if recipe.size else SHAPES[shape][:2]
    pairs = [sample_pair(rng, stacks, size) for _ in range(count * recipe.batch)]
    truths = [truth_of(pair) for pair in pairs]
    matches = np.concatenate([_numbered(k, t.cells) for k, t in enumerate(truths)])
    chosen = rng.permutation(len(matches))[: recipe.fine * recipe.batch]
    images = np.stack([p.images[0] for p in pairs] + [p.images[1] for p in pairs])[:, None]
    origins = rng.integers(0, _FURTHEST_ORIGIN + 1, (len(images), 2))
    return {
        "images": images,
        "matches": matches,
        "offsets": np.concatenate([t.offsets for t in truths]),
        "undecided": np.concatenate([_numbered(k, t.undecided) for k, t in enumerate(truths)]),
        # each image's own, so that the encoding cannot tell the shift; at times the one used for matching
        "origins": origins * (rng.random((len(images), 1)) > 0.15),
        "fine": chosen,
    }


def _numbered(pair: int, cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([np.full((len(cells), 1), pair), cells], axis=1)


def make_batch(stacks: Sequence[Stack], recipe: Recipe, step: int) -> Batch:
    """Make the batch of a step."""
    return as_batch(make_arrays(stacks, recipe, step))


def as_batch(arrays: dict[str, np.ndarray[Any, Any]]) -> Batch:
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
