"""Options of the files of a pair, and of messages."""

import argparse
from pathlib import Path


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the files of a result."""
    group = parser.add_argument_group("files to write")
    group.add_argument("--output", type=Path, default=Path("result.png"), help="figure (default: result.png)")
    group.add_argument("--json", type=Path, metavar="FILE", help="write the result, or the list, as JSON, too")
    group.add_argument(
        "--tie_points",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="write the matches as tie points, in file pixels and map coordinates: .gpkg, .geojson, .csv, .parquet, "
        "or .points for QGIS' georeferencer",
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a report to a folder: index.html, one page that needs no network, and its figures",
    )
    group.add_argument(
        "--show",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show the figures on screen (default: if a display is available)",
    )


def add_correction(parser: argparse.ArgumentParser) -> None:
    """Add corrected files."""
    group = parser.add_argument_group("corrected files")
    group.add_argument(
        "--coregister",
        type=Path,
        metavar="OUT.tif",
        help="write the corrected target on the reference's pixels, as a Cloud Optimized GeoTIFF",
    )
    group.add_argument(
        "--apply_to",
        nargs="+",
        default=[],
        metavar="FILE",
        help="also correct these files, which cover the same ground as the target: other bands, other pixel sizes, "
        "masks; each is written beside OUT.tif in its own pixel size, as NAME_coregistered.tif",
    )
    pixels = group.add_mutually_exclusive_group()
    pixels.add_argument(
        "--resampling",
        metavar="KERNEL",
        help="nearest, bilinear, cubic (default) or lanczos; class values are always taken from the nearest pixel",
    )
    pixels.add_argument(
        "--no_resample",
        action="store_true",
        help="keep the original pixels and move the georeference; only if the model is a translation",
    )
    group.add_argument("--overwrite", action="store_true", help="replace corrected files that exist")
    group.add_argument(
        "--force",
        action="store_true",
        help="write the corrected files even if the verdict is not to register, or if the corrected image does not "
        "agree better with the reference (default: they are not written, and the exit code is 4)",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add the options of messages."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-v", "--verbose", action="store_true", help="log the steps to standard error")
    group.add_argument("--debug", action="store_true", help="log every detail to standard error")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only: no summary, no progress bar")
