"""The ``series`` command: from a folder to dates placed by each other."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from s2match.cli.arguments import refuse
from s2match.cli.exit_codes import NO_REGISTRATION
from s2match.cli.pair import settings_of

if TYPE_CHECKING:
    from s2match.timeseries.correction import SeriesCorrection
    from s2match.timeseries.executor import Execution
    from s2match.timeseries.options import SeriesOptions
    from s2match.timeseries.result import SeriesResult

# Bytes of a gigabyte.
_GB = 1 << 30


def run_series_command(arguments: argparse.Namespace) -> int:
    """Match a series, write its results and print a summary.

    Returns:
        The exit code: 0, or :data:`NO_REGISTRATION` if no image is placed.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    if arguments.coregister is None and arguments.geolocation is None:
        refuse(arguments, {"apply_to", "overwrite"}, "has no effect without --coregister or --geolocation.")
    if arguments.coregister is None:
        refuse(arguments, {"resampling"}, "has no effect without --coregister.")
    # nothing above may import NumPy, which takes a tenth of a second
    from s2match.outputs.series.summary import series_summary
    from s2match.outputs.series.tables import check_table_format
    from s2match.outputs.series.write import create_folder, write_series
    from s2match.timeseries.correction import check_correction, correct_series
    from s2match.timeseries.run import run_series
    from s2match.timeseries.sources import read_source

    source = read_source(arguments.source, arguments.pattern, arguments.bands)
    correction = _correction(arguments)
    if correction is not None:
        check_correction(source.images, correction)
    if arguments.parquet:
        check_table_format(arguments.out / "dates.parquet")
    create_folder(arguments.out)
    result = run_series(
        source,
        _options(arguments),
        _execution(arguments),
        arguments.out / "pairs",
        restart=arguments.restart,
        show_progress=not (arguments.quiet or arguments.verbose or arguments.debug),
    )
    files = () if correction is None else correct_series(result, correction)
    write_series(result, arguments.out, parquet=arguments.parquet, stac=arguments.stac, command=arguments.command)
    if not arguments.quiet:
        print(series_summary(result, _places(arguments.out, files)))
    return 0 if _any_placed(result) else NO_REGISTRATION


def _places(out: Path, files: tuple[Path, ...]) -> list[tuple[str, str]]:
    """Names and values of the lines that say where the results are."""
    places = [("results", str(out / "index.html"))]
    if files:
        places.append(("corrected", f"{len(files)} files in {files[0].parent}"))
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
