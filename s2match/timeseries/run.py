"""A whole series: quick looks, plan, pairs, adjustment."""

import logging
import math
import time
from dataclasses import replace
from pathlib import Path

from s2match.errors import DatasetError
from s2match.io.area import check_touches_any
from s2match.io.product_masks import no_product_mask_message, product_mask
from s2match.pipeline import fetch_weights
from s2match.timeseries.assemble import MatchedSeries, assemble
from s2match.timeseries.choices import PairMode
from s2match.timeseries.execution_order import execution_order
from s2match.timeseries.executor import Execution, run_tasks
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.manifest import Manifest, fingerprint_of
from s2match.timeseries.observations import PairObservation
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import best_reference, given_pairs, plan_pairs, reference_of
from s2match.timeseries.quick_looks import quick_looks
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.sources import SeriesSource
from s2match.timeseries.tasks import task_of
from s2match.util.progress import Progress, Stage

_LOG = logging.getLogger(__name__)

# Stages of a series, in order.
SERIES_STAGES = (Stage.QUICK_LOOKS, Stage.PAIRS, Stage.ADJUST)

# Seconds of the quick look of an image, and of a pair of 1098 x 1098 px, as those of the stages of a pair.
_LOOK_SECONDS, _PAIR_SECONDS = 0.1, 6.0

# Pixels of such an image.
_MEASURED_PX = 1098 * 1098


def run_series(  # noqa: PLR0913
    source: SeriesSource,
    options: SeriesOptions,
    execution: Execution,
    folder: Path,
    *,
    restart: bool = False,
    progress: Progress | None = None,
) -> SeriesResult:
    """Match the pairs of a series, and place its images by each other.

    There are six parameters because the last two are the command's.

    Args:
        source: The images, and the pairs if they are given.
        options: The options.
        execution: Where pairs are matched.
        folder: Folder of the finished pairs. A run that was interrupted goes on where it was.
        restart: Match finished pairs again.
        progress: Is told the stages; None for nobody.

    Raises:
        S2MatchError: Fewer than two images can be read, an option is out of range, or the finished pairs are those of
            other options. An image or a pair that fails is no error.
    """
    begun = time.perf_counter()
    images, progress = _with_product_masks(source.images, options), progress or Progress()
    options = replace(options, masking=replace(options.masking, auto=False, auto_values=None))
    progress.expect(Stage.QUICK_LOOKS, _LOOK_SECONDS * len(images))
    progress.begin(Stage.QUICK_LOOKS)
    looks = quick_looks(images, options.settings.read_options)
    readable = [image.index for image in images if not isinstance(looks[image.index], str)]
    if len(readable) < 2:
        reasons = " ".join(look for look in looks if isinstance(look, str))
        raise DatasetError(f"A series needs two images that can be read, and {len(readable)} can: {reasons}")
    grids = [look.grid for look in looks if not isinstance(look, str)]
    area = options.settings.area
    if area is not None:
        check_touches_any(area, grids)
    # the reference of a star of pairs must be known before they are matched
    is_known = options.reference is not None or (source.pairs is None and options.pairs is PairMode.REFERENCE)
    options = replace(options, reference=reference_of(looks, options.reference))
    plan = plan_pairs(images, looks, options) if source.pairs is None else given_pairs(images, looks, source.pairs)
    manifest = Manifest(folder, fingerprint_of(images, options), restart)
    finished = {(pair.reference, pair.target): pair for pair in manifest.load().values()}
    observations = {ends: finished[ends] for pair in plan if (ends := (pair.reference, pair.target)) in finished}
    order = [plan[number] for number in execution_order(plan)]
    remaining = [pair for pair in order if (pair.reference, pair.target) not in observations]
    _LOG.info("%d images, %d pairs, of which %d are finished", len(images), len(plan), len(observations))
    pixels = math.prod(options.settings.image_size or grids[0].size)
    if remaining and execution.scheduler is None:
        # the machines of a cluster have caches of their own
        fetch_weights(options.settings, progress)
    progress.expect(Stage.PAIRS, _PAIR_SECONDS * len(remaining) * pixels / _MEASURED_PX)
    progress.begin(Stage.PAIRS, f"{len(observations)} of {len(plan)}")

    def done(observation: PairObservation) -> None:
        manifest.add(observation)
        observations[observation.reference, observation.target] = observation
        left = len(plan) - len(observations)
        progress.advance(1 - left / len(remaining), f"{len(observations)} of {len(plan)}")

    run_tasks([task_of(images[pair.reference], images[pair.target], options) for pair in remaining], execution, done)
    progress.begin(Stage.ADJUST)
    series = MatchedSeries(images, looks, plan, tuple(observations[pair.reference, pair.target] for pair in plan))
    if not is_known:
        options = replace(options, reference=best_reference(looks, series.observations))
    return assemble(series, options, time.perf_counter() - begun)


def _with_product_masks(images: tuple[SeriesImage, ...], options: SeriesOptions) -> tuple[SeriesImage, ...]:
    """The images, each with the mask of its own product if the options ask for it; one without a mask is not masked."""
    if not options.masking.auto:
        return images
    masked = []
    for image in images:
        mask = product_mask(image.scene, options.masking.auto_values)
        if mask is None:
            _LOG.warning("%s: it is matched without a mask.", no_product_mask_message(image.scene))
        masked.append(replace(image, product_mask=mask))
    return tuple(masked)
