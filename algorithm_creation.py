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

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from s2match.core.mask import UNMASKED, Masking
from s2match.core.matches import GreyImage, Matches
from s2match.core.radiometry import AS_FILES_SAY, ReadOptions
from s2match.core.raster import Raster
from s2match.core.scene import Scene
from s2match.dataset.catalog import open_dataset, pick_pair
from s2match.dataset.chosen_pair import chosen_pair
from s2match.io.reader import read_raster
from s2match.matching.greyscale import prepare
from s2match.matching.matcher import Matcher
from s2match.matching.single_pass import match_rasters
from s2match.outputs.figures.before_after import plot_checkerboard as draw_checkerboard
from s2match.outputs.figures.confidence_histogram import plot_confidence_histogram as draw_confidence
from s2match.outputs.figures.errors import compare_errors as draw_errors_of
from s2match.outputs.figures.errors import plot_errors as draw_errors
from s2match.outputs.figures.matches import plot_matches
from s2match.outputs.figures.matches import plot_pair as draw_images
from s2match.outputs.figures.network_input import plot_network_input as draw_network_input
from s2match.outputs.figures.saving import as_jpeg, save_figure
from s2match.outputs.series.shifts_figure import plot_series_shifts as draw_series
from s2match.pipeline import create_matcher, match_images, register
from s2match.result import PairResult
from s2match.settings import Settings
from s2match.util.progress import Stage, progress_bar

__all__ = [
    "Settings",
    "chosen_pair",
    "create_matcher",
    "draw_checkerboard",
    "draw_confidence",
    "draw_errors",
    "draw_errors_of",
    "draw_images",
    "draw_matches",
    "draw_network_input",
    "draw_series",
    "match_images",
    "match_loftr",
    "open_dataset",
    "pick_pair",
    "prepare_image",
    "read_raster_image",
    "register",
    "show",
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
    show_progress: bool = False,
) -> Matches:
    """Prepare and match two images; keep the matches above the confidence."""
    with progress_bar([Stage.MATCH], show_progress) as progress:
        progress.begin(Stage.MATCH)
        return match_rasters(matcher, reference, target, settings, progress.advance)


def draw_matches(result: PairResult, path: str | Path | None = None, figure: Figure | None = None) -> Figure:
    """Draw the matches between the two images, and save the figure when a path is given."""
    figure = plot_matches(result, figure)
    if path is not None:
        save_figure(figure, path)
    return figure


def show(figure: Figure, width_px: int = 1100) -> None:
    """Show a figure in a notebook, small enough to be kept in it."""
    # only notebooks have IPython
    from IPython.display import Image, display

    display(Image(as_jpeg(figure, width_px=width_px), format="jpeg"))  # type: ignore[no-untyped-call]
