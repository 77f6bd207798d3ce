"""Contact sheet: thumbnails of the images of a dataset, each with its index."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.image_size import fit_size
from s2match.core.scene import Scene
from s2match.errors import NoValidPixelsError
from s2match.io.reader import image_size, read_raster
from s2match.outputs.figures.style import NODATA_GREY

THUMBNAIL_PX = 160
_WIDTH_PX = 900
_CAPTION_PX = 26
_DPI = 100


def read_thumbnails(scenes: Sequence[Scene], side: int = THUMBNAIL_PX) -> tuple[NDArray[np.uint8], ...]:
    """Read thumbnails of scenes, decoding only the pixels that they need.

    Args:
        scenes: The scenes.
        side: The longer side of a thumbnail in pixels.

    Returns:
        An H×W×3 image per scene, light grey at nodata.

    Raises:
        UnreadableImageError: A file is missing or damaged.
    """
    return tuple(_read_thumbnail(scene, side) for scene in scenes)


def contact_sheet(scenes: Sequence[Scene], thumbnails: Sequence[NDArray[np.uint8]]) -> Figure:
    """Draw thumbnails in rows, each below its index, tile and date.

    Args:
        scenes: The scenes; their order gives the index.
        thumbnails: An H×W×3 image per scene.

    Returns:
        A figure 900 px wide.
    """
    columns = _columns(len(scenes))
    rows = max(1, math.ceil(len(scenes) / columns))
    cell = _WIDTH_PX / columns
    height_px = rows * (cell + _CAPTION_PX)
    figure = Figure(figsize=(_WIDTH_PX / _DPI, height_px / _DPI), dpi=_DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)  # type: ignore[union-attr, call-arg]
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for each in axes:
        each.set_axis_off()
    for index, (scene, thumbnail) in enumerate(zip(scenes, thumbnails, strict=True)):
        axes[index].imshow(thumbnail, interpolation="antialiased")
        axes[index].set_title(_caption(index, scene), fontsize=7, pad=2)
    return figure


def _read_thumbnail(scene: Scene, side: int) -> NDArray[np.uint8]:
    width, height = fit_size(image_size(scene), side)
    try:
        raster = read_raster(scene, (width, height))
    except NoValidPixelsError:
        return np.full((height, width, 3), NODATA_GREY, np.uint8)
    return np.where(raster.valid[..., None], raster.image, np.uint8(NODATA_GREY))


def _columns(count: int) -> int:
    return 6 if count <= 24 else 8 if count <= 64 else 10


def _caption(index: int, scene: Scene) -> str:
    if scene.tile is None or scene.sensed is None:
        return f"{index} · {scene.path.stem[:14]}"
    return f"{index} · {scene.tile}\n{scene.date}"
