"""The clearest place of a pair: its reference, and its target before and after the model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable, expected_linear, predict
from s2match.outputs.figures.patches import linear_maps, matched_pixels, sampled
from s2match.outputs.figures.views import common_views
from s2match.outputs.figures.zooms import candidates_of, clearest_matches
from s2match.result import PairResult


@dataclass(frozen=True)
class ClearestPlace:
    """The surroundings of an inlier in the orientation and scale of the reference.

    Attributes:
        reference: S×S×3 uint8, the reference.
        before: S×S×3 uint8, the target where its georeference puts it; without one, its same pixels.
        after: S×S×3 uint8, the target where the model puts it.
    """

    reference: NDArray[np.uint8]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]


def clearest_place(result: PairResult, side_px: int, samples: int) -> ClearestPlace:
    """Where a pair shows its ground best.

    Args:
        result: A pair with a registration.
        side_px: Side of the place, in pixels of the matched size.
        samples: Samples along such a pixel.
    """
    registration = result.registration
    assert registration is not None, "the place of a pair shows its model"
    views = common_views(result)
    candidates = candidates_of(result)
    xy = result.matches.xy0[(clearest_matches(result, views, candidates, 1, side_px) or candidates)[0]]
    before_xy, before_linear = xy, np.eye(2)
    if comparable(result.reference, result.target):
        before_xy = predict(xy[None], result.reference, result.target)[0]
        before_linear = expected_linear(result.reference, result.target)

    def around(number: int, middle: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.uint8]:
        reach_px = side_px * float(np.abs(steps).sum(axis=1).max())
        pixels = matched_pixels(views[number], middle, reach_px)
        return sampled(pixels, middle, steps, (side_px, samples))

    return ClearestPlace(
        around(0, xy, np.eye(2)),
        around(1, before_xy, before_linear),
        around(1, registration.apply(xy[None])[0], linear_maps(result, xy[None])[0]),
    )
