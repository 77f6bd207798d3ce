"""What to do with a pair: nothing, since it is registered already; register it; or not believe either."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.georeference import comparable
from s2match.core.ground_axes import MAP_UNITS, METRES, pixel_m
from s2match.core.ground_errors import ground_errors
from s2match.core.matches import Matches
from s2match.core.raster import HasGrid
from s2match.registration.model import Registration
from s2match.registration.uncertainty import uncertainty_px

# What all tie points of a pair may be off by together, pixels of the matched size, beside two standard errors: of 89
# models of real pairs whose georeference is right, half were off by less than 0.09 px more, and nine of ten by less
# than 0.25 px (the pairs of benchmarks/accuracy.py, at confidence 0.8; root mean square over the common ground).
SYSTEMATIC_PX = 0.25

# The same where they were measured again on the pixels: benchmarks/registration.py.
REFINED_SYSTEMATIC_PX = 0.1
_STANDARD_ERRORS = 2.0

# Places along each side of the common ground at which a model is compared.
_PLACES = 21


class Decision(StrEnum):
    """What to do with a pair."""

    REGISTERED = "already registered"
    REGISTER = "register"
    UNKNOWN = "not enough evidence"


@dataclass(frozen=True)
class Displacement:
    """Where the target shows the common ground, against where the georeference says that it does.

    In metres east and north, or in units of a map that names no reference system, along its x and y; or, without
    georeference, against equal pixel positions, in native pixels of the target to the right and down.

    Attributes:
        on_ground: Whether against the georeference.
        shift: Mean (east, north) or (right, down).
        rms: Root mean square of the distances over the common ground.
        largest: The largest of them.
        noise: How large ``rms`` may be by the errors of the model alone: two standard errors (root mean square over the
            common ground) and :data:`SYSTEMATIC_PX` or :data:`REFINED_SYSTEMATIC_PX`. No part of the mean shift is
            surer than that.
        native_pixel: Side of a native pixel, in metres or 1.
        unit: Of all lengths: ``METRES``, ``MAP_UNITS`` or "px".
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
        model: Name of the model to register with; None without one.
        displacement: None without a model, or where there is nothing to compare it with.
        georeferenced: Whether the georeference tells how the images lie.
    """

    decision: Decision
    model: str | None = None
    displacement: Displacement | None = None
    georeferenced: bool = False


def judge(reference: HasGrid, target: HasGrid, matches: Matches, registration: Registration | None) -> Verdict:
    """Whether a pair needs what its model does.

    A model that moves the common ground, in the root mean square, by no more than its own errors would, says that the
    pair is registered. One corner alone says little: it is where models are least sure.

    Args:
        reference: Its grid.
        target: Its grid. Without georeference both must have as many pixels for a pair to be called registered.
        matches: What the model was fitted to.
        registration: The model, None when there is not enough evidence for one.
    """
    known = comparable(reference, target)
    if registration is None:
        return Verdict(Decision.UNKNOWN, georeferenced=known)
    found = _displacement(reference, target, matches, registration)
    registered = found is not None and found.rms <= found.noise
    return Verdict(Decision.REGISTERED if registered else Decision.REGISTER, registration.model, found, known)


def in_words(verdict: Verdict) -> str:
    """A verdict in one line."""
    found = verdict.displacement
    if verdict.decision is Decision.UNKNOWN:
        if verdict.georeferenced:
            told = "the georeference alone tells how the images lie; the matches do not confirm it"
        else:
            told = "neither the matches nor a georeference tell how the images lie"
        return f"{verdict.decision}: {told}"
    if found is None and verdict.georeferenced:
        return f"register with this {verdict.model}: a reference system ends where the images lie, and tells no shift"
    if found is None:
        return f"register with this {verdict.model}: without georeference there is nothing to compare it with"
    unit = found.unit
    sizes = f"{found.rms:.{_digits(found)}f} ± {found.noise:.{_digits(found)}f} {unit}"
    if found.on_ground:
        sizes += f" ({found.rms / found.native_pixel:.1f} ± {found.noise / found.native_pixel:.1f} native px)"
    if verdict.decision is Decision.REGISTERED:
        return f"{verdict.decision}: the model moves the target by {sizes}, within the noise"
    most = f"{found.largest:.{_digits(found)}f} {unit} at most"
    shown = f"the target shows the ground {_directions(found)}"
    return f"register with this {verdict.model}: {shown}; RMS {sizes}, {most}"


def _directions(found: Displacement) -> str:
    """The mean shift: "30 m further east and 12 m further south"."""
    if found.unit == MAP_UNITS:
        x, y = (f"{along:+.{_digits(found)}f}" for along in found.shift)
        return f"{x} {MAP_UNITS} off in x and {y} in y"
    names = (("east", "west"), ("north", "south")) if found.on_ground else (("right", "left"), ("down", "up"))
    parts = [
        f"{abs(along):.{_digits(found)}f} {found.unit} further {name[along < 0]}"
        for along, name in zip(found.shift, names, strict=True)
    ]
    return " and ".join(parts)


def _digits(found: Displacement) -> int:
    """Decimals that are worth reading, one where the noise is below ten."""
    return 1 if found.noise < 10 else 0


def _displacement(
    reference: HasGrid, target: HasGrid, matches: Matches, registration: Registration
) -> Displacement | None:
    """See :class:`Displacement`; None without georeference between images of different sizes.

    Where the reference system cannot express the common ground, there is none either.
    """
    places = _lattice(common_corners(reference, target))
    carried = registration.apply(places)
    off_px = uncertainty_px(registration, matches, places)
    systematic_px = SYSTEMATIC_PX if matches.similarity is None else REFINED_SYSTEMATIC_PX
    noise_px = _STANDARD_ERRORS * math.sqrt(float(np.mean(off_px**2))) + systematic_px
    errors = ground_errors(reference, target, places, carried)
    if errors is not None:
        known = errors.finite
        if not len(known.east_m):
            return None
        moved = np.stack([known.east_m, known.north_m], axis=1)
        return _measured(moved, noise_px * pixel_m(target), errors.native_pixel_m, errors.axes.unit)
    if (reference.size, reference.native_size) != (target.size, target.native_size):
        return None
    scale = np.array(target.native_size) / target.size
    return _measured((carried - places) * scale, noise_px * math.sqrt(math.prod(scale)), None, "px")


def _measured(moved: NDArray[np.float64], noise: float, native_pixel_m: float | None, unit: str) -> Displacement:
    distance = np.linalg.norm(moved, axis=1)
    return Displacement(
        on_ground=native_pixel_m is not None,
        shift=(float(moved[:, 0].mean()), float(moved[:, 1].mean())),
        rms=float(np.sqrt(np.mean(distance**2))),
        largest=float(distance.max()),
        noise=noise,
        native_pixel=1.0 if native_pixel_m is None else native_pixel_m,
        unit=unit,
    )


def _lattice(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) places in the box of (4, 2) corners."""
    x, y = np.linspace(corners.min(axis=0), corners.max(axis=0), _PLACES).T
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
