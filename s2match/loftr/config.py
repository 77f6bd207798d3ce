"""How a network's output is read as matches: the settings that its weights were trained with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MatchingConfig:
    """How matches are read from what a network computes; what suits depends on how its weights were trained.

    Attributes:
        neighbourhood: Whether a match is as sure as the cells around it are together, or each cell by itself, as kornia
            does it (:func:`s2match.loftr.coarse_matching.neighbourhood_matches`).
        fine_iterations: How often the fine stage looks; kornia's does once. Where it is unsure it draws points towards
            the middle of its window. So further looks are at windows about what the neighbours of a match agree on,
            that is where the point is in the end, and matches without their support are left out
            (:mod:`s2match.loftr.local_affine`).
        calibration: Turns the neighbours' support into how likely a match is right, where there are further looks
            (:func:`s2match.loftr.local_affine.calibrated`); None leaves the network's confidence.
    """

    neighbourhood: bool = False
    fine_iterations: int = 1
    calibration: tuple[float, float, float] | None = None


KORNIA = MatchingConfig()
