"""Options of the files of a pair, and of messages."""

import argparse
from pathlib import Path

from s2match.cli.limits import limit

# The figure of a pair, unless --output or --out names another file.
FIGURE = Path("result.png")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the files of a result."""
    group = parser.add_argument_group("files to write")
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for all of them, by default names: result.png, result.json, tie_points.gpkg and report; other "
        "options override the names. With apply and a JSON: folder of the corrected files",
    )
    group.add_argument(
        "--output",
        type=Path,
        default=FIGURE,
        help="figure: .png, .jpg, .tif, .webp, .pdf or .svg (default: result.png, which is replaced)",
    )
    group.add_argument("--no-figure", dest="figure", action="store_false", help="write no figure")
    group.add_argument(
        "--blink",
        type=Path,
        metavar="FILE.gif",
        help="animation of the clearest place: the reference and the target in turn, before and after the model",
    )
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
    add_overwrite(group)
    add_fail_above(group, "the largest displacement of the common ground exceeds it, before any correction")
    group.add_argument(
        "--show",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show the figures on screen (default: if a display is available)",
    )


def add_model_files(parser: argparse.ArgumentParser) -> None:
    """Add files of the model for other programs."""
    group = parser.add_argument_group("files of the model")
    group.add_argument(
        "--displacement",
        type=Path,
        metavar="FILE.tif",
        help="write the correction of the target in metres east and north, at every place of the reference, as a "
        "GeoTIFF of two bands",
    )
    group.add_argument(
        "--gcps",
        type=Path,
        metavar="FILE",
        help="write ground control points of the target: its pixels with the points (.tif), for QGIS' georeferencer "
        "(.points), or as commands of GDAL (.sh, .txt)",
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
    add_apply_to(group, "which cover the same ground as the target")
    pixels = group.add_mutually_exclusive_group()
    add_resampling(pixels)
    pixels.add_argument(
        "--no_resample",
        action="store_true",
        help="keep the original pixels and move the georeference; only if the model is a translation",
    )
    group.add_argument(
        "--force",
        action="store_true",
        help="write the corrected files even if the verdict is not to register, or if the corrected image does not "
        "agree better with the reference (default: they are not written, and the exit code is 4)",
    )


def add_apply_to(group: argparse._ActionsContainer, which: str) -> None:
    """Add files that are corrected with an image.

    Args:
        group: The group of options.
        which: Clause that says which files.
    """
    group.add_argument(
        "--apply_to",
        nargs="+",
        default=[],
        metavar="FILE",
        help=f"also correct these files (other bands, other pixel sizes, masks), {which}, or product: the bands and "
        "masks of its own product; each is written beside the "
        "corrected image in its own pixel size, as NAME_coregistered.tif",
    )


def add_resampling(group: argparse._ActionsContainer) -> None:
    """Add the resampling kernel."""
    group.add_argument(
        "--resampling",
        metavar="KERNEL",
        help="nearest, bilinear, cubic (default) or lanczos; class values are always taken from the nearest pixel",
    )


def add_overwrite(group: argparse._ActionsContainer) -> None:
    """Add whether existing files are replaced."""
    group.add_argument("--overwrite", action="store_true", help="replace files that exist (default: refuse)")


def add_fail_above(group: argparse._ActionsContainer, when: str) -> None:
    """Add the largest displacement.

    Args:
        group: The group of options.
        when: Clause that says what must not exceed it.
    """
    group.add_argument(
        "--fail_above",
        type=limit,
        metavar="LENGTH",
        help=f"a length in metres or native pixels, such as 5m or 0.5px: the exit code is 5 if {when}; everything is "
        "written all the same",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add a file of options."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file of options, named as here, or the JSON of an earlier result to repeat it; the command line "
        "overrides the file",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add the options of messages."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-v", "--verbose", action="store_true", help="log the steps to standard error")
    group.add_argument("--debug", action="store_true", help="log every detail to standard error")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only: no summary, no progress bar")
