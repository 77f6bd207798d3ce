"""A registration in pixels of the two files, and in map coordinates."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.file_pixels import file_affine, whole_file
from s2match.core.georeference import predict, to_pixels
from s2match.core.grid import Grid
from s2match.core.point_maps import invert
from s2match.core.projection import apply_transform, reproject
from s2match.core.raster import HasGrid
from s2match.registration.bspline_field import Field, evaluate_spline
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

    def invert(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) points of the reference for points (N, 2), (x, y), of the target: the inverse of :meth:`apply`.

        For a field both frames must be in pixels, see :func:`s2match.core.point_maps.invert`.
        """
        start = apply_matrix(np.asarray(np.linalg.inv(self.matrix), np.float64), xy)
        return start if self.control is None else invert(self.apply, xy, start)

    def in_frames(self, before: Affine, after: Affine) -> "FrameModel":
        """The same registration in other frames.

        Args:
            before: From the new frame of the reference to the present one.
            after: From the present frame of the target to the new one.
        """
        first, last = (np.array(tuple(affine)).reshape(3, 3) for affine in (before, after))
        matrix, control = last @ self.matrix @ first, self.control
        if control is None:
            return FrameModel(matrix)
        inverse = ~before
        (x, y), (column_x, column_y), (row_x, row_y) = control.origin, control.column_step, control.row_step
        moved = ControlPoints(
            (inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f),
            (inverse.a * column_x + inverse.b * column_y, inverse.d * column_x + inverse.e * column_y),
            (inverse.a * row_x + inverse.b * row_y, inverse.d * row_x + inverse.e * row_y),
            control.coefficients @ np.array([[after.a, after.d], [after.b, after.e]]),
        )
        return FrameModel(matrix, moved)


@dataclass(frozen=True)
class FileModel:
    """A registration in pixels of the files and in map coordinates; it does not depend on the matched size.

    Attributes:
        name: One of :data:`s2match.registration.options.MODELS`.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.
        file_px: From pixels of the reference's file to pixels of the target's, GDAL frame. None if the target's file
            has another reference system and was matched on the reference's pixels: no single matrix to its pixels
            exists.
        on_map: From map coordinates of the reference to the map coordinates that the target's georeference gives the
            same ground point, in :attr:`target_crs`. None if an image has no georeference.
    """

    name: str
    reference: Grid
    target: Grid
    file_px: FrameModel | None
    on_map: FrameModel | None

    @property
    def reference_crs(self) -> CRS | None:
        """CRS of the reference's map coordinates; None if an image has no georeference."""
        return None if self.on_map is None else self.reference.crs

    @property
    def target_crs(self) -> CRS | None:
        """CRS of the target's map coordinates: that of its file, or of the reference if ``file_px`` is None."""
        if self.on_map is None:
            return None
        return self.reference.crs if self.file_px is None else self.target.crs

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map pixels of the reference's file to pixels of the target's file, GDAL frame.

        Args:
            xy: (N, 2) pixels (x, y).

        Returns:
            (N, 2) pixels (x, y); NaN where the CRS of the target cannot express the point.
        """
        if self.file_px is not None:
            return self.file_px.apply(xy)
        assert self.on_map is not None and self.reference.transform is not None, "images without a CRS share one"
        on_map = self.on_map.apply(apply_transform(self.reference.transform, xy))
        return to_pixels(self.target, reproject(on_map, self.target_crs, self.target.crs))

    def invert(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map pixels of the target's file to pixels of the reference's file: the inverse of :meth:`apply`.

        Args:
            xy: (N, 2) pixels (x, y).

        Returns:
            (N, 2) pixels (x, y); NaN where a CRS cannot express the point, or a field has no inverse.
        """
        if self.file_px is not None:
            return self.file_px.invert(xy)
        assert self.on_map is not None and self.reference.transform is not None, "images without a CRS share one"
        place = self.reference.transform
        # in pixels of the reference: the unit of the map may be the degree
        return self.on_map.in_frames(place, ~place).invert(predict(xy, self.target, self.reference))


def file_model_of(reference: HasGrid, target: HasGrid, registration: Registration) -> FileModel:
    """A registration in pixels of the files and in map coordinates; exact, but for rounding.

    Args:
        reference: Image whose pixels the model maps, at the matched size.
        target: Image that it maps them to, likewise.
        registration: The model.
    """
    matched = FrameModel(registration.matrix, _control_points(registration.field))
    file_px, on_map = None, None
    of_reference, of_target = file_affine(reference), file_affine(target)
    if of_reference is not None and of_target is not None:
        file_px = matched.in_frames(~of_reference, of_target)
    if reference.transform is not None and target.transform is not None:
        on_map = matched.in_frames(~reference.transform, target.transform)
    return FileModel(registration.model, whole_file(reference), whole_file(target), file_px, on_map)


def _control_points(field: Field | None) -> ControlPoints | None:
    """The spline of a field, in the pixels that the field maps; None without a field."""
    if field is None:
        return None
    spacing = field.spacing_px
    return ControlPoints(field.origin_px, (spacing, 0.0), (0.0, spacing), field.coefficients)
