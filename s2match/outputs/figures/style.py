"""Style that the figures share: colours, font sizes, and the contrast stretch of images."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from s2match.core.raster import Raster
from s2match.result import PairResult

NODATA_GREY = 225
DPI = 150

# Font sizes in points, for slides.
TITLE_PT, LABEL_PT, TICK_PT = 17, 15, 13

# Colours of Okabe and Ito, "Color Universal Design" (2008), for colour-blind readers.
BLUE, VERMILION, GREEN, SKY, YELLOW = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#F0E442"
ORANGE, PURPLE = "#E69F00", "#CC79A7"

# Blue to cyan is rare on the ground and differs from vermilion.
CONFIDENCE = LinearSegmentedColormap.from_list("confidence", ["#2a3fd0", "#00a5ff", "#3df5ff"])

# From bright yellow, rare on the ground, to dark purple.
DISTANCE = LinearSegmentedColormap.from_list("distance", ["#fff34d", "#ff9a3d", "#d1307f", "#5b1a8b"])

# Colour of what the model does not explain.
OUTLIER = "#ff2d2d"

# Factor by which squares grow until few enough contain points.
_GROWTH = 1.05

# More dots hide each other and the ground.
MAX_DOTS = 20_000


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of a width and height in inches."""
    engine = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=(width_in, height_in), dpi=DPI, layout=engine)


def label_axes(axes: Axes, x: str, y: str | None = None) -> None:
    """Label the axes, in font sizes for a slide."""
    axes.set_xlabel(x, fontsize=LABEL_PT)
    if y is not None:
        axes.set_ylabel(y, fontsize=LABEL_PT)
    axes.tick_params(labelsize=TICK_PT)


def legend_above(axes: Axes) -> None:
    """Draw the legend of axes in one row above them, at the right, where it hides no data."""
    axes.legend(fontsize=TICK_PT, ncols=2, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)


def pair_title(result: PairResult) -> str:
    """Tile and date of the reference and of the target."""
    return f"{result.reference.scene.title} → {result.target.scene.title}"


def contrast_table(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(256,) table that stretches the contrast of grey levels (N,) or (N, 3), those of the valid pixels."""
    low, middle, high = np.percentile(values, [0.5, 50, 99])
    # cloud must not take the range of grey levels from the ground
    high = min(high, low + 2.6 * max(middle - low, 1.0))
    table = np.clip((np.arange(256) - low) / max(high - low, 1.0), 0, 1) ** 0.85
    return np.asarray(table * 255, np.uint8)


def apply_contrast(table: NDArray[np.uint8], image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """H×W×3 image with its contrast stretched by a table, light grey at nodata."""
    shown = table[image]
    shown[~valid] = NODATA_GREY
    return shown


def stretched(raster: Raster) -> NDArray[np.uint8]:
    """H×W×3 image with its contrast stretched, light grey at nodata."""
    return apply_contrast(contrast_table(raster.image[raster.valid]), raster.image, raster.valid)


def inliers_of(result: PairResult) -> NDArray[np.bool_]:
    """(N,) bool mask of the inliers; all False without a registration."""
    if result.registration is None:
        return np.zeros(len(result.matches), np.bool_)
    return result.registration.inliers


def spread(count: int, most: int) -> NDArray[np.bool_]:
    """(count,) bool mask that selects at most ``most`` matches, at evenly spaced indices."""
    chosen = np.zeros(count, np.bool_)
    chosen[np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))] = True
    return chosen


def nearest_to_centres(xy: NDArray[np.float64], side: float) -> NDArray[np.intp]:
    """Indexes of points (N, 2), in each square of a grid that contains some the one nearest to its centre.

    Args:
        xy: The points.
        side: Side of the squares.
    """
    cell = np.floor(xy / side)
    order = np.argsort(np.linalg.norm(xy - (cell + 0.5) * side, axis=1), kind="stable")
    return np.asarray(np.sort(order[np.unique(cell[order], axis=0, return_index=True)[1]]))


def spread_evenly(xy: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Indexes of at most ``most`` points (N, 2), spread evenly: see :func:`nearest_to_centres`."""
    if len(xy) <= most:
        return np.arange(len(xy))
    side = max(1e-6, math.sqrt(math.prod(np.ptp(xy, axis=0)) / most))
    while len(chosen := nearest_to_centres(xy, side)) > most:
        side *= _GROWTH
    return chosen


def rounded(value: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten."""
    if value <= 0:
        return 0.1
    power = 10.0 ** math.floor(math.log10(value))
    return min((step * power for step in (1, 2, 5, 10)), key=lambda number: abs(math.log(number / value)))
