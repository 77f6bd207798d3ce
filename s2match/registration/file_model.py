"""A registration in pixels of the two files, and in map coordinates."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.file_pixels import file_affine
from s2match.core.raster import HasGrid
from s2match.registration.bspline_field import evaluate_spline
from s2match.registration.model import Registration, apply_matrix


@dataclass(frozen=True)
class ControlPoints:
    """B-spline part of a field, see :mod:`s2match.registration.bspline_field`: displacements at control points.

    Attributes:
        origin: (x, y) of the control point of row 0 and column 0, in the frame of the reference.
        column_step: (x, y) from a control point to the next one in its row, likewise.
        row_step: (x, y) from a control point to the next one in its column, likewise.
        coefficients: (rows, columns, 2) displacements (x, y), in the frame of the target.
    """

    origin: tuple[float, float]
    column_step: tuple[float, float]
    row_step: tuple[float, float]
    coefficients: NDArray[np.float64]

    def displacement(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) displacements at (N, 2) points (x, y) of the reference's frame."""
        steps = np.array([self.column_step, self.row_step])
        columns_rows = np.linalg.solve(steps.T, (xy - self.origin).T).T
        return evaluate_spline(self.coefficients, columns_rows)


@dataclass(frozen=True)
class FrameModel:
    """A registration from one frame of coordinates to another.

    Attributes:
        matrix: 3×3; ``matrix @ (x, y, 1)`` of a point of the reference is its point of the target, up to scale.
        control: B-spline part of a field; None for the other models.
    """

    matrix: NDArray[np.float64]
    control: ControlPoints | None = None

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) points of the target for points (N, 2), (x, y), of the reference."""
        mapped = apply_matrix(self.matrix, xy)
        return mapped if self.control is None else mapped + self.control.displacement(xy)


@dataclass(frozen=True)
class FileModel:
    """A registration in pixels of the files and in map coordinates; it does not depend on the matched size.

    Attributes:
        file_px: From pixels of the reference's file to pixels of the target's, GDAL frame. None if the target's file
            has another reference system and was matched on the reference's pixels: no single matrix to its pixels
            exists.
        on_map: From map coordinates of the reference to the map coordinates that the target's georeference gives the
            same ground point. None if an image has no georeference.
        reference_crs: CRS of the reference's map coordinates.
        target_crs: CRS of the target's map coordinates: that of its file, or of the reference if ``file_px`` is None.
    """

    file_px: FrameModel | None
    on_map: FrameModel | None
    reference_crs: CRS | None
    target_crs: CRS | None


def file_model_of(reference: HasGrid, target: HasGrid, registration: Registration) -> FileModel:
    """A registration in pixels of the files and in map coordinates; exact, but for rounding.

    Args:
        reference: Image whose pixels the model maps, at the matched size.
        target: Image that it maps them to, likewise.
        registration: The model.
    """
    file_px, on_map = None, None
    of_reference, of_target = file_affine(reference), file_affine(target)
    if of_reference is not None and of_target is not None:
        file_px = _between(~of_reference, registration, of_target)
    georeferenced = reference.georeferenced and target.georeferenced
    if georeferenced:
        assert reference.transform is not None and target.transform is not None
        on_map = _between(~reference.transform, registration, target.transform)
    crs = (reference.crs, target.crs) if georeferenced else (None, None)
    return FileModel(file_px, on_map, *crs)


def _between(before: Affine, registration: Registration, after: Affine) -> FrameModel:
    """The registration in other frames: ``before`` maps a reference point, then the registration, then ``after``."""
    first, last = (np.array(tuple(affine)).reshape(3, 3) for affine in (before, after))
    matrix = last @ registration.matrix @ first
    field = registration.field
    if field is None:
        return FrameModel(matrix)
    inverse = ~before
    x, y = inverse @ field.origin_px
    control = ControlPoints(
        (float(x), float(y)),
        (inverse.a * field.spacing_px, inverse.d * field.spacing_px),
        (inverse.b * field.spacing_px, inverse.e * field.spacing_px),
        field.coefficients @ np.array([[after.a, after.d], [after.b, after.e]]),
    )
    return FrameModel(matrix, control)
