"""Every figure: images side by side, and the matches between them."""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from s2match.files import check_format, written_whole
from s2match.georeference import common_corners, outline, predict
from s2match.images import Placed, Raster
from s2match.residuals import Profile, profiles
from s2match.results import PairResult

NODATA_GREY = 225

# Blue to cyan is rare on the ground and stays apart from Okabe and Ito's vermilion for colour-blind readers.
_CONFIDENCE = LinearSegmentedColormap.from_list("confidence", ["#2a3fd0", "#00a5ff", "#3df5ff"])
_OUTLIER = "#D55E00"
# Okabe and Ito's blue and vermilion, with a marker each and a step aside in widths of a bin.
_AXES = (("dx, to the right", "#0072B2", "o", -0.1), ("dy, down", _OUTLIER, "s", 0.1))
_MAX_LINES = 60
# More dots than these hide each other and the ground.
_MAX_DOTS = 20_000
_DPI = 150


def plot_pair(reference: Raster, target: Raster, figure: Figure | None = None) -> Figure:
    """Show two images side by side.

    Args:
        reference: Shown on the left.
        target: Shown on the right.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    figure = figure or Figure(figsize=(13, 6.8), dpi=_DPI, layout="constrained")
    for axes, raster, role in zip(figure.subplots(1, 2), (reference, target), ("reference", "target"), strict=True):
        axes.imshow(_shown(raster), extent=(0, raster.size[0], raster.size[1], 0))
        axes.set_title(f"{raster.scene.title}  ({role})", fontsize=13, parse_math=False)
        axes.set_xlabel("x (px)")
        axes.set_ylabel("y (px)")
    return figure


def plot_matches(result: PairResult, figure: Figure | None = None) -> Figure:
    """Show the matches of a pair between its two images.

    Every match is a dot on both images, coloured by confidence; an evenly spread choice of them is joined by lines.
    Outliers of the registration, or all matches where there is none, are crosses and broken lines.

    Args:
        result: The matched pair.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    figure = figure or Figure(figsize=(13, 7.6), dpi=_DPI, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[30, 1])
    axes = figure.add_subplot(grid[0, :])
    reference, target = result.reference, result.target
    offset = np.array([reference.size[0] + 0.04 * max(reference.size[0], target.size[0]), 0.0])
    for raster, shown, left in ((reference, result.shown[0], 0.0), (target, result.shown[1], float(offset[0]))):
        axes.imshow(_shown(shown), extent=(left, left + raster.size[0], raster.size[1], 0))
        axes.add_patch(Rectangle((left, 0), *raster.size, fill=False, color="0.5", lw=0.8))
        middle = left + raster.size[0] / 2
        above = -0.008 * raster.size[1]
        axes.text(middle, above, raster.scene.title, ha="center", va="bottom", fontsize=13, parse_math=False)
    axes.set_xlim(0, offset[0] + target.size[0])
    axes.set_ylim(max(reference.size[1], target.size[1]), 0)
    axes.set_axis_off()
    figure.suptitle(_title(result), fontsize=14, parse_math=False)
    _draw_common_footprint(axes, reference, target, offset)
    _draw_matches(axes, result, offset)
    _draw_key(figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1]), result)
    return figure


def plot_errors(result: PairResult, figure: Figure | None = None) -> Figure:
    """Show how far the inliers lie apart on the ground: east against north, with the CE90 circle.

    Args:
        result: A registered pair of georeferenced images.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    errors = result.inlier_errors
    assert errors is not None, "errors in metres need a registration and two georeferenced images"
    figure = figure or Figure(figsize=(7.2, 6.6), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    reach = 1.25 * float(np.percentile(errors.distance_m, 98))
    (east, north), ce90 = errors.median_m, errors.ce90_m
    axes.axhline(0, color="0.8", lw=0.8)
    axes.axvline(0, color="0.8", lw=0.8)
    axes.scatter(errors.east_m, errors.north_m, s=5, color=_CONFIDENCE(0.2), alpha=0.5, lw=0, label="inliers")
    axes.add_patch(Circle((0, 0), ce90, fill=False, color=_OUTLIER, lw=1.6, label=f"CE90 {ce90:.0f} m"))
    axes.plot(east, north, "+", color="black", ms=14, mew=2, label=f"median {east:.1f} m east, {north:.1f} m north")
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_xlabel("shift of the target to the east (m)")
    axes.set_ylabel("shift of the target to the north (m)")
    axes.set_title(f"{result.reference.scene.title} → {result.target.scene.title}", fontsize=13, parse_math=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False)
    return figure


def plot_residuals(result: PairResult, figure: Figure | None = None) -> Figure:
    """Show what the model leaves over, by column and by row of the reference: means of the inliers in bins.

    Args:
        result: A registered pair.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    assert result.registration is not None, "residuals need a registration"
    figure = figure or Figure(figsize=(13, 6.0), dpi=_DPI, layout="constrained")
    both = profiles(result.registration, result.matches, result.reference.size)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, profile, name in zip(panels, both, ("column", "row"), strict=True):
        _draw_profile(axes, profile)
        axes.set_xlabel(f"{name} of the reference (px)", fontsize=14)
    panels[0].set_ylabel("mean residual of inliers (target px)", fontsize=14)
    panels[0].legend(frameon=False, fontsize=14, ncols=2, loc="best")
    title = f"{result.reference.scene.title} → {result.target.scene.title}  ·  {result.registration.model}"
    figure.suptitle(f"{title}  ·  error bars: 2 standard errors", fontsize=15, parse_math=False)
    return figure


def has_screen() -> bool:
    """Whether matplotlib finds a screen to open windows on."""
    import matplotlib.pyplot as plt

    try:
        figure = plt.figure()
    except ImportError:
        # the backend that the environment asks for cannot run here
        return False
    plt.close(figure)
    return getattr(figure.canvas, "required_interactive_framework", None) is not None


def screen_figure() -> Figure:
    """A new figure that :func:`show_screen` will show."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(13, 7.6), layout="constrained")


def show_screen() -> None:
    """Show all screen figures, until their windows are closed."""
    import matplotlib.pyplot as plt

    plt.show()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file in the format of its suffix.

    Raises:
        OutputError: The file cannot be written, or its suffix is no image format.
    """
    check_format(path)
    # images of the ground hold no repetitions worth looking for: a fifth of the time, for files as large
    options = {"compress_type": zlib.Z_RLE} if path.suffix.lower() == ".png" else {}
    with written_whole(path) as partial, _laid_out(figure):
        figure.savefig(partial, dpi=_DPI, pil_kwargs=options)


def as_jpeg(figure: Figure, width_px: int | None = None) -> bytes:
    """The figure as a JPEG file, small enough to keep in a notebook.

    Args:
        figure: The figure.
        width_px: Width of the JPEG; None keeps the figure's own.
    """
    dpi = "figure" if width_px is None else width_px / figure.get_figwidth()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=dpi, pil_kwargs={"quality": 80, "optimize": True})
    return buffer.getvalue()


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out, once: where it is to be done on saving, matplotlib draws everything twice."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def _shown(raster: Raster) -> NDArray[np.uint8]:
    """The image as a person wants to see it: stretched, nodata in light grey."""
    values = raster.image[raster.valid]
    low, middle, high = np.percentile(values, [0.5, 50, 99])
    # under cloud the ground, not the cloud, gets the range
    high = min(high, low + 2.6 * max(middle - low, 1.0))
    stretched = np.clip((np.arange(256) - low) / max(high - low, 1.0), 0, 1) ** 0.85
    shown: NDArray[np.uint8] = (stretched * 255).astype(np.uint8)[raster.image]
    shown[~raster.valid] = NODATA_GREY
    return shown


def _title(result: PairResult) -> str:
    parts = [result.headline]
    if result.registration is not None:
        parts.append(f"{result.registration.model}, {result.settings.ransac_threshold_px:g} px")
    errors = result.inlier_errors
    if errors is not None:
        parts.append(f"CE90 of inliers {errors.ce90_m:.0f} m")
    return f"{'  ·  '.join(parts)}  ·  {result.matches.origin.weights}"


def _inliers(result: PairResult) -> NDArray[np.bool_]:
    if result.registration is None:
        return np.zeros(len(result.matches), np.bool_)
    return result.registration.inliers


def _draw_matches(axes: Axes, result: PairResult, offset: NDArray[np.float64]) -> None:
    dots = _spread(len(result.matches), _MAX_DOTS)
    matches, inlier = result.matches.of(dots), _inliers(result)[dots]
    colours = _CONFIDENCE(_norm(result)(matches.confidence))
    colours[~inlier] = to_rgba(_OUTLIER)
    drawn = _spread(len(matches), _MAX_LINES)
    ends = np.stack([matches.xy0, matches.xy1 + offset], axis=1)
    area = float(np.clip(16_000 / max(len(matches), 1), 2.5, 28))
    for chosen, marker, style in ((~inlier, "x", (0, (4, 3))), (inlier, "o", "solid")):
        lines = chosen & drawn
        axes.add_collection(
            LineCollection(list(ends[lines]), linewidths=0.8, linestyles=[style], colors=colours[lines])
        )
        x, y = ends[chosen].reshape(-1, 2).T
        axes.scatter(
            x, y, area, c=np.repeat(colours[chosen], 2, axis=0), marker=marker, linewidths=0.7 if marker == "x" else 0
        )


def _draw_key(left: Axes, right: Axes, result: PairResult) -> None:
    """Colour bar of the confidence, and what the markers mean."""
    colour_bar = left.figure.colorbar(ScalarMappable(_norm(result), _CONFIDENCE), cax=left, orientation="horizontal")
    colour_bar.set_label("confidence of inliers")
    inlier = _inliers(result)
    right.set_axis_off()
    handles = [
        Line2D([], [], color=_CONFIDENCE(0.5), marker="o", label=f"inliers ({inlier.sum()})"),
        Line2D([], [], color=_OUTLIER, marker="x", ls="--", label=f"outliers ({(~inlier).sum()})"),
    ]
    if _footprints_differ(result.reference, result.target):
        handles.append(Line2D([], [], color="grey", ls=(0, (6, 4)), label="footprint of the other image"))
    right.legend(handles=handles, loc="center", ncols=3, frameon=False)


def _norm(result: PairResult) -> Normalize:
    return Normalize(min(result.matches.origin.confidence, 0.99), 1.0)


def _draw_profile(axes: Axes, profile: Profile) -> None:
    """Means and error bars of dx and dy, a little apart so that neither hides the other."""
    middle, width = (profile.edges_px[1:] + profile.edges_px[:-1]) / 2, np.diff(profile.edges_px).mean()
    axes.axhline(0, color="0.6", lw=1.0)
    for axis, (name, colour, marker, aside) in enumerate(_AXES):
        axes.errorbar(
            middle + aside * width,
            profile.mean_px[:, axis],
            2 * profile.error_px[:, axis],
            fmt=marker,
            ls="-",
            color=colour,
            lw=1.6,
            ms=8,
            capsize=4,
            label=name,
        )
    axes.set_xlim(profile.edges_px[0], profile.edges_px[-1])
    axes.tick_params(labelsize=12)


def _draw_common_footprint(axes: Axes, reference: Placed, target: Placed, offset: NDArray[np.float64]) -> None:
    """Outline on each image what the georeference says the other one shows."""
    if not _footprints_differ(reference, target):
        return
    for here, other, left in ((reference, target, 0 * offset), (target, reference, offset)):
        frame = Rectangle((left[0], 0), *here.size, transform=axes.transData)
        (line,) = axes.plot(*(predict(outline(other), other, here) + left).T, color="white", lw=1.4, ls=(0, (6, 4)))
        line.set_clip_path(frame)


def _footprints_differ(reference: Placed, target: Placed) -> bool:
    corners = common_corners(reference, target)
    return bool(np.abs(np.ptp(corners, axis=0) - reference.size).max() > 1)


def _spread(count: int, most: int) -> NDArray[np.bool_]:
    """Choose at most ``most`` of ``count`` matches, which come row by row, evenly; (count,) mask."""
    chosen = np.zeros(count, np.bool_)
    chosen[np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))] = True
    return chosen
