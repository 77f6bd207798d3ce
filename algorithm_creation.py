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

from matplotlib.figure import Figure

from s2match.catalog import Scene
from s2match.geometry import fit
from s2match.georeference import expected_linear
from s2match.images import UNMASKED, Grid, Masking, Placed, Raster
from s2match.loftr import LoftrMatcher, pick_device
from s2match.matches import GreyImage, Matches
from s2match.matching import match_rasters, prepare
from s2match.plotting import plot_matches, save_figure
from s2match.raster import read_raster
from s2match.results import PairResult, assemble
from s2match.settings import Settings
from s2match.weights import load_network
from s2match.windowed import match_grids

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
    source: str | Path | Scene, image_size: tuple[int, int] | None = None, masking: Masking = UNMASKED
) -> Raster:
    """Read a JP2 or GeoTIFF, decoding only the resolution asked for; ``image_size`` is (width, height).

    What is masked is read as if it had no data; :func:`s2match.masking.masking_of` makes masks of files.
    """
    return read_raster(source if isinstance(source, Scene) else Path(source), image_size, masking)


def prepare_image(raster: Raster) -> GreyImage:
    """Turn an image into what the network sees: grey, stretched to [0, 1], nodata 0."""
    return prepare(raster)


def create_matcher(settings: Settings) -> LoftrMatcher:
    """Load LoFTR weights and put them on a device, once for any number of pairs."""
    return LoftrMatcher(load_network(settings.weights), pick_device(settings.device))


def match_loftr(
    reference: Raster,
    target: Raster,
    matcher: LoftrMatcher,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Prepare and match two images; keep the matches above the confidence."""
    return match_rasters(matcher, reference, target, settings.confidence, progress, settings.finishing)


def match_images(
    reference: Grid,
    target: Grid,
    shown: tuple[Raster, Raster],
    matcher: LoftrMatcher,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Match two images of any size: in one pass where they are shown as they are, or else in windows."""
    if (reference.size, target.size) == (shown[0].size, shown[1].size):
        return match_loftr(*shown, matcher, settings, progress)
    return match_grids(
        matcher,
        reference,
        target,
        shown,
        settings.confidence,
        settings.search_radius_m,
        progress,
        settings.finishing,
        settings.coverage,
    )


def register(
    reference: Placed,
    target: Placed,
    matches: Matches,
    settings: Settings,
    shown: tuple[Raster, Raster] | None = None,
) -> PairResult:
    """Fit a model to the matches, and measure the matches in metres against the georeference.

    Figures show the two images themselves where they are rasters, or else what is given for them.
    """
    expected = expected_linear(reference, target)
    registration = fit(matches, settings.geometry, settings.ransac_threshold_px, settings.seed, expected)
    if shown is None:
        assert isinstance(reference, Raster) and isinstance(target, Raster), "grids have no pixels to show"
        shown = (reference, target)
    return assemble(reference, target, shown, matches, registration, settings)


def draw_matches(result: PairResult, path: str | Path | None = None, figure: Figure | None = None) -> Figure:
    """Draw the matches between the two images, and save the figure when a path is given."""
    figure = plot_matches(result, figure)
    if path is not None:
        save_figure(figure, Path(path))
    return figure
