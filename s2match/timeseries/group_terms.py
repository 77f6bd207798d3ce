"""Mean shifts by relative orbit and by platform, or by the day of the repeat cycle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.timeseries.images import SeriesImage

# Days after which a satellite repeats its orbit.
_REPEAT_DAYS = 10


@dataclass(frozen=True)
class GroupTerm:
    """Weighted mean shift of the images of a relative orbit or a platform, in the unit of the observations.

    Attributes:
        kind: ``"relative_orbit"``, ``"platform"`` or ``"repeat_day"``.
        name: Such as ``"R064"``, ``"S2A"`` or ``"T36UXA day 3 of 10"``.
        images: Number of images.
        shift: Mean shift.
        std: Standard error of each component.
    """

    kind: str
    name: str
    images: int
    shift: tuple[float, float]
    std: tuple[float, float]


def group_terms(
    images: Sequence[SeriesImage], shifts: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[GroupTerm, ...]:
    """Mean shifts of the images of each relative orbit and of each platform that names give.

    Where names give neither, dates do: a satellite repeats its orbits every ten days, so that images of one tile on one
    day of this cycle are from one orbit of one satellite.

    A mean has the scatter of its images as error: the terms of single images are larger than their errors.

    Args:
        images: The images.
        shifts: (D, 2) their shifts; NaN if they are not placed.
        covariance: (D, 2, 2) covariance of the shifts.

    Returns:
        The terms of groups of two images or more, sorted by kind and name; none if there is only one group of a kind.
    """
    orbits = [None if image.relative_orbit is None else f"R{image.relative_orbit:03d}" for image in images]
    platforms = [image.platform for image in images]
    groups = {"relative_orbit": orbits, "platform": platforms}
    if not any(orbits) and not any(platforms):
        groups = {"repeat_day": [_repeat_day(image) for image in images]}
    terms = []
    for kind, names in groups.items():
        placed = [name if np.isfinite(shift[0]) else None for name, shift in zip(names, shifts, strict=True)]
        members = {name: np.array([other == name for other in placed]) for name in sorted(filter(None, {*placed}))}
        if len(members) < 2:
            continue
        terms += [
            _term(kind, name, shifts[group], covariance[group]) for name, group in members.items() if group.sum() > 1
        ]
    return tuple(terms)


def _repeat_day(image: SeriesImage) -> str | None:
    """Day of the ten-day repeat cycle; None without a date or a tile."""
    if image.sensed is None or image.tile is None:
        return None
    return f"{image.tile} day {image.sensed.toordinal() % _REPEAT_DAYS} of {_REPEAT_DAYS}"


def _term(kind: str, name: str, shifts: NDArray[np.float64], covariance: NDArray[np.float64]) -> GroupTerm:
    measured = np.diagonal(covariance, axis1=1, axis2=2)
    # variance of the images themselves, beyond that of their measurement
    own = np.maximum(shifts.var(axis=0, ddof=1) - measured.mean(axis=0), 0)
    weights = 1 / (measured + own)
    mean = (weights * shifts).sum(axis=0) / weights.sum(axis=0)
    std = np.sqrt(1 / weights.sum(axis=0))
    return GroupTerm(kind, name, len(shifts), (float(mean[0]), float(mean[1])), (float(std[0]), float(std[1])))
