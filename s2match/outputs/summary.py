"""Summary of a result as a short table of text."""

import math

import numpy as np

from s2match.core.ground_axes import ground_axes, pixel_sides_m
from s2match.core.matches import Matches, Provenance
from s2match.core.radiometry import NodataSource
from s2match.core.raster import HasGrid, Raster
from s2match.outputs.coverage import covered_share
from s2match.outputs.ground_error_table import ground_error_table, no_errors_reason
from s2match.registration.model import Registration
from s2match.registration.refusal import Refusal
from s2match.registration.verdict import NORMAL_975, in_words
from s2match.result import PairResult

# Relative difference of the sides of a pixel from which both are printed.
_OBLONG = 0.02


def summary(result: PairResult) -> str:
    """Summary of a result as lines with aligned names, without a final newline.

    Args:
        result: The matched pair.

    Returns:
        The text that the command prints; docs/results.md explains every line.
    """
    lines = [f"{name:<14}{value}" for name, value in summary_rows(result)]
    return "\n".join([*lines, *_error_lines(result)])


def summary_rows(result: PairResult) -> list[tuple[str, str]]:
    """Names and values of the summary above the ground errors; a name is empty where its row continues the last one."""
    settings, registration, origin = result.settings, result.registration, result.matches.origin
    rows = [
        ("verdict", in_words(result.verdict)),
        ("reference", _describe(result.reference, result.previews[0])),
        *(("", note) for note in result.reference.notes),
        ("target", _describe(result.target, result.previews[1])),
        *(("", note) for note in result.target.notes),
        *assumption_rows(result.previews),
        _origin_row(origin),
        ("matches", _count(result.matches)),
    ]
    if registration is None:
        rows += _refusal_rows(result.refusal)
    else:
        rows += _registration_rows(registration, settings.ransac_threshold_px)
        rows += _uncertainty_rows(result, result.uncertainty_px or 0.0)
    return rows


def _origin_row(origin: Provenance) -> tuple[str, str]:
    """What found the matches: weights, or a file of tie points."""
    if origin.imported:
        return ("points", origin.weights)
    return ("weights", f"{origin.weights} on {origin.device}" + (f" in {origin.precision}" if origin.precision else ""))


def _registration_rows(registration: Registration, threshold_px: float) -> list[tuple[str, str]]:
    inliers = registration.inliers
    counts = f"{inliers.sum()} inliers ({inliers.mean():.0%}) within {threshold_px:g} px"
    residual = f"median residual {np.median(registration.residual_px[inliers]):.2f} px"
    rows = [("registration", f"{registration.model}, {counts}, {residual}")]
    if registration.held_out_px:
        errors = ", ".join(f"{model} {error:.2f}" for model, error in registration.held_out_px.items())
        rows.append(("held out", f"{errors} px of error on matches that the model was not fitted to"))
    return rows


def _uncertainty_rows(result: PairResult, uncertainty_px: float) -> list[tuple[str, str]]:
    """The interval of the model, the share of the ground that shows it, and a warning where it is large."""
    # half of the squared error lies along each axis, as in the intervals of the verdict
    interval_px = NORMAL_975 * uncertainty_px / math.sqrt(2)
    corner = f"± {interval_px:.2f} px along each axis at the worst corner of the common ground (95 %)"
    covered = covered_share(result)
    if covered is not None:
        corner += f"; inliers cover {covered:.0%} of it"
    rows = [("uncertainty", corner)]
    if uncertainty_px > result.settings.ransac_threshold_px:
        rows.append(("warning", "the inliers cover too little of the common ground: trust the model only near them"))
    return rows


def assumption_rows(previews: tuple[Raster, Raster]) -> list[tuple[str, str]]:
    """Rows of the summary for nodata values and offsets that are assumed, as the files do not declare them."""
    rows = []
    for raster in previews:
        name, radiometry = raster.scene.path.name, raster.radiometry
        if radiometry is None:
            continue
        if radiometry.nodata_from is NodataSource.DETECTED:
            value = f"{radiometry.nodata:.9g} is used, as it fills the edges of the image"
            rows.append(("nodata", f"{name} declares none: {value} (--nodata sets another)"))
        if radiometry.offset_from == "minimum" and radiometry.offset:
            value = f"{radiometry.offset:g} is taken as reflectance 0, from its darkest pixels"
            rows.append(("offset", f"{name} declares none: {value} (--offset sets another)"))
    return rows


def _refusal_rows(refusal: Refusal | None) -> list[tuple[str, str]]:
    if refusal is None:
        return [("registration", "none")]
    names = ["to try", *[""] * len(refusal.advice)]
    return [("registration", f"none: {refusal.cause}"), *zip(names, refusal.advice, strict=False)]


def _count(matches: Matches) -> str:
    if matches.origin.imported:
        return f"{len(matches)} enabled points of the file"
    count = f"{len(matches)} with a confidence above {matches.origin.confidence:.2f}"
    correlated = matches.is_correlated.sum()
    if 0 < correlated == len(matches):
        return f"{count}, measured by correlation where a coarse pass of the network found the position"
    return f"{count}, {correlated} of them found by correlation alone" if correlated else count


def _describe(raster: HasGrid, preview: Raster) -> str:
    width, height = raster.size
    pixel = ""
    if raster.georeferenced:
        across, down = pixel_sides_m(raster, raster.transform)
        oblong = abs(across / down - 1) > _OBLONG
        side = f"{across:.4g} x {down:.4g}" if oblong else f"{math.sqrt(across * down):.4g}"
        pixel = f" of {side} {ground_axes(raster).unit}"
    nodata = f", {preview.nodata_share:.0%} nodata" if preview.nodata_share else ""
    bands = f", bands {' '.join(raster.scene.bands)}" if raster.scene.bands else ""
    return f"{raster.scene.path.name}  ({width} x {height} px{pixel}{bands}{nodata}{_masked_text(preview)})"


def _masked_text(preview: Raster) -> str:
    """Masked share of an image, and the shares of thick cloud and outside of the area of interest."""
    masking = preview.masking
    if not masking:
        return ""
    if masking.area is not None and not (masking.masks or masking.clouds):
        return f", {preview.masked_share:.0%} outside the area of interest" if preview.masked_share else ""
    if masking.clouds and not masking.masks:
        return f", {preview.masked_share:.0%} masked as thick cloud"
    cloud = f" ({preview.cloud_share:.0%} as thick cloud)" if masking.clouds else ""
    return f", {preview.masked_share:.0%} masked{cloud}"


def _error_lines(result: PairResult) -> list[str]:
    errors = ground_error_table(result)
    if errors is None or result.errors is None:
        return [f"ground errors unknown: {no_errors_reason(result)}"]
    width = len(result.errors.axes.unit)
    lines = [f"{'ground errors':<14}" + "".join(f"{title:>{25 + width}}" for title in errors.columns)]
    for name, cells in errors.rows:
        lines.append(
            f"  {name:<12}" + "".join(f"{length:>{13 + width}} {pixels:>11} " for length, pixels in cells).rstrip()
        )
    return [*lines, *(f"  {note}" for note in errors.notes)]
