"""Georeference of a file: its geotransform, or an affine fit to its ground control points."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from s2match.core.projection import FARTHEST, apply_transform, crs_text, full_turn, wrapped
from s2match.io.image_file import ImageFile

# Largest root mean square residual of a fit to ground control points that is used: shifts are measured against it.
_MAX_RESIDUAL_PX = 1.0

# Least sine of the angle between the axes of pixels.
_LEAST_SINE = 1e-3


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


def placement_of(file: ImageFile) -> Placement:
    """Georeference of a file.

    Ground control points are used where there is no geotransform and an affine map fits them. A local CRS, such as that
    of a building site, is not related to the Earth and is ignored.

    Args:
        file: The file, open.
    """
    notes: tuple[str, ...] = ()
    if file.transform != Affine.identity():
        if is_usable(file.transform, (file.width, file.height)):
            return _by_transform(file, file.transform)
        notes = ("its geotransform is not used: it places no pixel on a map",)
    points, crs = file.gcps
    if points:
        return _by_control_points(file, points, _on_earth(file, crs))
    if file.rpcs is not None:
        return Placement(notes=("its rational polynomial coefficients are not used: orthorectify it first",))
    return Placement(notes=notes)


def is_usable(transform: Affine, size: tuple[int, int]) -> bool:
    """Whether a transform places the pixels of an image on a map, and has an inverse.

    Args:
        transform: Pixel (x, y) to map coordinates.
        size: Width and height of the image.
    """
    # NaN compares with nothing
    if not (np.abs(tuple(transform)[:6]) <= FARTHEST).all():
        return False
    across, down = np.hypot(transform.a, transform.d), np.hypot(transform.b, transform.e)
    corners = apply_transform(transform, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * size)
    farthest = np.abs(corners).max()
    # the next number is less than a thousandth of a pixel away, so that positions are not rounded
    if farthest > FARTHEST or min(across, down) <= 1e3 * np.spacing(farthest):
        return False
    return bool(abs(transform.determinant) > _LEAST_SINE * across * down)


def _by_transform(file: ImageFile, transform: Affine) -> Placement:
    """Georeference by a geotransform, without its reference system where the coordinates are not in that."""
    crs = _on_earth(file, file.crs)
    if crs is None:
        missing = file.crs is None
        note = "its geotransform names no reference system" if missing else "its reference system is a local one"
        return Placement(transform, None, (note,))
    if not _are_degrees(transform, (file.width, file.height), crs):
        return Placement(transform, None, (_no_degrees_note(crs),))
    return Placement(transform, crs)


def _no_degrees_note(crs: CRS) -> str:
    return f"its coordinates are no degrees, as those of {crs_text(crs)} are: its reference system is not used"


def _are_degrees(transform: Affine, size: tuple[int, int], crs: CRS) -> bool:
    """Whether map coordinates are longitudes and latitudes, if the CRS says so; True of a projected CRS.

    Grids may reach beyond a pole, and have longitudes of any turn, but some of them must be on Earth.
    """
    turn = full_turn(crs)
    if turn is None:
        return True
    (x0, y0), (x1, y1) = apply_transform(transform, np.array([[0.0, 0.0], [1.0, 1.0]]) * size)
    return bool(max(min(x0, x1), -max(x0, x1)) <= 2 * turn and max(min(y0, y1), -max(y0, y1)) <= turn / 4)


def _by_control_points(file: ImageFile, points: list[GroundControlPoint], crs: CRS | None) -> Placement:
    """Georeference by an affine fit to ground control points; none if the fit is poor."""
    pixels = np.array([[point.col, point.row] for point in points], float)
    ground = np.array([[point.x, point.y] for point in points], float)
    count = f"{len(points)} ground control points"
    # NaN compares with nothing
    if not (np.abs([pixels, ground]) <= FARTHEST).all():
        return Placement(notes=(f"its {count} are not used: they are on no map",))
    ground = wrapped(ground, crs, points[0].x)
    centre, middle = pixels.mean(axis=0), ground.mean(axis=0)
    linear, _, rank, _ = np.linalg.lstsq(pixels - centre, ground - middle, rcond=None)
    if rank < 2 or np.linalg.matrix_rank(linear) < 2:
        return Placement(notes=(f"its {count} are not used: they lie on one line",))
    (a, d), (b, e) = linear.tolist()
    transform = Affine(a, b, 0.0, d, e, 0.0)
    c, f = middle - apply_transform(transform, centre[None])[0]
    transform = Affine(a, b, float(c), d, e, float(f))
    if not is_usable(transform, (file.width, file.height)):
        return Placement(notes=(f"its {count} are not used: they place no pixel on a map",))
    residual_px = float(np.sqrt(((apply_transform(~transform, ground) - pixels) ** 2).sum(axis=1).mean()))
    if residual_px > _MAX_RESIDUAL_PX:
        reason = (
            f"an affine map is {residual_px:.3g} px off them, more than {_MAX_RESIDUAL_PX:g} px: orthorectify it first"
        )
        return Placement(notes=(f"its {count} are not used: {reason}",))
    note = f"georeference from {count}: affine fit, {residual_px:.2f} px off (RMS)"
    if crs is None:
        return Placement(transform, None, (note, "they name no reference system"))
    if not _are_degrees(transform, (file.width, file.height), crs):
        return Placement(transform, None, (note, _no_degrees_note(crs)))
    return Placement(transform, crs, (note,))


def _on_earth(file: ImageFile, crs: CRS | None) -> CRS | None:
    """A CRS of a file that is projected or geographic; None for others."""
    with file.border():
        if crs is None or not (crs.is_projected or crs.is_geographic):
            return None
        # raises an error for a system that cannot be written
        crs.to_wkt(version="WKT2_2019")
        if not 0 < crs.units_factor[1] < np.inf:
            raise ValueError("the unit of its reference system is unknown")
    return crs
