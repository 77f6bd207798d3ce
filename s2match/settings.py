"""How a pair is matched: every choice in one value."""

from dataclasses import dataclass

from s2match.geometry import AUTO, check_fit_options
from s2match.loftr import pick_device
from s2match.matching import check_confidence
from s2match.weights import BUNDLED


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
    """

    weights: str = BUNDLED
    device: str = "auto"
    confidence: float = 0.8
    geometry: str = AUTO
    ransac_threshold_px: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range before any work is done.

        Raises:
            OptionError: A value is out of range.
            DeviceError: The device is not there.
        """
        check_confidence(self.confidence)
        check_fit_options(self.geometry, self.ransac_threshold_px, self.seed)
        pick_device(self.device)
