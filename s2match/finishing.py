"""What is done with the matches of a pass while its pixels are at hand: fewer of them, and measured again."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.geometry import is_evidence
from s2match.images import Window
from s2match.matches import GreyImage, Matches
from s2match.models import best_model
from s2match.thinning import thin

# How far matches may lie from the model that tells scale and turn: the ground is not flat, and bends.
_ROUGH_PX = 3.0


@dataclass(frozen=True)
class Finishing:
    """How matches are finished.

    Attributes:
        max_points: Matches to keep at most of all the common ground, spread evenly.
        refined: Measure them again on the pixels, see :func:`s2match.refinement.refine`, and where there are none look
            for points by the edges alone, see :func:`s2match.filling.fill`.
    """

    max_points: int
    refined: bool

    def apply(
        self,
        matches: Matches,
        reference: GreyImage,
        target: GreyImage,
        expected: NDArray[np.float64],
        share: float = 1.0,
        core: Window | None = None,
    ) -> Matches:
        """Finish the matches of a pass.

        Args:
            matches: What the network found.
            reference: What it saw of the reference.
            target: What it saw of the target.
            expected: 2×2, the steps (x, y) in the target that the grids lead to expect of steps in the reference.
            share: Of the common ground that the pass was for, 0 to 1.
            core: Part of the reference that the pass was for; None: all of it.
        """
        most = math.ceil(self.max_points * share)
        matches = thin(matches, most)
        if not self.refined:
            return matches
        # PyTorch takes a second to import: not before the images are being read
        from s2match.filling import fill
        from s2match.refinement import refine

        told = _linear(matches)
        matches = refine(matches, reference, target, expected if told is None else told)
        if told is None:
            return matches
        height, width = reference.valid.shape
        return thin(fill(matches, reference, target, told, core or Window(0, 0, width, height)), most)


def _linear(matches: Matches) -> NDArray[np.float64] | None:
    """2×2, steps (x, y) in the reference to steps in the target, by the matches; None where they are no evidence."""
    found = best_model(matches, "affine", _ROUGH_PX)
    return found.matrix[:2, :2] if found is not None and is_evidence(matches, found.inliers) else None
