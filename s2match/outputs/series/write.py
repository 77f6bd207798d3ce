"""All results of a series in one folder."""

from collections.abc import Sequence
from pathlib import Path

from s2match.errors import OutputError
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.series.blink import write_blink
from s2match.outputs.series.charts import series_charts
from s2match.outputs.series.facts import write_series_json
from s2match.outputs.series.report import write_series_report
from s2match.outputs.series.stac import write_stac
from s2match.outputs.series.tables import write_dates, write_pairs
from s2match.timeseries.frames import frames_of
from s2match.timeseries.result import SeriesResult

# Names of the files.
JSON_NAME, REPORT_NAME, BLINK_NAME, STAC_NAME = "series.json", "index.html", "blink.gif", "stac"

# Fewest dates of an animation.
_FEWEST_FRAMES = 2


def create_folder(folder: Path) -> None:
    """Create the folder of the results, if it does not exist.

    Raises:
        OutputError: It cannot be created, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot create the folder {folder}: {error.strerror}.") from error


def write_series(
    result: SeriesResult, folder: Path, *, parquet: bool = False, stac: bool = False, command: Sequence[str] = ()
) -> None:
    """Write tables, JSON, figures, animation and report; existing files are replaced.

    Args:
        result: The series.
        folder: The folder, which exists.
        parquet: Whether tables are GeoParquet instead of CSV.
        stac: Whether STAC items are written, too.
        command: The words of the command line, for the report.

    Raises:
        MissingExtraError: GeoParquet is asked for, and pyarrow is not installed.
        OutputError: A file cannot be written.
    """
    suffix = "parquet" if parquet else "csv"
    write_dates(result, folder / f"dates.{suffix}")
    write_pairs(result, folder / f"pairs.{suffix}")
    write_series_json(result, folder / JSON_NAME)
    for chart in series_charts(result):
        save_figure(chart.figure, folder / f"{chart.name}.png")
    frames = frames_of(result)
    blink = folder / BLINK_NAME if len(frames) >= _FEWEST_FRAMES else None
    if blink is not None:
        write_blink(frames, blink)
    write_series_report(result, folder / REPORT_NAME, blink, command)
    if stac:
        create_folder(folder / STAC_NAME)
        write_stac(result, folder / STAC_NAME)
