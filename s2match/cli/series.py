"""The ``series`` command: from a folder to dates placed by each other."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from s2match.cli.arguments import refuse, shows_progress
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION
from s2match.cli.pair import settings_of
from s2match.util.atomic_write import check_absent, check_writable, create_folder
from s2match.util.progress import Stage, progress_bar

if TYPE_CHECKING:
    from s2match.outputs.series.write import SeriesOutputs
    from s2match.timeseries.correction import SeriesCorrection
    from s2match.timeseries.executor import Execution
    from s2match.timeseries.options import SeriesOptions
    from s2match.timeseries.result import SeriesResult

# Folder of the finished pairs in that of the results.
PAIRS_FOLDER = "pairs"

# Bytes of a gigabyte.
_GB = 1 << 30


def run_series_command(arguments: argparse.Namespace) -> int:
    """Match a series, write its results and print a summary.

    Returns:
        The exit code: 0, :data:`NO_REGISTRATION` if no image is placed, or :data:`ABOVE_LIMIT`.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    if arguments.coregister is None and arguments.geolocation is None:
        refuse(arguments, {"apply_to"}, "has no effect without --coregister or --geolocation.")
    if arguments.coregister is None:
        refuse(arguments, {"resampling"}, "has no effect without --coregister.")
    # nothing above may import NumPy, which takes a tenth of a second
    from s2match.outputs.series.summary import series_summary
    from s2match.outputs.series.write import write_series
    from s2match.timeseries.correction import check_correction, correct_series
    from s2match.timeseries.run import SERIES_STAGES, run_series
    from s2match.timeseries.sources import read_source

    source = read_source(arguments.source, arguments.pattern, arguments.bands)
    outputs, correction = _outputs(arguments), _correction(arguments)
    if correction is not None:
        check_correction(source.images, correction)
    create_folder(arguments.out)
    corrects = () if correction is None else (Stage.CORRECT,)
    stages = (*SERIES_STAGES, *corrects, Stage.TABLES, Stage.CHARTS, Stage.REPORT)
    with progress_bar(stages, shows_progress(arguments), lines=True) as progress:
        result = run_series(
            source,
            _options(arguments),
            _execution(arguments),
            arguments.out / PAIRS_FOLDER,
            restart=arguments.restart,
            progress=progress,
        )
        files = () if correction is None else correct_series(result, correction, progress)
        write_series(result, outputs, progress)
    failure = _failure(result, arguments)
    if not arguments.quiet:
        rows = [*_places(result, arguments.out, files), *([] if failure is None else [("failed", failure)])]
        print(series_summary(result, rows))
    if not _any_placed(result):
        return NO_REGISTRATION
    return 0 if failure is None else ABOVE_LIMIT


def _outputs(arguments: argparse.Namespace) -> "SeriesOutputs":
    """The files of the series.

    Raises:
        MissingExtraError: GeoParquet is asked for, and pyarrow is not installed.
        OutputError: A file exists that this series has not written, or cannot be written.
    """
    from s2match.cli.config import used_options
    from s2match.outputs.series.tables import check_table_format
    from s2match.outputs.series.write import SeriesOutputs

    outputs = SeriesOutputs(
        arguments.out, arguments.parquet, arguments.stac, tuple(arguments.command), used_options(arguments)
    )
    if arguments.parquet:
        check_table_format(outputs.table("dates"))
    # a folder with finished pairs is that of this series, or refused later on
    check_absent(outputs.files, arguments.overwrite or (arguments.out / PAIRS_FOLDER).is_dir())
    # a folder may have the name of a file; that of the STAC Items is one
    for path in outputs.files:
        if path.suffix and path.exists():
            check_writable(path)
    return outputs


def _failure(result: "SeriesResult", arguments: argparse.Namespace) -> str | None:
    """What exceeds ``--fail_above``; None for nothing."""
    from s2match.outputs.series.statistics import placements

    limit, placed = arguments.fail_above, placements(result)
    if limit is None or not len(placed.indexes):
        return None
    lengths = [math.hypot(*shift) for shift in placed.shifts]
    largest = max(range(len(lengths)), key=lengths.__getitem__)
    finding: str | None = limit.finding(lengths[largest], result.unit, result.pixel)
    title = result.images[placed.indexes[largest]].title
    return None if finding is None else f"{title}: {finding}; --fail_above {limit}"


def _places(result: "SeriesResult", out: Path, files: tuple[Path, ...]) -> list[tuple[str, str]]:
    """Names and values of the lines that say where the results are."""
    from s2match.registration.verdict import Decision

    places = [("results", str(out / "index.html"))]
    if files:
        moved = sum(row.verdict is Decision.REGISTER for row in result.dates)
        placed = sum(row.verdict is not None for row in result.dates)
        places.append(("corrected", f"{len(files)} files in {files[0].parent}; {moved} of {placed} images are moved"))
    return places


def _any_placed(result: "SeriesResult") -> bool:
    return any(row.component is not None for row in result.dates)


def _options(arguments: argparse.Namespace) -> "SeriesOptions":
    from s2match.io.masking import masking_of
    from s2match.timeseries.choices import Datum, PairMode
    from s2match.timeseries.options import SeriesOptions

    return SeriesOptions(
        settings_of(arguments),
        masking_of(arguments.mask, arguments.mask_values, arguments.mask_clouds),
        PairMode(arguments.pairs),
        arguments.partners,
        Datum(arguments.datum),
        arguments.reference,
    )


def _execution(arguments: argparse.Namespace) -> "Execution":
    from s2match.timeseries.executor import Execution

    memory = None if arguments.memory_gb is None else int(arguments.memory_gb * _GB)
    return Execution(arguments.workers, arguments.scheduler, memory)


def _correction(arguments: argparse.Namespace) -> "SeriesCorrection | None":
    """The files to correct; None for none."""
    if arguments.coregister is None and arguments.geolocation is None:
        return None
    from s2match.correction.request import CUBIC
    from s2match.timeseries.correction import SeriesCorrection

    resampling = None if arguments.coregister is None else arguments.resampling or CUBIC
    folder = arguments.coregister or arguments.geolocation
    return SeriesCorrection(folder, resampling, tuple(arguments.apply_to), arguments.overwrite)
