"""Match the pairs of a list, write the results of each, and a table of all."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from s2match.batch.correct_and_write import correct_and_write
from s2match.batch.journal import Journal, PairFiles, text_of
from s2match.batch.rows import COLUMNS, PairRow, Status, row_of
from s2match.batch.sources import ListedPair
from s2match.core.grid import Grid
from s2match.core.image_path import file_key, image_path, local_files
from s2match.core.product_names import PRODUCT
from s2match.core.raster import Raster
from s2match.correction.decision import CorrectionOutcome
from s2match.errors import OutputError, S2MatchError, sentence_of
from s2match.io.file_stamp import file_stamp
from s2match.io.masking import masking_of
from s2match.io.reader import read_whole
from s2match.io.sources import is_stac_asset, open_pair, open_source
from s2match.matching.caching_loader import LoadCachingMatcher, caching_loader, default_memory
from s2match.outputs.csv_table import csv_text
from s2match.outputs.report.names import report_files
from s2match.outputs.targets import Outputs, check_outputs, with_product_files
from s2match.pipeline import (
    MATCHING_STAGES,
    correction_stages,
    create_matcher,
    fetch_weights,
    match_pair,
    pair_grids,
)
from s2match.result import PairResult
from s2match.settings import Settings
from s2match.util.atomic_write import check_outputs_apart, create_folder, write_text
from s2match.util.progress import Progress, Stage
from s2match.version import __version__

TABLE_NAME = "pairs.csv"

# Images that are kept for the next pairs, as they were read: up to 17 MB each.
_KEPT_IMAGES = 4


@dataclass(frozen=True)
class Batch:
    """How the pairs of a list are matched.

    Attributes:
        settings: The options of each pair.
        outputs_of: Returns the files of a pair, all of them in a folder.
        masks: Masks of all pairs, besides those of each pair.
        mask_values: Masked values of rasters, as in :func:`s2match.io.masking.masking_of`.
        mask_clouds: Whether saturated cloud is masked.
    """

    settings: Settings
    outputs_of: Callable[[ListedPair, Path], Outputs]
    masks: tuple[str, ...] = ()
    mask_values: tuple[int, ...] | None = None
    mask_clouds: bool = False


@dataclass(frozen=True)
class _Task:
    """A pair with its files."""

    pair: ListedPair
    folder: Path
    outputs: Outputs
    files: PairFiles


@dataclass(frozen=True)
class _Resources:
    """What pairs share.

    Attributes:
        load_matcher: Returns the matcher, which keeps features of images.
        read: Reads an image on a grid, and keeps the last ones.
    """

    load_matcher: LoadCachingMatcher
    read: Callable[[Grid], Raster]


def run_pairs(  # noqa: PLR0913
    pairs: Sequence[ListedPair],
    batch: Batch,
    folder: Path,
    on_done: Callable[[int, PairRow], None],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[PairRow, ...]:
    """Match pairs, and write the files of each to a folder of its own, and the table ``pairs.csv``.

    A pair that fails ends no other pair. A pair whose inputs, options and outputs have not changed since a former run
    is not matched again, so that a run that was ended goes on where it was. The weights are loaded once, and an
    image and its features are kept for its next pairs. There are six parameters because the last two are switches of
    the command.

    Args:
        pairs: The pairs; their names are distinct.
        batch: How they are matched.
        folder: The folder of the results, which exists.
        on_done: Called with the index and the row of each pair that was matched, as soon as it is done.
        overwrite: Replace files of the user, and of runs with other inputs or options.
        progress: Is told the stages; None for nobody.

    Returns:
        A row for each pair, in the order of the pairs.

    Raises:
        OutputError: Files are in the way, or the table cannot be written.
        S2MatchError: The weights cannot be loaded, or the device does not exist.
    """
    journal = Journal(folder)
    tasks = [_task_of(pair, batch, folder / pair.name) for pair in pairs]
    table = folder / TABLE_NAME
    check_outputs_apart([table], [path for task in tasks for path in _inputs(task)])
    rows = [journal.finished(task.files) for task in tasks]
    left = [index for index, row in enumerate(rows) if row is None]
    if not overwrite:
        _check_own(journal, [tasks[index] for index in left], table)
    resources = _Resources(caching_loader(create_matcher, default_memory()), lru_cache(_KEPT_IMAGES)(read_whole))
    try:
        for done, index in enumerate(left):
            of_pair = _progress_of(tasks[index], progress or Progress(), done, len(left))
            rows[index] = row = _run(tasks[index], batch, journal, resources, of_pair)
            on_done(index, row)
    finally:
        finished = [row for row in rows if row is not None]
        write_text(table, csv_text(COLUMNS, finished))
    return tuple(row for row in rows if row is not None)


def _task_of(pair: ListedPair, batch: Batch, folder: Path) -> _Task:
    outputs = batch.outputs_of(pair, folder)
    report = () if outputs.report is None else report_files(outputs.report)
    request = outputs.correction
    # the journal knows which files may be replaced
    request = None if request is None else replace(request, overwrite=True)
    outputs = _with_product_files(replace(outputs, correction=request, overwrite=True), pair, batch.settings)
    masks = (*batch.masks, *pair.masks)
    area = [batch.settings.aoi] if isinstance(batch.settings.aoi, str) else []
    parts = {
        "version": __version__,
        "settings": repr(batch.settings),
        "weights": file_stamp(Path(batch.settings.weights)),
        "masks": [*masks, batch.mask_values, batch.mask_clouds],
        "correction": None if request is None else (request.resampling, request.force),
        "inputs": [_input_text(text) for text in (pair.reference, pair.target, *pair.siblings, *masks, *area)],
    }
    fingerprint = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
    return _Task(pair, folder, outputs, PairFiles(pair.name, fingerprint, (*outputs.files, *report)))


def _with_product_files(outputs: Outputs, pair: ListedPair, settings: Settings) -> Outputs:
    """Outputs with the corrected files of the target's product, if they are asked for.

    Products that cannot be opened are left out here; their error is that of the pair.
    """
    if outputs.correction is None or Path(PRODUCT) not in outputs.correction.siblings:
        return outputs
    try:
        return with_product_files(outputs, open_source(pair.target, settings.bands))
    except S2MatchError:
        return outputs


def _input_text(source: str) -> str:
    """Text that changes with an input, by its name, and its size and time."""
    # the key of an asset is no part of the name of the file
    path = image_path(source.partition("#")[0] if is_stac_asset(source) else source)
    return f"{source} {file_key(path)} {file_stamp(path)}"


def _check_own(journal: Journal, tasks: Sequence[_Task], table: Path) -> None:
    """Check that the files to write are not those of the user, or of other inputs or options.

    Raises:
        OutputError: Some are.
    """
    foreign = [path for task in tasks for path in journal.foreign(task.files)]
    if journal.empty and table.exists():
        foreign.append(table)
    if foreign:
        raise OutputError(
            f"There are results of other inputs or options, or changed ones: {text_of(foreign)}. --overwrite replaces "
            "them; or choose another folder."
        )


def _progress_of(task: _Task, whole: Progress, done: int, count: int) -> Progress:
    """Progress of a pair, which reports to that of all pairs that are left.

    Args:
        task: The pair.
        whole: Progress of all pairs.
        done: Number of pairs that are done.
        count: Number of pairs that were left at the start.
    """
    whole.begin(Stage.PAIRS)

    def report(text: str, fraction: float) -> None:
        whole.advance((done + fraction) / count, f"({done + 1} of {count}): {text[:1].lower()}{text[1:]}")

    outputs = task.outputs
    return Progress([*MATCHING_STAGES, *correction_stages(outputs.correction), *outputs.stages], report)


def _run(task: _Task, batch: Batch, journal: Journal, resources: _Resources, progress: Progress) -> PairRow:
    """Match a pair and write its files; an error is the row of a pair that failed.

    Raises:
        S2MatchError: The matcher cannot be loaded, which would fail for every other pair, too.
    """
    pair = task.pair
    names = pair.name, str(image_path(pair.reference)), str(image_path(pair.target))
    fetch_weights(batch.settings, progress)
    resources.load_matcher(batch.settings)
    journal.begin(task.files)
    begun = time.perf_counter()
    try:
        result, outcome = _match_and_write(task, batch, resources, progress)
        row = row_of(names, result, outcome, time.perf_counter() - begun)
    # one pair must not end the others, whatever is wrong with it
    except Exception as error:
        seconds = time.perf_counter() - begun
        row = PairRow(*names, status=str(Status.FAILED), seconds=seconds, message=sentence_of(error))
        # a folder without a file says nothing
        with suppress(OSError):
            task.folder.rmdir()
    journal.finish(task.files, row)
    return row


def _match_and_write(
    task: _Task, batch: Batch, resources: _Resources, progress: Progress
) -> tuple[PairResult, CorrectionOutcome | None]:
    """Match a pair, correct it if that is asked for, and write its files.

    Raises:
        S2MatchError: Anything a user can cause or meet.
    """
    pair = task.pair
    scenes = open_pair(pair.reference, pair.target, batch.settings.bands)
    masking = masking_of([*batch.masks, *pair.masks], batch.mask_values, batch.mask_clouds)
    outputs = with_product_files(task.outputs, scenes[1])
    inputs = [file for scene in scenes for file in scene.files] + [mask.path for mask in masking.masks]
    if outputs.correction is not None:
        inputs += outputs.correction.siblings
    create_folder(task.folder)
    check_outputs(outputs, local_files(inputs), *scenes)
    grids = pair_grids(*scenes, batch.settings, masking)
    result = match_pair(grids, batch.settings, progress, resources.load_matcher, resources.read)
    written = correct_and_write(result, outputs, resources.load_matcher, progress)
    if written.error is not None:
        raise written.error
    return result, written.outcome


def _inputs(task: _Task) -> list[Path]:
    return local_files(map(image_path, (task.pair.reference, task.pair.target)))
