"""A matched pair as a short table for people."""

import math

import numpy as np

from s2match.core.ground_axes import ground_axes, pixel_sides_m
from s2match.core.matches import Matches
from s2match.core.raster import HasGrid, Raster
from s2match.outputs.ground_text import ground_error_table, no_errors_reason
from s2match.registration.refusal import Refusal
from s2match.registration.verdict import in_words
from s2match.result import PairResult

# Pixels whose sides differ by more than this are worth telling.
_OBLONG = 0.02


def summary(result: PairResult) -> str:
    """A short, aligned table of a result, without a final newline."""
    lines = [f"{name:<14}{value}" for name, value in summary_rows(result)]
    return "\n".join([*lines, *_error_lines(result)])


def summary_rows(result: PairResult) -> list[tuple[str, str]]:
    """What the summary says above the ground errors: names, empty where the one before goes on, and values."""
    settings, registration, origin = result.settings, result.registration, result.matches.origin
    rows = [
        ("verdict", in_words(result.verdict)),
        ("reference", _describe(result.reference, result.previews[0])),
        *(("", note) for note in result.reference.notes),
        ("target", _describe(result.target, result.previews[1])),
        *(("", note) for note in result.target.notes),
        *assumption_rows(result.previews),
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


def _describe(raster: HasGrid, shown: Raster) -> str:
    width, height = raster.size
    pixel = ""
    if raster.georeferenced:
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
    errors = ground_error_table(result)
    if errors is None or result.errors is None:
        return [f"ground errors unknown: {no_errors_reason(result)}"]
    width = len(result.errors.axes.unit)
    lines = [f"{'ground errors':<14}" + "".join(f"{title:>{25 + width}}" for title in errors.columns)]
    for name, cells in errors.rows:
        lines.append(f"  {name:<12}" + "".join(f"{length:>{13 + width}} {pixels:>11} " for length, pixels in cells))
    return [*lines, *(f"  {note}" for note in errors.notes)]
