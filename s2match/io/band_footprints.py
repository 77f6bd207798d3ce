"""Footprints of bands that are files: all must be that of the image."""

import numpy as np

from s2match.core.grid import Grid
from s2match.core.projection import apply_transform
from s2match.errors import UnreadableImageError
from s2match.io.open_file import opened
from s2match.io.placement import placement_of


def check_band_footprints(grid: Grid) -> None:
    """Check that the files of bands have the footprint of the image.

    Raises:
        UnreadableImageError: One of them is missing, or has another footprint.
    """
    for path in grid.scene.band_files if grid.scene.is_stack else ():
        with opened(path) as file:
            size, transform = (file.width, file.height), placement_of(file).transform
        if transform is None or grid.transform is None:
            same = transform is grid.transform and size[0] * grid.size[1] == size[1] * grid.size[0]
        else:
            corners = np.array([[0.0, 0.0], [1.0, 1.0]])
            off = apply_transform(~grid.transform @ transform, corners * size) - corners * grid.size
            same = bool(np.abs(off).max() < 1)
        if not same:
            raise UnreadableImageError(f"{path} does not have the footprint of {grid.scene.path.name}.")
