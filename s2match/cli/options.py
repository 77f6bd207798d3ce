"""Options of the command line: one function for each group, and one parser for each command."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from s2match.core.mask import MASKED_CLASSES
from s2match.settings import PRECISIONS, PRESETS, Settings
from s2match.timeseries.choices import Datum, PairMode
from s2match.version import __version__

PROGRAM, SERIES_PROGRAM = "s2match", "match_series.py"
_ABOUT = "Match two Sentinel-2 images with LoFTR and measure the matches in metres."


class _SizeAction(argparse.Action):
    """Store a (width, height), or None for ``native``."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        size = None
        if values != ["native"]:
            try:
                width, height = map(int, values)
            except ValueError:
                parser.error(f"argument {option}: give a width and a height in pixels, or native")
            size = (width, height)
        setattr(namespace, self.dest, size)


class _Formatter(argparse.HelpFormatter):
    """Help that shows both forms of ``--image_size``."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if isinstance(action, _SizeAction):
            return "(WIDTH HEIGHT | native)"
        return super()._format_args(action, default_metavar)


def build_parser(program: str = "model_inference.py") -> argparse.ArgumentParser:
    """Parser of the command without a sub-command: it has all options."""
    parser = argparse.ArgumentParser(prog=program, description=_ABOUT, formatter_class=_Formatter)
    pair = _add_pair(parser)
    pair.add_argument("--list", action="store_true", help="list the images of the dataset and exit")
    parser.add_argument(
        "--from_tie_points",
        type=Path,
        metavar="FILE",
        help="do not match: fit the model to the tie points of a file written by --tie_points, edited or not",
    )
    for add in (_add_masks, _add_numbers, _add_sizes, _add_matching, *_RESULT):
        add(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def command_parser(command: str, program: str = PROGRAM) -> argparse.ArgumentParser:
    """Parser of a sub-command, one of :data:`COMMANDS`."""
    about, groups = COMMANDS[command]
    parser = argparse.ArgumentParser(
        prog=program if program == SERIES_PROGRAM else f"{program} {command}",
        description=about,
        formatter_class=_Formatter,
    )
    for add in groups:
        add(parser)
    return parser


def overview(program: str = PROGRAM) -> str:
    """Help text that lists the sub-commands."""
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} COMMAND [options]",
        description=_ABOUT,
        epilog=f"'{program} COMMAND --help' lists the options of a command. Without a command, {program} takes the "
        "options of model_inference.py.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (about, _) in COMMANDS.items():
        commands.add_parser(name, help=about)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser.format_help()


def _add_dataset(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--dataset_path", type=Path, default=Path("./dataset"), help="folder of *_TCI.jp2 images")


def _add_pair(parser: argparse.ArgumentParser) -> "argparse._MutuallyExclusiveGroup":
    group = parser.add_argument_group("which images")
    _add_dataset(group)
    pair = group.add_mutually_exclusive_group()
    pair.add_argument(
        "--indexes_of_images",
        type=int,
        nargs=2,
        default=(15, 5),
        metavar=("REFERENCE", "TARGET"),
        help="positions of two images in the list sorted by name, counted from 0 (default: 15 5)",
    )
    pair.add_argument(
        "--images", type=Path, nargs=2, metavar=("REFERENCE", "TARGET"), help="two image files instead of indexes"
    )
    return pair


def _add_tie_point_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "from_tie_points", type=Path, metavar="TIE_POINTS", help="file written by --tie_points, edited or not"
    )
    parser.add_argument("reference", type=Path, metavar="REFERENCE", help="reference image of the tie points")
    parser.add_argument("target", type=Path, metavar="TARGET", help="image to correct")


def _add_list_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the list as JSON, too")


def _add_masks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where not to match")
    group.add_argument(
        "--mask",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="rasters (Scene Classification, or any raster whose non-zero pixels are masked) and polygons "
        "(GeoPackage, GeoJSON, Shapefile) of ground that is not matched in either image",
    )
    group.add_argument(
        "--mask_values",
        type=int,
        nargs="+",
        metavar="N",
        help=f"raster values that mask (default: {' '.join(map(str, MASKED_CLASSES))} of a Scene Classification, "
        "else all but 0)",
    )
    group.add_argument("--mask_clouds", action="store_true", help="mask thick cloud: saturated white in the images")


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pixel values")
    group.add_argument(
        "--nodata",
        type=float,
        metavar="VALUE",
        help="nodata value of both images, or nan for none (default: the value that the file declares, or else a "
        "fill value found in the image)",
    )
    group.add_argument(
        "--offset",
        type=float,
        metavar="VALUE",
        help="pixel value of reflectance 0 in 16-bit images, such as 1000 in ESA's products since processing "
        "baseline 04.00 (default: from the file's tags, the product's metadata, or the darkest pixels)",
    )


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("size to match at")
    group.add_argument(
        "--image_size",
        nargs="+",
        action=_SizeAction,
        default=Settings.image_size,
        help="largest width and height of the reference, in pixels; its aspect ratio is kept (default: 1098 1098, "
        "100 m per pixel on a full tile), or native: every pixel; the target gets the same ground pixel size; no image "
        "gets more pixels than its file has",
    )
    group.add_argument(
        "--enlarge", action="store_true", help="match at --image_size even where an image has fewer pixels"
    )
    group.add_argument(
        "--overlap_only",
        action="store_true",
        help="match only the common ground of both images; --image_size then applies to the common ground",
    )


def _add_matching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to match")
    group.add_argument(
        "--confidence",
        type=float,
        default=Settings.confidence,
        help="keep matches with a confidence above this, 0 to 1 (default: 0.8)",
    )
    group.add_argument(
        "--preset",
        choices=PRESETS,
        help="fast: native pixels, in small windows that cover a tenth of the ground; thorough: native pixels "
        "everywhere",
    )
    group.add_argument(
        "--search_radius_m",
        type=float,
        metavar="M",
        help="search radius in metres around the predicted position of a window. Images above 2048 px are matched in "
        "windows; a match at reduced size predicts their positions (default: from the uncertainty of the "
        "prediction)",
    )
    group.add_argument(
        "--coverage",
        type=float,
        default=Settings.coverage,
        metavar="SHARE",
        help="share of the common ground to match, in small windows spread evenly, for images above 2048 px "
        "(default: 1)",
    )
    group.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        default=Settings.refine,
        help="measure every match again by correlating the pixels around it, drop matches whose correlation does not "
        "increase, and add points by correlation where there are no matches (default); --no-refine: the points of the "
        "network",
    )
    group.add_argument(
        "--max_points",
        type=int,
        default=Settings.max_points,
        help="largest number of matches to keep, spread evenly (default: 100000)",
    )
    _add_network(group)


def _add_network(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model_pretrained",
        default=Settings.weights,
        metavar="NAME_OR_PATH",
        help="sentinel2 (bundled, default), outdoor, indoor, indoor_new (downloaded once), or a checkpoint file",
    )
    group.add_argument("--device", default=Settings.device, help="auto (default), cpu, cuda, cuda:N or mps")
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=Settings.precision,
        help="number format of the network: auto (default) is the fastest on the device; float32 gives the same "
        "matches on every device",
    )


def _add_fit(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to fit the model")
    group.add_argument(
        "--geometry",
        default=Settings.geometry,
        help="translation, similarity, affine, field (B-spline displacement field) or homography; auto (default) "
        "takes the simplest of the first four whose error on held-out matches is within two standard errors of "
        "the best",
    )
    group.add_argument(
        "--ransac_threshold",
        type=float,
        default=Settings.ransac_threshold_px,
        metavar="PX",
        help="largest residual of an inlier, in pixels of the matched size (default: 1.5)",
    )
    group.add_argument("--seed", type=int, default=Settings.seed, help="seed of the robust fit (default: 0)")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
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


def _add_correction(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("corrected files")
    group.add_argument(
        "--coregister",
        type=Path,
        metavar="OUT.tif",
        help="write the corrected target on the reference's pixels, as a Cloud Optimized GeoTIFF",
    )
    group.add_argument(
        "--apply_to",
        type=Path,
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


def _add_series(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which images and pairs")
    group.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="folder of images, CSV of images (column path; also mask, date, tile, platform, relative_orbit), or CSV "
        "of pairs (columns reference and target)",
    )
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
        help="index of the reference image, from 0 (default: the image with the largest clear share)",
    )
    group.add_argument(
        "--datum",
        choices=[str(datum) for datum in Datum],
        default=str(Datum.MEAN),
        help="what the shifts are relative to: the mean of all images (default), the reference image, or the "
        "georeference, where the median of the shifts is 0",
    )


def _add_execution(parser: argparse.ArgumentParser) -> None:
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


def _add_series_outputs(parser: argparse.ArgumentParser) -> None:
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
        "--coregister", type=Path, metavar="DIR", help="write every placed image corrected, those of a tile on one grid"
    )
    corrected.add_argument(
        "--geolocation",
        type=Path,
        metavar="DIR",
        help="write every placed image with its own pixels and a corrected georeference",
    )
    group.add_argument(
        "--apply_to",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="also correct these files (bands, masks), each with the image of its tile and sensing time",
    )
    group.add_argument("--resampling", metavar="KERNEL", help="nearest, bilinear, cubic (default) or lanczos")
    group.add_argument("--overwrite", action="store_true", help="replace corrected files that exist")


def _add_log(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-v", "--verbose", action="store_true", help="log the steps to standard error")
    group.add_argument("--debug", action="store_true", help="log every detail to standard error")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only: no summary, no progress bar")


_Groups = Sequence[Callable[[argparse.ArgumentParser], object]]
_RESULT: _Groups = (_add_fit, _add_outputs, _add_correction, _add_log)

# Sub-commands: help text and groups of options.
COMMANDS: dict[str, tuple[str, _Groups]] = {
    "match": (
        "match two images, fit a model, and write figure, JSON, tie points, report or corrected files",
        (_add_pair, _add_masks, _add_numbers, _add_sizes, _add_matching, *_RESULT),
    ),
    "apply": (
        "fit a model to a file of tie points, without matching, and correct files by it",
        (_add_tie_point_inputs, _add_numbers, _add_sizes, *_RESULT),
    ),
    "series": (
        "match the images of a series with each other, and place every date by all the others",
        (_add_series, _add_execution, _add_masks, _add_numbers, _add_sizes, _add_matching, _add_fit)
        + (_add_series_outputs, _add_log),
    ),
    "list": ("list the images of a folder with the indexes that pick them", (_add_dataset, _add_list_json, _add_log)),
}
