"""Options that choose the images."""

import argparse
from pathlib import Path

from s2match.cli.options.outputs import add_overwrite


def add_dataset(parser: argparse._ActionsContainer) -> None:
    """Add the folder of images."""
    parser.add_argument(
        "--dataset_path",
        type=Path,
        default=Path("./dataset"),
        help="folder of *_TCI.jp2 images, or of products (default: ./dataset)",
    )


def add_pair(parser: argparse.ArgumentParser) -> "argparse._MutuallyExclusiveGroup":
    """Add the choice of two images, and return the group of options that exclude each other."""
    group = parser.add_argument_group("which images")
    add_dataset(group)
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
        "--images",
        nargs=2,
        metavar=("REFERENCE", "TARGET"),
        help="two images instead of indexes: files, products (SAFE folders, their zips, metadata or parts) or URLs",
    )
    pair.add_argument(
        "--pairs",
        nargs="+",
        metavar="SOURCE",
        help="many pairs: a CSV with the columns reference and target (also name, mask, apply_to); or targets and "
        "patterns such as 'dates/*_TCI.jp2', with --reference; needs --out DIR, and names of other outputs are names "
        "in the folder of each pair",
    )
    group.add_argument("--reference", metavar="FILE", help="reference image of the targets of --pairs")
    add_bands(group)
    return pair


def add_apply_inputs(parser: argparse.ArgumentParser) -> None:
    """Add a model or tie points, and files."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="MODEL",
        help="JSON that --json wrote, whose model corrects the files; or a file of tie points that --tie_points wrote, "
        "edited or not, to fit a model to (.gpkg, .geojson, .csv, .parquet, .points)",
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="with a JSON: files to correct by its model, rasters with the target's footprint, products, GeoPackages "
        "and GeoJSONs; with tie points: the reference and the target",
    )
    add_bands(parser)


def add_bands(parser: argparse._ActionsContainer) -> None:
    """Add the bands of the images."""
    parser.add_argument(
        "--bands",
        nargs="+",
        metavar="BAND",
        help="one or three bands to use: names of bands of a product, such as B08 or 4 3 2, or indexes of bands of a "
        "file (default: the true-colour image of a product; red, green and blue, or the first bands, of a file)",
    )


def add_list_json(parser: argparse.ArgumentParser) -> None:
    """Add the JSON of a list."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the list as JSON, too")
    add_overwrite(parser)
