"""How a pair is matched: every choice in one value."""

import math
from dataclasses import dataclass

from s2match.errors import OptionError
from s2match.finishing import Finishing
from s2match.geometry import AUTO, check_fit_options
from s2match.matching import check_confidence

# The weights that come with the project.
BUNDLED = "sentinel2"

# Devices that are always there: nothing needs to be asked of PyTorch, which takes a second to import.
_ALWAYS_THERE = ("auto", "cpu")


@dataclass(frozen=True)
class Settings:
    """How a pair is matched.

    Attributes:
        weights: Name or path of the weights.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        confidence: Matches kept have a confidence above this.
        geometry: Name of the model to fit, or ``auto`` to have it chosen.
        ransac_threshold_px: Largest distance of an inlier from the model, in pixels of the matched target.
        seed: Seed of the robust fit.
        max_points: Matches to keep at most, spread evenly over the image.
        search_radius_m: How far from where it is expected a window's ground is sought, metres on the ground; None suits
            what tells where to expect it. Images that are matched in one pass are searched as a whole.
        refine: Measure matches again on the pixels, see :class:`s2match.finishing.Finishing`.
        coverage: Share of the common ground to look at, where images are matched in windows; above 0, up to 1.
    """

    weights: str = BUNDLED
    device: str = "auto"
    confidence: float = 0.8
    geometry: str = AUTO
    ransac_threshold_px: float = 1.5
    seed: int = 0
    max_points: int = 100_000
    search_radius_m: float | None = None
    refine: bool = False
    coverage: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values out of range before any work is done.

        Raises:
            OptionError: A value is out of range.
            DeviceError: The device is not there.
        """
        check_confidence(self.confidence)
        check_fit_options(self.geometry, self.ransac_threshold_px, self.seed)
        if self.max_points < 1:
            raise OptionError(f"Maximum of {self.max_points} points is out of range: it must be 1 or more.")
        if self.search_radius_m is not None and not 0 <= self.search_radius_m < math.inf:
            raise OptionError(f"Search radius {self.search_radius_m:g} m is out of range: it must be 0 or more.")
        if not 0 < self.coverage <= 1:
            raise OptionError(f"Coverage {self.coverage:g} is out of range: it must be above 0, up to 1.")
        if self.device not in _ALWAYS_THERE:
            from s2match.loftr import pick_device

            pick_device(self.device)

    @property
    def finishing(self) -> Finishing:
        """What is done with the matches of a pass."""
        return Finishing(self.max_points, self.refine)
