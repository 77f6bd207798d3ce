"""Options of the size, of matching, and of the model."""

import argparse
from typing import Any

from s2match.settings import PRECISIONS, PRESETS, Settings


class SizeAction(argparse.Action):
    """Store a (width, height), or None for ``native``."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Parse the words of the option."""
        size = None
        if values != ["native"]:
            try:
                width, height = map(int, values)
            except ValueError:
                parser.error(f"argument {option}: give a width and a height in pixels, or native")
            size = (width, height)
        setattr(namespace, self.dest, size)


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the size to match at."""
    group = parser.add_argument_group("size to match at")
    group.add_argument(
        "--image_size",
        nargs="+",
        action=SizeAction,
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


def add_matching(parser: argparse.ArgumentParser) -> None:
    """Add the options of matching."""
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


def add_fit(parser: argparse.ArgumentParser) -> None:
    """Add the options of the model."""
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
