"""Figure of what the network sees."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from s2match.core.matches import GreyImage
from s2match.outputs.figures.style import LABEL_PT, TICK_PT, label_axes, new_figure

# Colour of nodata, which no grey level has.
_NODATA = "#3b6ea5"


def plot_network_input(images: Mapping[str, GreyImage]) -> Figure:
    """Draw the grey images that the network sees side by side, with their nodata in blue.

    Args:
        images: The images by their titles.
    """
    figure = new_figure(6.8 * len(images), 7.4)
    panels = np.atleast_1d(figure.subplots(1, len(images)))
    for axes, (title, image) in zip(panels, images.items(), strict=True):
        height, width = image.grey.shape
        extent = (0, width, height, 0)
        shown = axes.imshow(image.grey, cmap="gray", vmin=0, vmax=1, extent=extent)
        nodata = np.ma.masked_array(np.ones_like(image.grey), image.valid)
        axes.imshow(nodata, cmap=ListedColormap([_NODATA]), extent=extent)
        axes.set_title(title, fontsize=LABEL_PT, pad=8, parse_math=False)
        label_axes(axes, "x (px)")
    label_axes(panels[0], "x (px)", "y (px)")
    bar = figure.colorbar(shown, ax=list(panels), location="bottom", shrink=0.5, aspect=40)
    bar.set_label("grey level", fontsize=LABEL_PT)
    bar.ax.tick_params(labelsize=TICK_PT)
    return figure
