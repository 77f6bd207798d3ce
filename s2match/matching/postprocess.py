"""What is done with the matches of a pass while its pixels are at hand: thinned, measured again, and added to."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches
from s2match.core.window import Window
from s2match.matching.thinning import thin, thin_mask
from s2match.registration.estimators import best_model
from s2match.registration.evidence import failure_of
from s2match.registration.model import DEFAULT_FIT, FitOptions
from s2match.util.threads import limit_threads

# How far matches may lie from the model that tells scale and turn: the ground is not flat, and bends.
_ROUGH_PX = 3.0


@dataclass(frozen=True)
class PostProcessing:
    """How matches are finished.

    Attributes:
        max_points: Matches to keep at most of all the common ground, spread evenly.
        refined: Measure them again on the pixels, see :func:`s2match.matching.subpixel.refine`, and where none is left
            look for points by the edges alone, see :func:`s2match.matching.densify.fill`.
        fit_options: Of the fit that tells scale and turn.
    """

    max_points: int
    refined: bool
    fit_options: FitOptions = DEFAULT_FIT

    @limit_threads()
    def apply(
        self,
        matches: Matches,
        reference: GreyImage,
        target: GreyImage,
        expected: NDArray[np.float64],
        core: Window | None = None,
        share: float = 1.0,
    ) -> Matches:
        """Finish the matches of a pass.

        Args:
            matches: What the network found, pixels of the two images, GDAL frame.
            reference: What it saw of the reference.
            target: What it saw of the target.
            expected: 2×2, the steps (x, y) in the target that the grids lead to expect of steps in the reference.
            core: Part of ``reference`` whose matches are kept; None: all of it.
            share: Of the common ground that lies in the core, 0 to 1.

        Returns:
            Those that are left, and those that were found beside them, on valid pixels of both images.
        """
        height, width = reference.valid.shape
        core = core or Window(0, 0, width, height)
        most = math.ceil(self.max_points * share)
        kept = core.holds(matches.xy0)
        kept[kept] = thin_mask(matches.subset(kept), most)
        chosen = matches.subset(kept)
        if not self.refined:
            return chosen
        # PyTorch takes a second to import: not before the images are being read
        from s2match.matching.densify import fill
        from s2match.matching.orientation_correlation import pixels
        from s2match.matching.subpixel import refine

        told = _linear(chosen, self.fit_options.at_least(_ROUGH_PX))
        images = pixels(reference), pixels(target)
        refined = _shown(refine(chosen, *images, expected if told is None else told), reference, target)
        room = most - len(refined)
        if told is None or room < 1:
            return refined
        beside = np.concatenate([refined.xy0, matches.xy0[~kept]])
        found = _shown(fill(refined, beside, *images, told, core), reference, target)
        return Matches.concatenate([refined, thin(found, room)])


def _shown(matches: Matches, reference: GreyImage, target: GreyImage) -> Matches:
    """Those on valid pixels: what measures them moves some of them off."""
    return matches.subset(reference.shows(matches.xy0) & target.shows(matches.xy1))


def _linear(matches: Matches, options: FitOptions) -> NDArray[np.float64] | None:
    """2×2, steps (x, y) in the reference to steps in the target, by the matches; None where they are no evidence."""
    found = best_model(matches, "affine", options.threshold_px, options.seed)
    return None if found is None or failure_of(matches, found) else found.matrix[:2, :2]
