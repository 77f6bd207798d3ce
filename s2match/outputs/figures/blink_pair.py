"""Frames of an animation of a pair: reference and target in turn, before and after the model."""

import numpy as np

from s2match.core.scene import Scene
from s2match.outputs.figures.clearest_place import clearest_place
from s2match.result import PairResult
from s2match.timeseries.frames import Frame

# Side of the place in pixels of the matched size, and samples along a pixel.
_SIDE_PX, _SAMPLES = 120, 3


def pair_frames(result: PairResult) -> list[Frame]:
    """The clearest place of a pair: the reference, and the target where its georeference and where the model put it.

    Args:
        result: A pair with a registration.

    Returns:
        Label, image before and image after of the reference (twice the same) and of the target, S×S×3 uint8.
        Without a georeference to compare, the target before is that at the same pixels.
    """
    place = clearest_place(result, _SIDE_PX, _SAMPLES)
    reference, before, after = (np.asarray(image, np.uint8) for image in (place.reference, place.before, place.after))
    return [
        (f"reference {_date(result.reference.scene)}", reference, reference),
        (f"target {_date(result.target.scene)}", before, after),
    ]


def _date(scene: Scene) -> str:
    return scene.date or scene.title
