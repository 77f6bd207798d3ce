"""The verdict on a pair: already registered, to be registered, or not enough evidence."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.georeference import comparable
from s2match.core.ground_axes import MAP_UNITS, METRES, file_pixel_m, pixel_m
from s2match.core.ground_errors import ground_errors
from s2match.core.matches import Matches
from s2match.core.point_maps import grid_points
from s2match.core.raster import HasGrid
from s2match.registration.model import Registration
from s2match.registration.uncertainty import uncertainty_px

# Systematic error that all matches of a pair share, pixels of the matched size, or of the files where those are larger.
# Of 89 models of real pairs whose georeference is right, half exceeded two standard errors by less than 0.09 px, and
# nine of ten by less than 0.25 px (the pairs of benchmarks/accuracy.py, at confidence 0.8; root mean square over the
# common ground).
SYSTEMATIC_PX = 0.25

# The same for refined matches: benchmarks/registration.py.
REFINED_SYSTEMATIC_PX = 0.1

# Standard errors of a model that count as noise.
_STANDARD_ERRORS = 2.0

# Sample points along each side of the common ground at which a model is compared.
_SAMPLES = 21


class Decision(StrEnum):
    """What to do with a pair."""

    REGISTERED = "already registered"
    REGISTER = "register"
    UNKNOWN = "not enough evidence"


@dataclass(frozen=True)
class Displacement:
    """Displacement of the target over the common ground: model minus georeference.

    In metres east and north; or in map units along x and y, if the map names no reference system; or, without
    georeference, against equal pixel positions, in native pixels of the target to the right and down.

    Attributes:
        on_ground: Whether it is measured against the georeference.
        shift: Mean (east, north), (x, y) or (right, down).
        rms: Root mean square of the distances over the common ground.
        largest: Largest distance.
        noise: Largest ``rms`` that the errors of the model alone can cause: two standard errors (root mean
            square over the common ground) plus :data:`SYSTEMATIC_PX` or :data:`REFINED_SYSTEMATIC_PX`. It is also the
            uncertainty of the mean shift.
        native_pixel: Side of a native pixel in metres, or 1 px.
        unit: Unit of all lengths: ``METRES``, ``MAP_UNITS`` or "px".
    """

    on_ground: bool
    shift: tuple[float, float]
    rms: float
    largest: float
    noise: float
    native_pixel: float
    unit: str = METRES


@dataclass(frozen=True)
class Verdict:
    """What to do with a pair, and why.

    Attributes:
        decision: What to do.
        model: Name of the model to register with; None without a registration.
        displacement: Displacement by the model; None without a registration, or with nothing to compare it with.
        georeferenced: Whether the georeference relates the two images.
    """

    decision: Decision
    model: str | None = None
    displacement: Displacement | None = None
    georeferenced: bool = False


def judge(reference: HasGrid, target: HasGrid, matches: Matches, registration: Registration | None) -> Verdict:
    """The verdict on a pair.

    A pair is registered already if the RMS displacement of the common ground by the model is not larger than the
    uncertainty of the model. The whole common ground is used, because models are least accurate at the corners.

    Args:
        reference: The reference.
        target: The target. Without georeference, it must have the size of the reference to be registered already.
        matches: The matches that the model was fitted to.
        registration: The model; None if no model was accepted.
    """
    georeferenced = comparable(reference, target)
    if registration is None:
        return Verdict(Decision.UNKNOWN, georeferenced=georeferenced)
    displacement = _displacement(reference, target, matches, registration)
    registered = displacement is not None and displacement.rms <= displacement.noise
    decision = Decision.REGISTERED if registered else Decision.REGISTER
    return Verdict(decision, registration.model, displacement, georeferenced)


def in_words(verdict: Verdict) -> str:
    """A verdict in one line."""
    displacement = verdict.displacement
    if verdict.decision is Decision.UNKNOWN:
        if verdict.georeferenced:
            reason = "only the georeference relates the images; the matches do not confirm it"
        else:
            reason = "neither the matches nor a georeference relate the images"
        return f"{verdict.decision}: {reason}"
    if displacement is None and verdict.georeferenced:
        reason = "a reference system is not valid at the images, so the shift cannot be measured"
        return f"register with this {verdict.model}: {reason}"
    if displacement is None:
        return f"register with this {verdict.model}: without georeference there is nothing to compare it with"
    sizes = _sizes(displacement)
    if verdict.decision is Decision.REGISTERED:
        return f"{verdict.decision}: the model moves the target by {sizes}, within the noise"
    most = f"{displacement.largest:.{_digits(displacement)}f} {displacement.unit} at most"
    shown = f"the target shows the ground {_directions(displacement)}"
    return f"register with this {verdict.model}: {shown}; RMS {sizes}, {most}"


def _sizes(displacement: Displacement) -> str:
    """Root mean square and noise, such as "63.1 ± 4.9 m (6.3 ± 0.5 native px)"."""
    digits, rms, noise = _digits(displacement), displacement.rms, displacement.noise
    sizes = f"{rms:.{digits}f} ± {noise:.{digits}f} {displacement.unit}"
    if not displacement.on_ground:
        return sizes
    return f"{sizes} ({rms / displacement.native_pixel:.1f} ± {noise / displacement.native_pixel:.1f} native px)"


def _directions(displacement: Displacement) -> str:
    """The mean shift, such as "30 m further east and 12 m further south"."""
    digits, unit = _digits(displacement), displacement.unit
    if unit == MAP_UNITS:
        x, y = (f"{along:+.{digits}f}" for along in displacement.shift)
        return f"{x} {MAP_UNITS} off in x and {y} in y"
    names = (("east", "west"), ("north", "south")) if displacement.on_ground else (("right", "left"), ("down", "up"))
    parts = [
        f"{abs(along):.{digits}f} {unit} further {name[along < 0]}"
        for along, name in zip(displacement.shift, names, strict=True)
    ]
    return " and ".join(parts)


def _digits(displacement: Displacement) -> int:
    """Number of decimals: 1 if the noise is below ten."""
    return 1 if displacement.noise < 10 else 0


def _displacement(
    reference: HasGrid, target: HasGrid, matches: Matches, registration: Registration
) -> Displacement | None:
    """The displacement by a model.

    None if images of different sizes have no georeference, and if the CRS is not valid at the images.
    """
    xy = _samples(common_corners(reference, target))
    target_xy = registration.apply(xy)
    error_px = uncertainty_px(registration, matches, xy)
    systematic_px = SYSTEMATIC_PX if matches.similarity is None else REFINED_SYSTEMATIC_PX
    spread_px = _STANDARD_ERRORS * math.sqrt(float(np.mean(error_px**2)))
    errors = ground_errors(reference, target, xy, target_xy)
    if errors is not None:
        finite = errors.finite
        if not len(finite.east_m):
            return None
        shifts = np.stack([finite.east_m, finite.north_m], axis=1)
        matched_m = pixel_m(target)
        # an enlarged image has no more detail than its file
        systematic_m = systematic_px * max(matched_m, file_pixel_m(reference), file_pixel_m(target))
        noise_m = spread_px * matched_m + systematic_m
        return _displacement_of(shifts, noise_m, errors.native_pixel_m, errors.axes.unit)
    if (reference.size, reference.native_size) != (target.size, target.native_size):
        return None
    scale = np.array(target.native_size) / target.size
    native_per_matched = math.sqrt(math.prod(scale))
    noise_native_px = spread_px * native_per_matched + systematic_px * max(native_per_matched, 1.0)
    return _displacement_of((target_xy - xy) * scale, noise_native_px, None, "px")


def _displacement_of(
    shifts: NDArray[np.float64], noise: float, native_pixel_m: float | None, unit: str
) -> Displacement:
    """The displacement of shifts (N, 2) over the common ground."""
    distance = np.linalg.norm(shifts, axis=1)
    return Displacement(
        on_ground=native_pixel_m is not None,
        shift=(float(shifts[:, 0].mean()), float(shifts[:, 1].mean())),
        rms=float(np.sqrt(np.mean(distance**2))),
        largest=float(distance.max()),
        noise=noise,
        native_pixel=1.0 if native_pixel_m is None else native_pixel_m,
        unit=unit,
    )


def _samples(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) grid of points over the bounding box of (4, 2) corners."""
    x, y = np.linspace(corners.min(axis=0), corners.max(axis=0), _SAMPLES).T
    return grid_points(x, y)
