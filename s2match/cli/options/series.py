"""Options of a series."""

import argparse
from pathlib import Path

from s2match.cli.options.images import add_bands
from s2match.cli.options.outputs import add_apply_to, add_fail_above, add_overwrite, add_resampling
from s2match.timeseries.choices import Datum, PairMode


def add_series(parser: argparse.ArgumentParser) -> None:
    """Add the images and pairs of a series."""
    group = parser.add_argument_group("which images and pairs")
    group.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="folder of images or products, CSV of images (column path; also mask, date, tile, platform, "
        "relative_orbit), or CSV of pairs (columns reference and target)",
    )
    add_bands(group)
    group.add_argument("--pattern", metavar="GLOB", help="names of the images in the folder, such as 'NDVI_*.tif'")
    group.add_argument(
        "--pairs",
        choices=[str(mode) for mode in PairMode],
        default=str(PairMode.NETWORK),
        help="network (default): each image with its best partners; consecutive: each with the next; reference: each "
        "with the reference",
    )
    group.add_argument(
        "--partners",
        type=int,
        default=4,
        metavar="N",
        help="partners that each image of a network chooses (default: 4)",
    )
    group.add_argument(
        "--reference",
        type=int,
        metavar="INDEX",
        help="index of the reference image, from 0 (default: of the clearest images, the one whose pairs have most "
        "inliers; with --pairs reference: the one with the largest clear share)",
    )
    group.add_argument(
        "--datum",
        choices=[str(datum) for datum in Datum],
        default=str(Datum.MEAN),
        help="what the shifts are relative to: the mean of all images (default), the reference image, or the "
        "georeference, where the median of the shifts is 0",
    )


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Add where a series runs."""
    group = parser.add_argument_group("where to run")
    group.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes with one thread each (default: this process)"
    )
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="scheduler of a running Dask cluster, such as tcp://host:8786"
    )
    group.add_argument("--memory_gb", type=float, metavar="GB", help="most memory of each process")
    group.add_argument(
        "--restart", action="store_true", help="match all pairs again (default: go on with the pairs in DIR/pairs)"
    )


def add_series_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the files of a series."""
    group = parser.add_argument_group("files to write")
    group.add_argument(
        "--out",
        type=Path,
        default=Path("series"),
        metavar="DIR",
        help="folder of the results: dates.csv, pairs.csv, series.json, figures, index.html, and the finished pairs "
        "(default: series)",
    )
    group.add_argument("--parquet", action="store_true", help="write the tables as GeoParquet instead of CSV")
    group.add_argument("--stac", action="store_true", help="write a STAC item for each placed image, too")
    corrected = group.add_mutually_exclusive_group()
    corrected.add_argument(
        "--coregister",
        type=Path,
        metavar="DIR",
        help="write every placed image, corrected if it needs it, those of a tile on one grid",
    )
    corrected.add_argument(
        "--geolocation",
        type=Path,
        metavar="DIR",
        help="write every placed image with its own pixels, and with a corrected georeference if it needs it",
    )
    add_apply_to(group, "each with the image of its tile and sensing time")
    add_resampling(group)
    add_overwrite(group)
    add_fail_above(group, "the shift of an image exceeds it")
