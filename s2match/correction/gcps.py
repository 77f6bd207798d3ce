"""The model as ground control points of the target, for those who warp with GDAL or QGIS."""

import shlex
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import outline
from s2match.core.grid import Grid
from s2match.core.image_path import gdal_name, without_credentials
from s2match.core.point_maps import grid_points
from s2match.core.projection import apply_transform, crs_text
from s2match.correction.pixel_map import to_target
from s2match.errors import CorrectionError, OutputError
from s2match.io.plain_geotiff import write_with_gcps
from s2match.registration.file_model import FileModel
from s2match.tiepoints.points import TiePoints
from s2match.tiepoints.qgis_points import write_qgis_points
from s2match.util.atomic_write import write_text

# Formats of ground control points, by suffix.
PIXELS, QGIS, COMMANDS = (".tif", ".tiff"), (".points",), (".sh", ".txt")

# Points along the longer side: for models that are affine in pixels of the files, and for others. The control points of
# a field are at least a tenth of the matches' extent apart.
_AFFINE_POINTS, _POINTS = 3, 25


def check_gcp_format(path: Path) -> None:
    """Refuse a file name whose suffix is not a format of ground control points.

    Raises:
        OutputError: It is not.
    """
    suffixes = (*PIXELS, *QGIS, *COMMANDS)
    if path.suffix.lower() not in suffixes:
        raise OutputError(
            f"Cannot write ground control points to {path}: its suffix must be one of {', '.join(suffixes)}."
        )


def require_map(reference: Grid) -> None:
    """Refuse a reference without map coordinates.

    Raises:
        CorrectionError: It has no georeference.
    """
    if not reference.georeferenced:
        raise CorrectionError("--gcps writes map coordinates of the reference, and it has no georeference.")


def write_gcps(model: FileModel, source: Grid, path: Path) -> None:
    """Write ground control points of the target in the format of the suffix.

    Args:
        model: The model of the pair; its reference passes :func:`require_map`.
        source: Every pixel of the target's file, or of one with its footprint.
        path: ``.tif``: the file's pixels with the points instead of its georeference. ``.points``: for QGIS'
            georeferencer. ``.sh`` or ``.txt``: commands of GDAL that warp the file onto the reference's pixels.

    Raises:
        OutputError: The file cannot be written.
        UnreadableImageError: The pixels cannot be read.
    """
    target_xy, reference_xy = control_points(model)
    source_xy = apply_transform(~to_target(source, model.target), target_xy)
    assert model.reference.transform is not None, "the reference has map coordinates"
    points = np.hstack([source_xy, apply_transform(model.reference.transform, reference_xy)])
    suffix = path.suffix.lower()
    if suffix in PIXELS:
        write_with_gcps(source.scene, points, model.reference.crs, path)
        return
    if suffix in QGIS:
        _write_points(model, source, source_xy, reference_xy, path)
    else:
        write_text(path, _commands(model, source, points))


def control_points(model: FileModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of a regular grid over the part of the target that shows the reference.

    Returns:
        (N, 2) pixels (x, y) of the target's file, and (N, 2) pixels of the reference's file.

    Raises:
        CorrectionError: By the model the images share no ground.
    """
    edge = model.apply(outline(model.reference))
    edge = edge[np.isfinite(edge).all(axis=1)]
    low, high = np.zeros(2), np.array(model.target.size, float)
    if len(edge):
        low, high = np.maximum(low, edge.min(axis=0)), np.minimum(high, edge.max(axis=0))
    if (high <= low).any():
        raise CorrectionError("--gcps has no points: by the model the images share no ground.")
    most = _AFFINE_POINTS if is_affine(model) else _POINTS
    counts = np.maximum(2, np.ceil((high - low) / (high - low).max() * most)).astype(int)
    target_xy = grid_points(*(np.linspace(*ends) for ends in zip(low, high, counts, strict=True)))
    reference_xy = model.invert(target_xy)
    inverted = np.isfinite(reference_xy).all(axis=1)
    return target_xy[inverted], reference_xy[inverted]


def is_affine(model: FileModel) -> bool:
    """Whether a model is an affine map from pixels of the reference's file to pixels of the target's."""
    file_px = model.file_px
    return file_px is not None and file_px.control is None and bool((file_px.matrix[2] == (0, 0, 1)).all())


def _write_points(
    model: FileModel, source: Grid, source_xy: NDArray[np.float64], reference_xy: NDArray[np.float64], path: Path
) -> None:
    count = len(source_xy)
    none = np.zeros((count, 2))
    points = TiePoints(
        model.reference,
        source,
        reference_xy,
        source_xy,
        np.ones(count),
        residual_xy_px=none,
        outlier=np.zeros(count, np.bool_),
    )
    write_qgis_points(points, path)


def _commands(model: FileModel, source: Grid, points: NDArray[np.float64]) -> str:
    """Commands of GDAL, as lines of a shell, that warp a file by ground control points."""
    reference, name, lines = model.reference, shlex.quote(source.scene.stem), []
    files = [shlex.quote(without_credentials(gdal_name(path))) for path in source.scene.files]
    image = files[0]
    if source.scene.is_stack:
        image = f"{name}_bands.vrt"
        lines.append(["gdalbuildvrt -separate", image, *files])
    crs = crs_text(reference.crs)
    system = [] if crs is None else [shlex.quote(crs)]
    transform, (width, height) = reference.transform, reference.size
    assert transform is not None
    translate = ["gdal_translate", "-of VRT", *(f"-a_srs {text}" for text in system)]
    translate += [f"-gcp {' '.join(f'{number:.10g}' for number in row)}" for row in points.tolist()]
    translate += [image, f"{name}_gcps.vrt"]
    warp = ["gdalwarp", "-order 1" if is_affine(model) else "-tps", "-et 0.01 -r cubic"]
    warp += [f"-t_srs {text}" for text in system]
    if transform.b == transform.d == 0 < transform.a and transform.e < 0:
        right, bottom = apply_transform(transform, np.array([[width, height]]))[0]
        warp.append(f"-te {transform.c:.12g} {bottom:.12g} {right:.12g} {transform.f:.12g} -ts {width} {height}")
    warp += [f"{name}_gcps.vrt", f"{name}_warped.tif"]
    return "".join(" \\\n    ".join(words) + "\n" for words in [*lines, translate, warp])
