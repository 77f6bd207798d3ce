"""Options of a fit, and the names of the models; importable without NumPy."""

import math
from dataclasses import dataclass, replace

from s2match.errors import OptionError

# The B-spline field, see s2match.registration.bspline_field.
FIELD = "field"

MODELS = ("translation", "similarity", "affine", "homography", FIELD)

# Chooses the model by the error on held-out matches.
AUTO = "auto"


@dataclass(frozen=True)
class FitOptions:
    """How a model is fitted to matches that contain outliers.

    Attributes:
        model: One of :data:`MODELS`, or :data:`AUTO` to have it chosen.
        threshold_px: Largest distance of an inlier from the model, in target pixels.
        seed: Seed of the random draws.
    """

    model: str = AUTO
    threshold_px: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse options that cannot be fitted with.

        Raises:
            OptionError: The model is unknown, the threshold is not a positive number or the seed is negative.
        """
        if self.model not in (AUTO, *MODELS):
            raise OptionError(f"Unknown geometry {self.model!r}: choose {AUTO}, {', '.join(MODELS)}.")
        if not 0 < self.threshold_px < math.inf:
            raise OptionError(
                f"RANSAC threshold {self.threshold_px:g} is out of range: it must be a positive number of pixels."
            )
        if self.seed < 0:
            raise OptionError(f"Seed {self.seed} is out of range: it must be 0 or more.")

    def using(self, model: str) -> "FitOptions":
        """The same options with another model."""
        return replace(self, model=model)

    def with_min_threshold(self, threshold_px: float) -> "FitOptions":
        """The same options, with the threshold raised to at least this value; for fits that only predict positions."""
        return replace(self, threshold_px=max(self.threshold_px, threshold_px))


DEFAULT_FIT = FitOptions()
