"""A pair of a series as a task: values that can be sent to another process, and the function that runs there."""

import time
from dataclasses import dataclass, replace

from s2match.core.mask import UNMASKED_PAIR, PairMasking
from s2match.core.scene import Scene
from s2match.errors import sentence_of
from s2match.io.open_file import block_cache
from s2match.matching.caching_loader import LoadCachingMatcher, caching_loader
from s2match.pipeline import create_matcher, match_scenes
from s2match.settings import Settings
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.observations import PairObservation, PairStatus, observe
from s2match.timeseries.options import SeriesOptions

# GDAL's cache of decoded blocks. Each file is opened for one reading, so its blocks are used once.
_BLOCK_CACHE_BYTES = 64 << 20


@dataclass(frozen=True)
class PairTask:
    """A pair to match, as values that can be pickled.

    Attributes:
        reference: Index of the reference in the series.
        target: Index of the target.
        scenes: Their files.
        settings: How the pair is matched.
        masking: Ground that is not matched. An image must have the same masks in all of its pairs, so that its features
            are the same.
    """

    reference: int
    target: int
    scenes: tuple[Scene, Scene]
    settings: Settings
    masking: PairMasking = UNMASKED_PAIR


def task_of(reference: SeriesImage, target: SeriesImage, options: SeriesOptions) -> PairTask:
    """The task of two images of a series."""
    own = (reference.own_masks, target.own_masks)
    masking = PairMasking(options.masking, *own)
    return PairTask(reference.index, target.index, (reference.scene, target.scene), options.settings, masking)


def run_task(task: PairTask, load_matcher: LoadCachingMatcher) -> PairObservation:
    """Match a pair and observe its shift; an error is a failed observation.

    Args:
        task: The pair.
        load_matcher: Returns the matcher, by :func:`matcher_loader`.

    Returns:
        The observation, with its time and the number of images that were encoded for it.

    Raises:
        S2MatchError: The matcher cannot be loaded, which would fail for every other pair, too.
    """
    matcher = load_matcher(task.settings)
    begun, encoded = time.perf_counter(), matcher.encoded
    try:
        with block_cache(_BLOCK_CACHE_BYTES):
            result = match_scenes(
                *task.scenes, task.settings, masking=task.masking, load_matcher=lambda settings: matcher
            )
        observation = observe(result, task.reference, task.target)
    # one pair must not end the series, whatever is wrong with it
    except Exception as error:
        observation = failed(task, sentence_of(error))
    return replace(observation, seconds=time.perf_counter() - begun, encoded=matcher.encoded - encoded)


def failed(task: PairTask, reason: str) -> PairObservation:
    """The observation of a task that failed, with the reason as a sentence."""
    return PairObservation(task.reference, task.target, PairStatus.FAILED, reason)


def matcher_loader(memory_bytes: int) -> LoadCachingMatcher:
    """Function that returns the matcher of settings, and loads it once for all tasks of a process.

    Args:
        memory_bytes: Most memory of the process.
    """
    return caching_loader(create_matcher, memory_bytes)
