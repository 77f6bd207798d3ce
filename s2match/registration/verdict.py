"""The verdict on a pair: already registered, to be registered, not distinguishable, or not enough evidence."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.georeference import comparable, same_pixels
from s2match.core.ground_axes import MAP_UNITS, METRES, file_pixel_m, pixel_m
from s2match.core.ground_errors import ground_errors
from s2match.core.matches import Matches
from s2match.core.point_maps import grid_points
from s2match.core.raster import HasGrid
from s2match.registration.model import Registration
from s2match.registration.uncertainty import REFINED_SYSTEMATIC_PX, SYSTEMATIC_PX, season_error, uncertainty_px

# Squared 95 % and 99 % quantiles of the length of a 2-vector of normal errors with standard deviation 1 (chi-squared
# with two degrees of freedom), and the 97.5 % quantile of a single error.
CHI2_95, _CHI2_99, NORMAL_975 = 5.99, 9.21, 1.96

# A displacement that may hide in the noise is small if it is no longer than this, in native pixels.
_SMALL_PX = 0.5

# The files have finer pixels than those that were matched, if by this factor.
FINER = 1.2

# Sample points along each side of the common ground at which a model is compared.
_SAMPLES = 21


class Decision(StrEnum):
    """What to do with a pair."""

    REGISTERED = "already registered"
    REGISTER = "register"
    INDISTINCT = "not distinguishable from the noise at this size"
    UNKNOWN = "not enough evidence"


@dataclass(frozen=True)
class Displacement:
    """Displacement of the target over the common ground: model minus georeference.

    In metres east and north; or in map units along x and y, if the map names no reference system; or, without
    georeference, against equal pixel positions, in native pixels of the target to the right and down.

    Attributes:
        on_ground: Whether it is measured against the georeference.
        shift: Mean (east, north), (x, y) or (right, down).
        shift_error: Half width of the 95 % interval of each component of ``shift``, by the error of the model and that
            of season and shadows.
        rms: Root mean square of the distances over the common ground.
        largest: Largest distance.
        noise: Radius within which both errors lie with a probability of 95 % (root mean square over the common ground).
        significance: Mean over the common ground of the squared distance, normalised by the variance of both errors; 2
            where there is no displacement.
        native_pixel: Side of a native pixel in metres, or 1 px.
        unit: Unit of all lengths: ``METRES``, ``MAP_UNITS`` or "px".
    """

    on_ground: bool
    shift: tuple[float, float]
    shift_error: float
    rms: float
    largest: float
    noise: float
    significance: float
    native_pixel: float
    unit: str = METRES

    @property
    def beyond_interval(self) -> bool:
        """Whether 0 lies outside of the 95 % interval of a component of the shift."""
        return any(abs(along) > self.shift_error for along in self.shift)


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

    A pair is to be registered if the displacement of the common ground by the model is significant at the level of 1 %,
    against the covariance of the model and the error of season and shadows. Otherwise it is registered already if both
    are so small that no displacement of more than half a native pixel can hide in them. If they are not, the pair has
    to be matched at a larger size, or there is not enough evidence. The whole common ground is used, because models are
    least accurate at the corners.

    Args:
        reference: The reference.
        target: The target. Without georeference, it must have the size of the reference to be registered already.
        matches: The matches that the model was fitted to.
        registration: The model; None if no model was accepted.
    """
    georeferenced = comparable(reference, target)
    if registration is None:
        return Verdict(Decision.UNKNOWN, georeferenced=georeferenced)
    samples = _samples(common_corners(reference, target))
    displacement = displacement_over(reference, target, matches, registration, samples)
    decision = Decision.REGISTER if displacement is None else _decide(displacement, reference, target)
    return Verdict(decision, registration.model, displacement, georeferenced)


def _decide(displacement: Displacement, reference: HasGrid, target: HasGrid) -> Decision:
    """The decision on a pair with a model and something to compare it with."""
    # a coarser image that has its own pixels limits the size, whatever pixels the other one has
    reduced = all(_is_reduced(image) for image in (reference, target))
    return decide(displacement.significance, displacement.noise / displacement.native_pixel, reduced)


def decide(significance: float, noise_px: float, reduced: bool) -> Decision:
    """The decision on a displacement that was measured.

    Args:
        significance: Squared length of the displacement, normalised by its covariance; 2 where there is none.
        noise_px: Radius in native pixels within which its error lies with a probability of 95 %.
        reduced: Whether it was measured with fewer pixels than the files have.
    """
    if significance > _CHI2_99:
        return Decision.REGISTER
    if noise_px <= _SMALL_PX:
        return Decision.REGISTERED
    return Decision.INDISTINCT if reduced else Decision.UNKNOWN


def _is_reduced(image: HasGrid) -> bool:
    """Whether an image is matched with fewer pixels than it has."""
    return any(native > FINER * matched for native, matched in zip(image.native_size, image.size, strict=True))


def in_words(verdict: Verdict) -> str:
    """A verdict in one line."""
    displacement = verdict.displacement
    if verdict.model is None:
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
    sizes, directions = components(displacement)
    if verdict.decision is Decision.REGISTER:
        further = "" if displacement.unit == MAP_UNITS else "further "
        shown = " and ".join(f"{size} {further}{name}" for size, name in zip(sizes, directions, strict=True))
        # a translation is the same everywhere
        extent = "in all" if verdict.model == "translation" else "at most"
        most = length_text(displacement, displacement.largest)
        return f"register with this {verdict.model}: the target shows the ground {shown}; {most} {extent}"
    if verdict.decision is Decision.REGISTERED:
        shown = " and ".join(f"{size} {name}" for size, name in zip(sizes, directions, strict=True))
        return f"{verdict.decision}: the shift is {shown} {_insignificance(displacement)}"
    noise = f"errors of up to {length_text(displacement, displacement.noise)} are possible (95 %)"
    if verdict.decision is Decision.INDISTINCT:
        return f"{verdict.decision}: {noise}; match native pixels (--image_size native)"
    return f"{verdict.decision}: {noise}"


def _insignificance(displacement: Displacement) -> str:
    """The rule by which a shift is not significant, also where one of its intervals does not contain 0."""
    if displacement.beyond_interval:
        return "(95 % for each axis alone); for both axes together it is not significant at 1 %, which decides"
    return "(95 %), not significant at 1 %"


def length_text(displacement: Displacement, length: float) -> str:
    """A length, such as "63.1 m (6.3 native px)"."""
    text = f"{length:.{_digits(displacement)}f} {displacement.unit}"
    return f"{text} ({length / displacement.native_pixel:.1f} native px)" if displacement.on_ground else text


def components(displacement: Displacement) -> tuple[list[str], list[str]]:
    """Both components of the mean shift with their 95 % intervals, such as "30 ± 1 m", and their directions."""
    digits, unit = _digits(displacement), displacement.unit
    signed = unit == MAP_UNITS
    lengths = [f"{along:+.{digits}f}" if signed else f"{abs(along):.{digits}f}" for along in displacement.shift]
    sizes = [f"{length} ± {displacement.shift_error:.{digits}f} {unit}" for length in lengths]
    if signed:
        return sizes, ["off in x", "off in y"]
    names = (("east", "west"), ("north", "south")) if displacement.on_ground else (("right", "left"), ("down", "up"))
    return sizes, [name[along < 0] for along, name in zip(displacement.shift, names, strict=True)]


def _digits(displacement: Displacement) -> int:
    """Number of decimals: 1 if the noise is below ten."""
    return 1 if displacement.noise < 10 else 0


def displacement_over(
    reference: HasGrid, target: HasGrid, matches: Matches, registration: Registration, xy: NDArray[np.float64]
) -> Displacement | None:
    """The displacement of points by a model.

    Args:
        reference: The reference.
        target: The target.
        matches: The matches that the model was fitted to.
        registration: The model.
        xy: (N, 2) points in pixels of the reference, GDAL frame. They stand for the ground that the displacement is
            measured over.

    Returns:
        The displacement; None if images of different sizes have no georeference, and if the CRS is not valid at the
        points.
    """
    target_xy = registration.apply(xy)
    # the mean shift of a model that is nearly linear is that in the middle; the same along both axes, because the axes
    # of the ground may have other directions than those of the pixels
    with_middle = np.concatenate([xy, xy.mean(axis=0, keepdims=True)])
    variance_px2 = uncertainty_px(registration, matches, with_middle) ** 2 / 2
    errors = ground_errors(reference, target, xy, target_xy)
    if errors is not None:
        finite = np.isfinite(errors.east_m) & np.isfinite(errors.north_m)
        if not finite.any():
            return None
        shifts = np.stack([errors.east_m, errors.north_m], axis=1)[finite]
        matched_m = pixel_m(target)
        # an enlarged image has no more detail than its file
        file_m = max(matched_m, errors.native_pixel_m, file_pixel_m(target))
        unit = errors.axes.unit
        variance = variance_px2 * matched_m**2 + _extra_variance(matches, (file_m, matched_m), unit == METRES)
        return _displacement_of(shifts, variance[np.append(finite, True)], errors.native_pixel_m, unit)
    if not same_pixels(reference, target):
        return None
    scale = np.array(target.native_size) / target.size
    native = math.sqrt(math.prod(scale))
    variance = variance_px2 * native**2 + _extra_variance(matches, (max(native, 1.0), native), False)
    return _displacement_of((target_xy - xy) * scale, variance, None, "px")


def _extra_variance(matches: Matches, pixels: tuple[float, float], in_metres: bool) -> float:
    """Variance of the displacement beyond that of the model: by the pixels of the file, and by season and shadows.

    Args:
        matches: The matches. The systematic error of those that are not refined includes that of the season.
        pixels: Sides of a pixel of the file and of a matched one. The systematic error is one in pixels of the file.
        in_metres: Whether the sides are in metres.
    """
    file_pixel, matched_pixel = pixels
    if matches.covariance_px2 is None:
        return SYSTEMATIC_PX**2 * (file_pixel**2 - matched_pixel**2)
    beyond = REFINED_SYSTEMATIC_PX**2 * (file_pixel**2 - matched_pixel**2)
    return beyond + season_error(file_pixel, in_metres) ** 2


def _displacement_of(
    shifts: NDArray[np.float64], variance: NDArray[np.float64], native_pixel_m: float | None, unit: str
) -> Displacement:
    """The displacement of shifts (N, 2), and the variance (N + 1,) of the model along an axis, last in the middle."""
    distance = np.linalg.norm(shifts, axis=1)
    error = NORMAL_975 * math.sqrt(variance[-1])
    variance = variance[:-1]
    return Displacement(
        on_ground=native_pixel_m is not None,
        shift=(float(shifts[:, 0].mean()), float(shifts[:, 1].mean())),
        shift_error=error,
        rms=float(np.sqrt(np.mean(distance**2))),
        largest=float(distance.max()),
        noise=math.sqrt(CHI2_95 * float(variance.mean())),
        significance=float((distance**2 / variance).mean()),
        native_pixel=1.0 if native_pixel_m is None else native_pixel_m,
        unit=unit,
    )


def _samples(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) grid of points over the bounding box of (4, 2) corners."""
    x, y = np.linspace(corners.min(axis=0), corners.max(axis=0), _SAMPLES).T
    return grid_points(x, y)
