"""A registration in the frames that its users know: pixels of the two files, and map coordinates."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.file_pixels import file_affine
from s2match.core.raster import HasGrid
from s2match.registration.bspline_field import Field
from s2match.registration.model import Registration, apply_matrix


@dataclass(frozen=True)
class ControlPoints:
    """What a field adds to its matrix: displacements at control points, between them a cubic B-spline surface.

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
        return Field(np.zeros((3, 3)), (0.0, 0.0), 1.0, self.coefficients, 0.0).apply(columns_rows)


@dataclass(frozen=True)
class FrameModel:
    """A registration from one frame of coordinates to another.

    Attributes:
        matrix: 3×3; ``matrix @ (x, y, 1)`` of a point of the reference is its point of the target, up to scale.
        control: What a field adds; None for the models that are a matrix.
    """

    matrix: NDArray[np.float64]
    control: ControlPoints | None = None

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry (N, 2) points (x, y) of the reference to points of the target."""
        moved = apply_matrix(self.matrix, xy)
        return moved if self.control is None else moved + self.control.displacement(xy)


@dataclass(frozen=True)
class FileModel:
    """A registration, whatever size it was matched at.

    Attributes:
        file_px: From pixels of the reference's file to pixels of the target's, GDAL frame. None where the target was
            matched on the reference's pixels because its file has another reference system: no matrix leads to pixels
            of such a file.
        on_map: From map coordinates of the reference to those where the target's georeference puts the same ground.
            None where an image has no georeference.
        reference_crs: Of the reference's map coordinates.
        target_crs: Of the target's map coordinates: that of its file, or of the reference where ``file_px`` is None.
    """

    file_px: FrameModel | None
    on_map: FrameModel | None
    reference_crs: CRS | None
    target_crs: CRS | None


def file_model_of(reference: HasGrid, target: HasGrid, registration: Registration) -> FileModel:
    """A registration in pixels of the files and in map coordinates; exact, but for rounding.

    Args:
        reference: The image whose pixels the model takes, at the size it was matched at.
        target: The image whose pixels it gives, likewise.
        registration: The model.
    """
    file_px, on_map = None, None
    of_reference, of_target = file_affine(reference), file_affine(target)
    if of_reference is not None and of_target is not None:
        file_px = _between(~of_reference, registration, of_target)
    known = reference.georeferenced and target.georeferenced
    if known:
        assert reference.transform is not None and target.transform is not None
        on_map = _between(~reference.transform, registration, target.transform)
    crs = (reference.crs, target.crs) if known else (None, None)
    return FileModel(file_px, on_map, *crs)


def _between(before: Affine, registration: Registration, after: Affine) -> FrameModel:
    """A registration with an affine map of the reference's points before it, and of the target's after it."""
    first, last = (np.array(tuple(affine)).reshape(3, 3) for affine in (before, after))
    matrix = last @ registration.matrix @ first
    field = registration.field
    if field is None:
        return FrameModel(matrix)
    back = ~before
    x, y = back @ field.origin_px
    control = ControlPoints(
        (float(x), float(y)),
        (back.a * field.spacing_px, back.d * field.spacing_px),
        (back.b * field.spacing_px, back.e * field.spacing_px),
        field.coefficients @ np.array([[after.a, after.d], [after.b, after.e]]),
    )
    return FrameModel(matrix, control)
