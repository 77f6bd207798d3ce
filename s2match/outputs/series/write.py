"""All results of a series in one folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s2match.outputs.figures.blink import write_blink
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.series.charts import SERIES_FIGURES, series_charts
from s2match.outputs.series.facts import write_series_json
from s2match.outputs.series.report import write_series_report
from s2match.outputs.series.stac import write_stac
from s2match.outputs.series.tables import write_dates, write_pairs
from s2match.timeseries.frames import frames_of
from s2match.timeseries.result import SeriesResult
from s2match.util.atomic_write import create_folder
from s2match.util.progress import Progress, Stage

# Names of the files.
JSON_NAME, REPORT_NAME, BLINK_NAME, STAC_NAME = "series.json", "index.html", "blink.gif", "stac"

# Seconds of its report, which has fewer figures than that of a pair.
_REPORT_SECONDS = 1.4

# Fewest dates of an animation.
_FEWEST_FRAMES = 2


@dataclass(frozen=True)
class SeriesOutputs:
    """The files of a series.

    Attributes:
        folder: Their folder.
        parquet: Whether tables are GeoParquet instead of CSV.
        stac: Whether STAC items are written, too.
        command: The words of the command line, for the report.
        options: The options of the command line by their names, for the JSON; empty for none.
    """

    folder: Path
    parquet: bool = False
    stac: bool = False
    command: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file, except those of the STAC items, and the folder of these."""
        tables = (self.table("dates"), self.table("pairs"))
        names = (JSON_NAME, REPORT_NAME, BLINK_NAME, *(f"{name}.png" for name in SERIES_FIGURES))
        return *tables, *(self.folder / name for name in names), *([self.folder / STAC_NAME] if self.stac else [])

    def table(self, name: str) -> Path:
        """The file of a table, ``dates`` or ``pairs``."""
        return self.folder / f"{name}.{'parquet' if self.parquet else 'csv'}"


def write_series(result: SeriesResult, outputs: SeriesOutputs, progress: Progress | None = None) -> None:
    """Write tables, JSON, figures, animation and report; existing files are replaced.

    Args:
        result: The series.
        outputs: The files, in a folder that exists.
        progress: Is told the stages; None for nobody.

    Raises:
        MissingExtraError: GeoParquet is asked for, and pyarrow is not installed.
        OutputError: A file cannot be written.
    """
    folder, progress = outputs.folder, progress or Progress()
    progress.expect(Stage.REPORT, _REPORT_SECONDS)
    progress.begin(Stage.TABLES)
    write_dates(result, outputs.table("dates"))
    write_pairs(result, outputs.table("pairs"))
    write_series_json(result, folder / JSON_NAME, outputs.options)
    if outputs.stac:
        create_folder(folder / STAC_NAME)
        write_stac(result, folder / STAC_NAME)
    progress.begin(Stage.CHARTS)
    for number, chart in enumerate(series_charts(result), 1):
        save_figure(chart.figure, folder / f"{chart.name}.png")
        progress.advance(number / (len(SERIES_FIGURES) + 1))
    frames = frames_of(result)
    blink = folder / BLINK_NAME if len(frames) >= _FEWEST_FRAMES else None
    if blink is not None:
        write_blink(frames, blink)
    progress.begin(Stage.REPORT)
    write_series_report(result, folder / REPORT_NAME, blink, outputs.command)
