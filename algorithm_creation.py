"""The algorithm on one page: read two images, prepare them, match them with LoFTR, fit a model, draw the result.

    settings = Settings(weights="sentinel2", confidence=0.8)
    reference = read_raster_image("a_TCI.jp2", image_size=(1098, 1098))
    target = read_raster_image("b_TCI.jp2", image_size=(1098, 1098))
    matches = match_loftr(reference, target, create_matcher(settings), settings)
    result = register(reference, target, matches, settings)
    draw_matches(result, "result.png")

Pixel positions are (x, y) in the GDAL frame: (0, 0) is the upper left corner of an image, (0.5, 0.5) the centre of its
first pixel, and ``raster.transform * (x, y)`` are map coordinates.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from s2match.core.mask import UNMASKED, Masking
from s2match.core.matches import GreyImage, Matches
from s2match.core.radiometry import AS_FILES_SAY, ReadOptions
from s2match.core.raster import Raster
from s2match.core.scene import Scene
from s2match.io.reader import read_raster
from s2match.matching.greyscale import prepare
from s2match.matching.matcher import Matcher
from s2match.matching.single_pass import match_rasters
from s2match.outputs.figures.matches import plot_matches
from s2match.outputs.figures.saving import save_figure
from s2match.pipeline import create_matcher, match_images, register
from s2match.result import PairResult
from s2match.settings import Settings

__all__ = [
    "Settings",
    "create_matcher",
    "draw_matches",
    "match_images",
    "match_loftr",
    "prepare_image",
    "read_raster_image",
    "register",
]


def read_raster_image(
    source: str | Path | Scene,
    image_size: tuple[int, int] | None = None,
    masking: Masking = UNMASKED,
    options: ReadOptions = AS_FILES_SAY,
) -> Raster:
    """Read a JP2 or GeoTIFF, decoding only the resolution asked for; ``image_size`` is (width, height).

    Masked pixels are read as nodata; :func:`s2match.io.masking.masking_of` makes masks from files. ``options`` are the
    nodata value and the offset if the file does not declare them: ``Settings(nodata=…, offset=…).read_options``.
    """
    return read_raster(source, image_size, masking, options)


def prepare_image(raster: Raster) -> GreyImage:
    """Turn an image into what the network sees: grey, stretched to [0, 1], nodata 0."""
    return prepare(raster)


def match_loftr(
    reference: Raster,
    target: Raster,
    matcher: Matcher[Any],
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Prepare and match two images; keep the matches above the confidence."""
    return match_rasters(matcher, reference, target, settings, progress)


def draw_matches(result: PairResult, path: str | Path | None = None, figure: Figure | None = None) -> Figure:
    """Draw the matches between the two images, and save the figure when a path is given."""
    figure = plot_matches(result, figure)
    if path is not None:
        save_figure(figure, path)
    return figure
