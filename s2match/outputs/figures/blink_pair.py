"""Frames of an animation of a pair: reference and target in turn, before and after the model."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable, expected_linear, predict
from s2match.outputs.figures.patches import linear_maps, matched_pixels, sampled
from s2match.outputs.figures.style import inliers_of, spread_evenly
from s2match.outputs.figures.views import common_views
from s2match.outputs.figures.zooms import zooms_of
from s2match.result import PairResult
from s2match.timeseries.frames import Frame

# Side of the place in pixels of the matched size, and samples along a pixel.
_SIDE_PX, _SAMPLES = 120, 3

# Inliers among which the place is chosen.
_CANDIDATES = 300


def pair_frames(result: PairResult) -> list[Frame]:
    """The clearest place of a pair: the reference, and the target where its georeference and where the model put it.

    Args:
        result: A pair with a registration.

    Returns:
        Label, grey image before and grey image after of the reference (twice the same) and of the target, S×S uint8.
        Without a georeference to compare, the target before is that at the same pixels.
    """
    registration = result.registration
    assert registration is not None, "an animation of a pair shows its model"
    views = common_views(result)
    inliers = np.flatnonzero(inliers_of(result))
    inliers = inliers[spread_evenly(result.matches.xy0[inliers], _CANDIDATES)]
    zooms = zooms_of(result, views, inliers, 1)
    xy = result.matches.xy0[zooms[0].index if zooms else inliers[0]]
    linear = linear_maps(result, xy[None])[0]
    before_xy, before_linear = xy, np.eye(2)
    if comparable(result.reference, result.target):
        before_xy = predict(xy[None], result.reference, result.target)[0]
        before_linear = expected_linear(result.reference, result.target)

    def around(number: int, middle: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.uint8]:
        reach_px = _SIDE_PX * float(np.abs(steps).sum(axis=1).max())
        pixels = matched_pixels(views[number], middle, reach_px)
        return np.asarray(sampled(pixels, middle, steps, (_SIDE_PX, _SAMPLES)).mean(axis=2), np.uint8)

    reference = around(0, xy, np.eye(2))
    before = around(1, before_xy, before_linear)
    after = around(1, registration.apply(xy[None])[0], linear)
    return [
        (result.reference.scene.title, reference, reference),
        (result.target.scene.title, before, after),
    ]
