"""What is known about a matched pair, for people (a short table) and for machines (JSON)."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from s2match import __version__
from s2match.evidence import FitFailure
from s2match.file_model import FileModel, FrameModel, file_model_of
from s2match.files import written_whole
from s2match.geometry import uncertainty_px
from s2match.georeference import (
    MAP_UNITS,
    GroundAxes,
    GroundErrors,
    common_corners,
    ground_axes,
    ground_errors,
    pixel_sides_m,
)
from s2match.images import Placed, Radiometry, Raster, georeferenced
from s2match.matches import Matches
from s2match.models import Registration
from s2match.refusal import Refusal, RefusedPair, explain
from s2match.residuals import Profile, profiles
from s2match.settings import Settings
from s2match.verdict import Displacement, Verdict, in_words, judge

# What the ends of names in the JSON mean; the longest that fits counts.
_UNITS = {
    "px": "pixels of the size matched at: width_px and height_px of each image",
    "file_px": "pixels of a file, (0, 0) its upper left corner, x to the right, y down",
    "native_px": "a length, in pixels of the file",
    "map": "coordinates (x, y) of the reference system that is named beside it",
    "m": "metres on the ground",
    "map_units": "units of a map whose reference system the files do not name",
}

# Pixels whose sides differ by more than this are worth telling.
_OBLONG = 0.02


@dataclass(frozen=True)
class PairResult:
    """A matched pair.

    Attributes:
        reference: The image whose points are ``matches.xy0``, at the size it was matched at.
        target: The image whose points are ``matches.xy1``.
        shown: Both as figures show them; smaller than they were matched where that was in windows.
        matches: All matches above the confidence.
        registration: The model, or None when there is not enough evidence for one.
        errors: Errors of all matches against the georeference; None when an image has none.
        settings: How it was done.
        failure: Why there is no registration; None with one.
    """

    reference: Placed
    target: Placed
    shown: tuple[Raster, Raster]
    matches: Matches
    registration: Registration | None
    errors: GroundErrors | None
    settings: Settings
    failure: FitFailure | None = None

    @cached_property
    def inlier_errors(self) -> GroundErrors | None:
        """Errors of the inliers alone; None without a registration or a georeference."""
        if self.errors is None or self.registration is None:
            return None
        return self.errors.of(self.registration.inliers)

    @cached_property
    def uncertainty_px(self) -> float | None:
        """Standard error of the model at the worst corner of the common ground; None without a registration."""
        if self.registration is None:
            return None
        return float(uncertainty_px(self.registration, self.matches, common_corners(self.reference, self.target)).max())

    @cached_property
    def file_model(self) -> FileModel | None:
        """The model in pixels of the two files and in map coordinates; None without a registration."""
        return None if self.registration is None else file_model_of(self.reference, self.target, self.registration)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the pair is registered already, needs the model, or cannot be told."""
        return judge(self.reference, self.target, self.matches, self.registration)

    @cached_property
    def refusal(self) -> Refusal | None:
        """Why there is no registration, in words, and what to try; None with one."""
        if self.failure is None:
            return None
        pair = RefusedPair(self.reference, self.target, self.shown, self.failure, self.matches.origin)
        return explain(pair)

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        found = f"{len(self.matches)} matches above {self.matches.origin.confidence:.2f}"
        if self.registration is None:
            return f"{found}, no registration"
        return f"{found}, {self.registration.inliers.sum()} inliers"


def assemble(
    reference: Placed,
    target: Placed,
    shown: tuple[Raster, Raster],
    matches: Matches,
    fitted: Registration | FitFailure,
    settings: Settings,
) -> PairResult:
    """Gather the parts of a result and measure its matches against the georeference."""
    errors = ground_errors(reference, target, matches.xy0, matches.xy1)
    registration, failure = (None, fitted) if isinstance(fitted, FitFailure) else (fitted, None)
    return PairResult(reference, target, shown, matches, registration, errors, settings, failure)


def summary(result: PairResult) -> str:
    """A short, aligned table of a result, without a final newline."""
    lines = [f"{name:<14}{value}" for name, value in summary_rows(result)]
    return "\n".join([*lines, *_error_lines(result)])


def summary_rows(result: PairResult) -> list[tuple[str, str]]:
    """What the summary says above the ground errors: names, empty where the one before goes on, and values."""
    settings, registration, origin = result.settings, result.registration, result.matches.origin
    rows = [
        ("verdict", in_words(result.verdict)),
        ("reference", _describe(result.reference, result.shown[0])),
        *(("", note) for note in result.reference.notes),
        ("target", _describe(result.target, result.shown[1])),
        *(("", note) for note in result.target.notes),
        *assumption_rows(result.shown),
        ("weights", f"{origin.weights} on {origin.device}" + (f" in {origin.precision}" if origin.precision else "")),
        ("matches", _count(result.matches)),
    ]
    if registration is None:
        rows += _refusal_rows(result.refusal)
    else:
        inliers = registration.inliers
        share = f"{inliers.sum()} inliers ({inliers.mean():.0%}) within {settings.ransac_threshold_px:g} px"
        residual = f"median residual {np.median(registration.residual_px[inliers]):.2f} px"
        rows.append(("registration", f"{registration.model}, {share}, {residual}"))
        if registration.held_out_px:
            tried = ", ".join(f"{model} {error:.2f}" for model, error in registration.held_out_px.items())
            rows.append(("held out", f"{tried} px of error on matches that the model was not fitted to"))
        off = result.uncertainty_px or 0.0
        rows.append(("uncertainty", f"{off:.2f} px at the worst corner of the common ground (standard error)"))
        if off > settings.ransac_threshold_px:
            rows.append(
                ("warning", "the inliers cover too little of the common ground: trust the model near them only")
            )
    return rows


def assumption_rows(shown: tuple[Raster, Raster]) -> list[tuple[str, str]]:
    """Rows of the summary about nodata values and offsets that the files do not declare."""
    rows = []
    for raster in shown:
        name, radiometry = raster.scene.path.name, raster.radiometry
        if radiometry is None:
            continue
        if radiometry.nodata_from == "detected":
            rows.append(
                (
                    "nodata",
                    f"{name} declares none: {radiometry.nodata:.9g} is taken for it (--nodata decides otherwise)",
                )
            )
        if radiometry.offset_from == "minimum" and radiometry.offset:
            said = f"{radiometry.offset:g} is taken to be reflectance 0, by its darkest pixels"
            rows.append(("offset", f"{name} does not tell it: {said} (--offset decides otherwise)"))
    return rows


def _refusal_rows(refusal: Refusal | None) -> list[tuple[str, str]]:
    if refusal is None:
        return [("registration", "none")]
    names = ["to try", *[""] * len(refusal.advice)]
    return [("registration", f"none: {refusal.cause}"), *zip(names, refusal.advice, strict=False)]


def _count(matches: Matches) -> str:
    found = f"{len(matches)} above {matches.origin.confidence:.2f}"
    correlated = matches.marks.sum()
    return f"{found}, {correlated} of them by the edges alone, where no match was left" if correlated else found


def facts(result: PairResult) -> dict[str, Any]:
    """The facts of the summary and the model itself, as JSON types. Equal inputs give equal facts."""
    settings, registration, origin = result.settings, result.registration, result.matches.origin
    verdict, refusal, model = result.verdict, result.refusal, result.file_model
    return {
        "s2match_version": __version__,
        "units": dict(_UNITS),
        "verdict": str(verdict.decision),
        "displacement": None if verdict.displacement is None else _displacement_facts(verdict.displacement),
        "reference": _image_facts(result.reference, result.shown[0]),
        "target": _image_facts(result.target, result.shown[1]),
        "weights": origin.weights,
        "device": origin.device,
        "precision": origin.precision,
        "confidence": origin.confidence,
        "geometry": settings.geometry,
        "ransac_threshold_px": settings.ransac_threshold_px,
        "seed": settings.seed,
        "matches": len(result.matches),
        "correlated_matches": int(result.matches.marks.sum()),
        "registered": registration is not None,
        "registration": None
        if registration is None
        else {
            "model": registration.model,
            "held_out_error_px": dict(registration.held_out_px),
            **({} if model is None else _model_facts(model)),
            "worst_corner_uncertainty_px": result.uncertainty_px,
            "inliers": int(registration.inliers.sum()),
            "inlier_share": float(registration.inliers.mean()),
            "median_inlier_residual_px": float(np.median(registration.residual_px[registration.inliers])),
            "residuals": {
                f"by_{name}": _profile_facts(profile)
                for name, profile in zip(
                    ("column", "row"), profiles(registration, result.matches, result.reference.size), strict=True
                )
            },
        },
        "registration_failure": None if refusal is None else asdict(refusal),
        **_native_pixel_facts(result.errors),
        "ground_axes": None if result.errors is None else axes_in_words(result.errors.axes),
        "ground_errors": {
            "all_matches": _error_facts(result.errors),
            "inliers": _error_facts(result.inlier_errors),
        },
    }


def write_json(result: PairResult, path: str | Path, more: Mapping[str, Any] | None = None) -> None:
    """Write the facts of a result to a file.

    Args:
        result: The result.
        path: The file.
        more: Facts that are told after them, as JSON types.

    Raises:
        OutputError: The file cannot be written.
    """
    with written_whole(path) as partial:
        told = _without_nan(facts(result) | dict(more or {}))
        partial.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """JSON types with None in place of NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _describe(raster: Placed, shown: Raster) -> str:
    width, height = raster.size
    pixel = ""
    if georeferenced(raster):
        across, down = pixel_sides_m(raster, raster.transform)
        oblong = abs(across / down - 1) > _OBLONG
        side = f"{across:.4g} x {down:.4g}" if oblong else f"{math.sqrt(across * down):.4g}"
        pixel = f" of {side} {ground_axes(raster).unit}"
    nodata = f", {shown.nodata_share:.0%} nodata" if shown.nodata_share else ""
    return f"{raster.scene.path.name}  ({width} x {height} px{pixel}{nodata}{_masked(shown)})"


def _masked(shown: Raster) -> str:
    """What share of an image is masked, and how much of it as thick cloud."""
    masking = shown.masking
    if not masking:
        return ""
    if masking.clouds and not masking.masks:
        return f", {shown.masked_share:.0%} masked as thick cloud"
    cloud = f" ({shown.cloud_share:.0%} as thick cloud)" if masking.clouds else ""
    return f", {shown.masked_share:.0%} masked{cloud}"


def _error_lines(result: PairResult) -> list[str]:
    if result.errors is None:
        return [f"ground errors unknown: {why_no_errors(result)}"]
    columns = [("all matches", result.errors), ("inliers", result.inlier_errors)]
    shown = [(title, errors) for title, errors in columns if errors is not None and len(errors.known.east_m)]
    if not shown:
        return [f"ground errors unknown: {why_no_errors(result)}"] if len(result.errors.east_m) else []
    metric, unit = result.errors.axes.in_metres, result.errors.axes.unit
    wide = 25 + len(unit)
    lines = [f"{'ground errors':<14}" + "".join(f"{title:>{wide}}" for title, _ in shown)]
    cells = [_error_facts(errors) or {} for _, errors in shown]
    for name, key in error_rows(metric):
        values = [(cell[f"{key}_{unit_key(unit)}"], cell[f"{key}_native_px"]) for cell in cells]
        lines.append(f"  {name:<12}" + "".join(f"{length:>z12.1f} {unit} {px:>z8.2f} px " for length, px in values))
    lines += [f"  {told}" for told in ground_notes(result.errors)]
    return lines


def why_no_errors(result: PairResult) -> str:
    """Why no match has an error on the ground, though there are matches."""
    if result.errors is not None:
        return "the matches lie where a reference system ends"
    if georeferenced(result.reference) and georeferenced(result.target):
        return "an image names no reference system"
    return "an image has no georeference"


def error_rows(metric: bool) -> list[tuple[str, str]]:
    """Names of the ground errors that are told, and how their facts begin."""
    x, y = ("east", "north") if metric else ("x", "y")
    return [(f"shift {x}", f"median_{x}"), (f"shift {y}", f"median_{y}"), ("RMSE", "rmse"), ("CE90", "ce90")]


def unit_key(unit: str) -> str:
    """A unit at the end of the name of a fact."""
    return unit.replace(" ", "_")


def ground_notes(errors: GroundErrors) -> list[str]:
    """What the numbers of ground errors mean, and how many points have none."""
    pixel = f"px: native pixels of {errors.native_pixel_m:.4g} {errors.axes.unit}"
    told = [f"({pixel}; shifts are medians, {axes_in_words(errors.axes)})"]
    nowhere = len(errors.east_m) - len(errors.known.east_m)
    if nowhere:
        told.append(f"({nowhere} of {len(errors.east_m)} matches lie where a reference system ends: they do not count)")
    return told


def axes_in_words(axes: GroundAxes) -> str:
    """What the directions of ground errors are: "east and north along the axes of EPSG:3067"."""
    if axes.in_metres:
        return f"east and north along the axes of {axes.title}"
    return f"x and y of {axes.title}, in units of it"


def _error_facts(errors: GroundErrors | None) -> dict[str, float] | None:
    if errors is None or not len(errors.known.east_m):
        return None
    (x, y), (across, along) = errors.median_m, ("east", "north") if errors.axes.in_metres else ("x", "y")
    lengths = {f"median_{across}": x, f"median_{along}": y, "rmse": errors.rmse_m, "ce90": errors.ce90_m}
    unit = unit_key(errors.axes.unit)
    return (
        {"matches": len(errors.known.east_m)}
        | {f"{name}_{unit}": value for name, value in lengths.items()}
        | {f"{name}_native_px": value / errors.native_pixel_m for name, value in lengths.items()}
    )


def _native_pixel_facts(errors: GroundErrors | None) -> dict[str, float | None]:
    """Facts about the size of a native pixel, in metres or in map units."""
    if errors is None or errors.axes.in_metres:
        return {"native_pixel_m": None if errors is None else errors.native_pixel_m}
    return {"native_pixel_m": None, f"native_pixel_{unit_key(errors.axes.unit)}": errors.native_pixel_m}


def _displacement_facts(found: Displacement) -> dict[str, float]:
    """Against the georeference in metres or map units, or without one against equal pixel positions."""
    unit, (across, along) = ("m", ("east", "north")) if found.on_ground else ("native_px", ("right", "down"))
    if found.unit == MAP_UNITS:
        unit, (across, along) = unit_key(MAP_UNITS), ("x", "y")
    return {
        f"mean_{across}_{unit}": found.shift[0],
        f"mean_{along}_{unit}": found.shift[1],
        f"rms_{unit}": found.rms,
        f"largest_{unit}": found.largest,
        f"noise_{unit}": found.noise,
    }


def _model_facts(model: FileModel) -> dict[str, Any]:
    """The model in pixels of the files and on the map; docs/json.md says how to apply it."""
    file_px, on_map = model.file_px, model.on_map
    return {
        "matrix_reference_file_px_to_target_file_px": None if file_px is None else file_px.matrix.tolist(),
        "field_reference_file_px_to_target_file_px": _field_facts(file_px),
        "matrix_reference_map_to_target_map": None if on_map is None else on_map.matrix.tolist(),
        "field_reference_map_to_target_map": _field_facts(on_map),
        "reference_map_crs": None if model.reference_crs is None else model.reference_crs.to_string(),
        "target_map_crs": None if model.target_crs is None else model.target_crs.to_string(),
    }


def _field_facts(model: FrameModel | None) -> dict[str, Any] | None:
    if model is None or model.control is None:
        return None
    control = model.control
    return {
        "origin": list(control.origin),
        "column_step": list(control.column_step),
        "row_step": list(control.row_step),
        "coefficients": control.coefficients.tolist(),
    }


def _profile_facts(profile: Profile) -> dict[str, Any]:
    values = {"mean": profile.mean, "standard_error": profile.error}
    return {"edges_px": profile.edges_px.tolist(), "inliers": profile.inliers.tolist()} | {
        f"{name}_d{axis}_px": [None if np.isnan(one) else float(one) for one in value[:, column]]
        for name, value in values.items()
        for column, axis in enumerate("xy")
    }


def _image_facts(raster: Placed, shown: Raster) -> dict[str, Any]:
    return {
        "file": raster.scene.path.name,
        "tile": raster.scene.tile,
        "sensed": None if raster.scene.sensed is None else raster.scene.sensed.isoformat(),
        "width_px": raster.size[0],
        "height_px": raster.size[1],
        "native_width_px": raster.native_size[0],
        "native_height_px": raster.native_size[1],
        "nodata_share": shown.nodata_share,
        **_radiometry_facts(shown.radiometry),
        "masked_share": shown.masked_share,
        "cloud_share": shown.cloud_share,
        "masks": [mask.path.name for mask in shown.masking.masks],
        "mask_clouds": shown.masking.clouds,
        "notes": list(raster.notes),
        "crs": None if raster.crs is None else raster.crs.to_string(),
        "transform": None if raster.transform is None else list(raster.transform)[:6],
    }


def _radiometry_facts(radiometry: Radiometry | None) -> dict[str, Any]:
    if radiometry is None:
        return dict.fromkeys(("nodata_value", "nodata_from", "values", "offset", "offset_from"))
    nodata = radiometry.nodata
    return {
        # JSON knows no "not a number"
        "nodata_value": str(nodata) if nodata is not None and not np.isfinite(nodata) else nodata,
        "nodata_from": radiometry.nodata_from,
        "values": radiometry.kind,
        "offset": radiometry.offset,
        "offset_from": radiometry.offset_from,
    }
