"""Options of masks and pixel values."""

import argparse
from typing import Any

from s2match.core.mask import MASKED_CLASSES


class AreaAction(argparse.Action):
    """Store a box of four numbers, or the path of a file."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Parse the words of the option."""
        area = values[0]
        if len(values) > 1:
            try:
                west, south, east, north = map(float, values)
            except ValueError:
                parser.error(f"argument {option}: give west, south, east and north, or a file of polygons")
            area = (west, south, east, north)
        setattr(namespace, self.dest, area)


def add_area(parser: argparse.ArgumentParser) -> None:
    """Add the area of interest."""
    group = parser.add_argument_group("where to match")
    group.add_argument(
        "--aoi",
        nargs="+",
        action=AreaAction,
        help="match only the ground in a box in degrees, or in the polygons of a file (GeoPackage, GeoJSON, "
        "Shapefile); both images are cropped to it, and --image_size applies to the cropped images",
    )
    group.add_argument("--aoi_crs", metavar="CRS", help="reference system of the box, such as EPSG:32636")


def add_masks(parser: argparse.ArgumentParser) -> None:
    """Add masks."""
    group = parser.add_argument_group("where not to match")
    group.add_argument(
        "--mask",
        nargs="+",
        default=[],
        metavar="FILE",
        help="rasters (Scene Classification, or any raster whose non-zero pixels are masked) and polygons "
        "(GeoPackage, GeoJSON, Shapefile) of ground that is not matched in either image; auto: each image is "
        "masked by the Scene Classification or cloud mask of its own product",
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


def add_numbers(parser: argparse.ArgumentParser) -> None:
    """Add the interpretation of pixel values."""
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
