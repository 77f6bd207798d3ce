"""A result and its correction as JSON; docs/json.md explains the keys."""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from s2match.core.file_pixels import whole_file
from s2match.core.ground_axes import MAP_UNITS, GroundAxes
from s2match.core.ground_errors import GroundErrors
from s2match.core.projection import crs_text
from s2match.core.radiometry import Radiometry
from s2match.core.raster import HasGrid, Raster
from s2match.correction.decision import CorrectionOutcome
from s2match.correction.evaluation import Agreement
from s2match.correction.request import CorrectionRequest
from s2match.correction.saved_model import SCHEMA, SCHEMA_VERSION, file_facts, model_facts
from s2match.registration.model import Registration
from s2match.registration.residual_profiles import Profile, profiles
from s2match.registration.verdict import Displacement
from s2match.result import PairResult
from s2match.util.atomic_write import write_text
from s2match.version import __version__

_LOG = logging.getLogger(__name__)

# Meaning of the endings of the keys; the longest ending that fits applies.
_UNITS = {
    "px": "pixels of the size matched at: width_px and height_px of each image",
    "file_px": "pixels of a file, (0, 0) its upper left corner, x to the right, y down",
    "native_px": "a length, in pixels of the file",
    "map": "coordinates (x, y) of the reference system that is named beside it",
    "m": "metres on the ground",
    "map_units": "units of a map whose reference system the files do not name",
}


def facts(result: PairResult) -> dict[str, Any]:
    """The result as JSON types: images, settings, verdict, model, residuals and ground errors.

    Equal results give equal facts.

    Args:
        result: The matched pair.

    Returns:
        The content of the JSON by its keys; docs/json.md explains them.
    """
    settings, registration, origin = result.settings, result.registration, result.matches.origin
    verdict, refusal = result.verdict, result.refusal
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "s2match_version": __version__,
        "units": dict(_UNITS),
        "verdict": str(verdict.decision),
        "displacement": None if verdict.displacement is None else _displacement_facts(verdict.displacement),
        "reference": image_facts(result.reference, result.previews[0]),
        "target": image_facts(result.target, result.previews[1]),
        "weights": origin.weights,
        "device": origin.device,
        "precision": origin.precision,
        "confidence": origin.confidence,
        "geometry": settings.geometry,
        "ransac_threshold_px": settings.ransac_threshold_px,
        "seed": settings.seed,
        "matches": len(result.matches),
        "correlated_matches": int(result.matches.is_correlated.sum()),
        "model_accepted": registration is not None,
        "registration": None if registration is None else _registration_facts(result, registration),
        "registration_failure": None if refusal is None else asdict(refusal),
        **_native_pixel_facts(result.errors),
        "ground_axes": None if result.errors is None else axes_title(result.errors.axes),
        "ground_errors": {
            "all_matches": error_facts(result.errors),
            "inliers": error_facts(result.inlier_errors),
        },
    }


def write_json(result: PairResult, path: str | Path, more: Mapping[str, Any] | None = None) -> None:
    """Write a result to a JSON file.

    Args:
        result: The result.
        path: The file.
        more: Further keys and values as JSON types; they come last.

    Raises:
        OutputError: The file cannot be written.
    """
    write_json_content(facts(result) | dict(more or {}), path)


def write_json_content(content: Mapping[str, Any], path: str | Path) -> None:
    """Write JSON types to a file, with null in place of NaN and infinity.

    Raises:
        OutputError: The file cannot be written.
    """
    write_text(path, json.dumps(without_nan(content), indent=2, allow_nan=False) + "\n")
    _LOG.info("Wrote %s", path)


def correction_facts(request: CorrectionRequest, outcome: CorrectionOutcome) -> dict[str, Any]:
    """The correction as JSON types, under the key ``correction``; see docs/json.md."""
    decision, improvement = outcome.decision, outcome.improvement
    return {
        "correction": {
            "kept": decision.kept,
            "forced": decision.forced,
            "code": str(decision.code),
            "reason": decision.reason,
            "resampling": request.resampling,
            "files": [path.name for path in request.outputs] if decision.kept else [],
            "same_points": None if improvement is None else improvement.same_points,
            "better": None if improvement is None else improvement.better,
            "before": None if improvement is None else _agreement_facts(improvement.before, improvement.axes),
            "after": None if improvement is None else _agreement_facts(improvement.after, improvement.axes),
        }
    }


def error_facts(errors: GroundErrors | None) -> dict[str, float] | None:
    """Ground errors by the names of the JSON; None if there are none."""
    if errors is None or not len(errors.finite.east_m):
        return None
    (x, y), (across, along) = errors.median_m, axis_names(errors.axes)
    lengths = {f"median_{across}": x, f"median_{along}": y, "rmse": errors.rmse_m, "ce90": errors.ce90_m}
    unit = unit_key(errors.axes.unit)
    return (
        {"matches": len(errors.finite.east_m)}
        | {f"{name}_{unit}": value for name, value in lengths.items()}
        | {f"{name}_native_px": value / errors.native_pixel_m for name, value in lengths.items()}
    )


def axes_title(axes: GroundAxes) -> str:
    """The axes of the ground errors: "east and north along the axes of EPSG:3067"."""
    if axes.in_metres:
        return f"east and north along the axes of {axes.title}"
    return f"x and y of {axes.title}, in units of it"


def unit_key(unit: str) -> str:
    """The suffix of a JSON key that names a unit: ``map_units`` for ``map units``."""
    return unit.replace(" ", "_")


def axis_names(axes: GroundAxes) -> tuple[str, str]:
    """Names of the axes of the ground errors: east and north, or x and y in map units."""
    return ("east", "north") if axes.in_metres else ("x", "y")


def _agreement_facts(agreement: Agreement, axes: GroundAxes) -> dict[str, float | None]:
    (across, along), unit = axis_names(axes), unit_key(axes.unit)
    names = {
        "east_m": f"{across}_{unit}",
        "north_m": f"{along}_{unit}",
        "rmse_m": f"rmse_{unit}",
        "ce90_m": f"ce90_{unit}",
    }
    values = {names.get(name, name): value for name, value in asdict(agreement).items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _registration_facts(result: PairResult, registration: Registration) -> dict[str, Any]:
    model = result.file_model
    by_column, by_row = profiles(registration, result.matches, np.array([(0, 0), result.reference.size], float))
    return {
        "model": registration.model,
        "held_out_error_px": dict(registration.held_out_px),
        **({} if model is None else model_facts(model)),
        "worst_corner_uncertainty_px": result.uncertainty_px,
        "inliers": int(registration.inliers.sum()),
        "inlier_share": float(registration.inliers.mean()),
        "median_inlier_residual_px": float(np.median(registration.residual_px[registration.inliers])),
        "residuals": {"by_column": _profile_facts(by_column), "by_row": _profile_facts(by_row)},
    }


def without_nan(value: Any) -> Any:
    """JSON types with None in place of NaN and infinity, which JSON lacks."""
    if isinstance(value, Mapping):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _native_pixel_facts(errors: GroundErrors | None) -> dict[str, float | None]:
    """Side of a native pixel of the reference, in metres or in map units."""
    if errors is None or errors.axes.in_metres:
        return {"native_pixel_m": None if errors is None else errors.native_pixel_m}
    return {"native_pixel_m": None, f"native_pixel_{unit_key(errors.axes.unit)}": errors.native_pixel_m}


def _displacement_facts(displacement: Displacement) -> dict[str, float]:
    """Displacement against the georeference in metres or map units; without one against the same pixel."""
    unit, (across, along) = ("m", ("east", "north")) if displacement.on_ground else ("native_px", ("right", "down"))
    if displacement.unit == MAP_UNITS:
        unit, (across, along) = unit_key(MAP_UNITS), ("x", "y")
    return {
        f"mean_{across}_{unit}": displacement.shift[0],
        f"mean_{along}_{unit}": displacement.shift[1],
        f"mean_shift_95_{unit}": displacement.shift_error,
        f"rms_{unit}": displacement.rms,
        f"largest_{unit}": displacement.largest,
        f"noise_{unit}": displacement.noise,
    }


def _profile_facts(profile: Profile) -> dict[str, Any]:
    values = {"mean": profile.mean, "standard_error": profile.error}
    return {"edges_px": profile.edges_px.tolist(), "inliers": profile.inliers.tolist()} | {
        f"{name}_d{axis}_px": [None if np.isnan(number) else float(number) for number in value[:, column]]
        for name, value in values.items()
        for column, axis in enumerate("xy")
    }


def image_facts(raster: HasGrid, preview: Raster) -> dict[str, Any]:
    """An image as JSON types: its file, sizes, radiometry, masks and georeference."""
    return {
        "file": raster.scene.path.name,
        "tile": raster.scene.tile,
        "sensed": None if raster.scene.sensed is None else raster.scene.sensed.isoformat(),
        "bands": list(bands_used(raster, preview)),
        "width_px": raster.size[0],
        "height_px": raster.size[1],
        "native_width_px": raster.native_size[0],
        "native_height_px": raster.native_size[1],
        "nodata_share": preview.nodata_share,
        **_radiometry_facts(preview.radiometry),
        "masked_share": preview.masked_share,
        "cloud_share": preview.cloud_share,
        "masks": [mask.path.name for mask in preview.masking.masks],
        "mask_clouds": preview.masking.clouds,
        "notes": list(raster.notes),
        "crs": crs_text(raster.crs),
        "transform": None if raster.transform is None else list(raster.transform)[:6],
        "whole_file": file_facts(whole_file(raster)),
    }


def bands_used(raster: HasGrid, preview: Raster) -> tuple[str, ...]:
    """Names of the bands that an image was matched by: those of a product, or indexes in its file."""
    indexes = () if preview.radiometry is None else preview.radiometry.bands
    return raster.scene.bands or tuple(map(str, indexes))


def _radiometry_facts(radiometry: Radiometry | None) -> dict[str, Any]:
    if radiometry is None:
        return dict.fromkeys(("nodata_value", "nodata_from", "values", "offset", "offset_from"))
    nodata = radiometry.nodata
    return {
        # JSON has no NaN and no infinity
        "nodata_value": str(nodata) if nodata is not None and not np.isfinite(nodata) else nodata,
        "nodata_from": None if radiometry.nodata_from is None else str(radiometry.nodata_from),
        "values": radiometry.kind,
        "offset": radiometry.offset,
        "offset_from": radiometry.offset_from,
    }
