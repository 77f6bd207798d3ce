"""Mean shifts by relative orbit and by platform."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GroupTerm:
    """Weighted mean shift of the images of a relative orbit or a platform, in the unit of the observations.

    Attributes:
        kind: ``"relative_orbit"`` or ``"platform"``.
        name: Such as ``"R064"`` or ``"S2A"``.
        images: Number of images.
        shift: Mean shift.
        std: Standard error of each component.
    """

    kind: str
    name: str
    images: int
    shift: tuple[float, float]
    std: tuple[float, float]
