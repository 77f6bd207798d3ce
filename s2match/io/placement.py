"""Georeference of a file: its geotransform, or an affine fit to its ground control points."""

from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS

from s2match.core.projection import apply_transform, wrapped

# Largest root mean square residual of a fit to ground control points that is used: shifts are measured against it.
_MAX_RESIDUAL_PX = 1.0


@dataclass(frozen=True)
class Placement:
    """Georeference of a file.

    Attributes:
        transform: Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference.
        crs: CRS of the map coordinates; None if the file has none that is related to the Earth.
        notes: Assumptions, for the user, a line each.
    """

    transform: Affine | None = None
    crs: CRS | None = None
    notes: tuple[str, ...] = ()


def placement_of(file: rasterio.DatasetReader) -> Placement:
    """Georeference of a file.

    Ground control points are used where there is no geotransform and an affine map fits them. A local CRS, such as that
    of a building site, is not related to the Earth and is ignored.

    Args:
        file: The file, open.
    """
    if file.transform != Affine.identity() and not file.transform.is_degenerate:
        crs = _on_earth(file.crs)
        note = (
            "its geotransform names no reference system" if file.crs is None else "its reference system is a local one"
        )
        return Placement(file.transform, crs, () if crs is not None else (note,))
    points, crs = file.gcps
    if points:
        return _by_control_points(points, _on_earth(crs))
    if file.rpcs is not None:
        return Placement(notes=("its rational polynomial coefficients are not used: orthorectify it first",))
    return Placement()


def _by_control_points(points: list[rasterio.control.GroundControlPoint], crs: CRS | None) -> Placement:
    """Georeference by an affine fit to ground control points; none if the fit is poor."""
    pixels = np.array([[point.col, point.row] for point in points], float)
    ground = wrapped(np.array([[point.x, point.y] for point in points], float), crs, points[0].x)
    centre, middle = pixels.mean(axis=0), ground.mean(axis=0)
    linear, _, rank, _ = np.linalg.lstsq(pixels - centre, ground - middle, rcond=None)
    count = f"{len(points)} ground control points"
    if rank < 2 or np.linalg.matrix_rank(linear) < 2:
        return Placement(notes=(f"its {count} are not used: they lie on one line",))
    (a, d), (b, e) = linear.tolist()
    transform = Affine(a, b, 0.0, d, e, 0.0)
    c, f = middle - apply_transform(transform, centre[None])[0]
    transform = Affine(a, b, float(c), d, e, float(f))
    residual_px = float(np.sqrt(((apply_transform(~transform, ground) - pixels) ** 2).sum(axis=1).mean()))
    if residual_px > _MAX_RESIDUAL_PX:
        reason = (
            f"an affine map is {residual_px:.3g} px off them, more than {_MAX_RESIDUAL_PX:g} px: orthorectify it first"
        )
        return Placement(notes=(f"its {count} are not used: {reason}",))
    note = f"georeference from {count}: affine fit, {residual_px:.2f} px off (RMS)"
    return Placement(transform, crs, (note,) if crs is not None else (note, "they name no reference system"))


def _on_earth(crs: CRS | None) -> CRS | None:
    """A CRS that is projected or geographic; None for others."""
    return crs if crs is not None and (crs.is_projected or crs.is_geographic) else None
