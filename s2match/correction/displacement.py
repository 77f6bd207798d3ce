"""The model as a field of displacements in metres, on a grid of the reference."""

import math
from pathlib import Path

import numpy as np
from affine import Affine

from s2match.core.georeference import comparable
from s2match.core.grid import Grid
from s2match.core.ground_axes import MAP_UNITS, ground_axes
from s2match.core.point_maps import grid_points
from s2match.core.projection import apply_transform, reproject, wrapped
from s2match.errors import CorrectionError
from s2match.io.plain_geotiff import Bands, write_bands
from s2match.registration.file_model import FileModel

# Longest side of the grid, pixels: the control points of a field are at least a tenth of the matches' extent apart.
_SIDE_PX = 512

_SIGN = "reference minus target: add it to map coordinates by the target's georeference to get those of the reference"


def require_georeferences(reference: Grid, target: Grid) -> None:
    """Refuse images whose displacement in metres is unknown.

    Raises:
        CorrectionError: An image has no georeference, or only one of them has a CRS.
    """
    if not comparable(reference, target):
        raise CorrectionError("--displacement is in metres on the ground, which needs two georeferenced images.")


def displacement_of(model: FileModel) -> Bands:
    """The displacement of the target by a model, in metres east and north.

    A pixel at the map position p of the reference has the value p - q. Here q is the position that the target's
    georeference gives the ground at p. So q + value = p: the value is the correction of the target, like the shifts of
    tie points. Both positions are in the CRS of :func:`s2match.core.ground_axes.ground_axes`.

    Args:
        model: The model of a pair that passes :func:`require_georeferences`.

    Returns:
        Two bands, east and north, or x and y in units of a map without a CRS. The grid has the extent of the reference,
        and pixels of as many whole pixels of its file as give at most 512 along the longer side. NaN where a CRS cannot
        express a position.
    """
    reference = model.reference
    assert reference.transform is not None and model.on_map is not None, "both images are georeferenced"
    step = max(1, math.ceil(max(reference.size) / _SIDE_PX))
    width, height = (math.ceil(side / step) for side in reference.size)
    transform = reference.transform @ Affine.scale(step)
    on_reference = apply_transform(transform, grid_points(np.arange(width) + 0.5, np.arange(height) + 0.5))
    on_target = model.on_map.apply(on_reference)
    axes = ground_axes(reference)
    if axes.crs is not None:
        on_reference = reproject(on_reference, reference.crs, axes.crs)
        on_target = wrapped(reproject(on_target, model.target_crs, axes.crs), axes.crs, on_reference[:, 0])
    values = (on_reference - on_target).T.reshape(2, height, width).astype(np.float32)
    names, unit = (("east", "north"), "m") if axes.unit != MAP_UNITS else (("x", "y"), MAP_UNITS)
    tags = {"model": model.name, "sign": _SIGN, "axes": axes.title}
    return Bands(values, transform, reference.crs, names, unit, tags)


def write_displacement(model: FileModel, path: Path) -> None:
    """Write the displacement of the target as a GeoTIFF of two bands, see :func:`displacement_of`.

    Raises:
        OutputError: The file cannot be written.
    """
    write_bands(displacement_of(model), path)
