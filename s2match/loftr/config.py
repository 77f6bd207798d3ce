"""How matches are derived from the network's outputs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MatchingConfig:
    """Parameters of coarse and fine matching; the right values depend on how the weights were trained.

    The defaults reproduce kornia's LoFTR.

    Attributes:
        neighbourhood: Coarse confidence is summed over 3×3 cells
            (:func:`s2match.loftr.coarse_matching.neighbourhood_matches`). False: confidence of single cells.
        fine_iterations: Fine-matching iterations; each re-centres the 5×5 window on the local affine prediction
            (:mod:`s2match.loftr.local_affine`). With more than one, the local affine prediction is the final point, and
            matches inconsistent with it are removed.
        calibration: Coefficients of :func:`s2match.loftr.local_affine.calibrated_confidence`, used with more than one
            iteration. None: the coarse confidence is kept.
    """

    neighbourhood: bool = False
    fine_iterations: int = 1
    calibration: tuple[float, float, float] | None = None


KORNIA = MatchingConfig()
