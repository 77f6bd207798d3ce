"""Pairs of dates on one pixel grid, bundled and real, to which known deformations are applied."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.networks import ROOT
from s2match.core.raster import Raster
from s2match.io.reader import read_raster

SAMPLE = ROOT / "dataset" / "sample"
DEFAULT_DATA = ROOT.parent / "shared" / "data"

# Title of each pair, and the beginning of both file names.
_SAMPLE = (
    ("sample, summer to spring", "SYNTHETIC-B_20240813", "SYNTHETIC-B_20230531"),
    ("sample, autumn to snow", "SYNTHETIC-B_20221013", "SYNTHETIC-B_20230126"),
    ("sample, cumulus", "SYNTHETIC-B_20240629", "SYNTHETIC-B_20230421"),
)
_UKRAINE = (
    ("Ukraine, summer", "T36UYA_20190611", "T36UYA_20190830"),
    ("Ukraine, spring to late summer", "T36UYA_20190427", "T36UYA_20190830"),
    ("Ukraine, March to June", "T36UYA_20190611", "T36UYA_20190328"),
    ("Ukraine, cumulus", "T36UYA_20160502", "T36UYA_20160830"),
    ("Ukraine, snow to summer", "T36UYA_20160212", "T36UYA_20190611"),
)
_MOUNTAINS = (
    ("Alps NDVI, May to November", "Sentinel2_NDVI_2020-05-21", "Sentinel2_NDVI_2020-11-27"),
    ("Alps NDVI, August to November", "Sentinel2_NDVI_2020-08-01", "Sentinel2_NDVI_2020-11-27"),
    ("Alps NDVI, February to August", "Sentinel2_NDVI_2020-02-21", "Sentinel2_NDVI_2020-08-01"),
)


@dataclass(frozen=True)
class DatePair:
    """Two dates of one place.

    Attributes:
        name: Title of the pair.
        reference: One date.
        target: The other date, on the same pixel grid.
        exact: Whether both dates are known to be aligned; otherwise their true shift is unknown.
    """

    name: str
    reference: Raster
    target: Raster
    exact: bool


def date_pairs(data: Path) -> Iterator[DatePair]:
    """The bundled pairs, and the real ones where their files exist."""
    folders = [(SAMPLE, _SAMPLE, True), (data / "ukraine", _UKRAINE, True), (data / "ndvi", _MOUNTAINS, False)]
    for folder, pairs, exact in folders:
        if folder.is_dir():
            for name, first, second in pairs:
                yield DatePair(name, read_raster(_file(folder, first)), read_raster(_file(folder, second)), exact)


def _file(folder: Path, prefix: str) -> Path:
    (path,) = folder.glob(f"{prefix}*")
    return path
