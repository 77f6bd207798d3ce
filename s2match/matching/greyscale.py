"""Images as the network sees them: grey, stretched, nodata 0."""

import numpy as np

from s2match.core.matches import GreyImage
from s2match.core.raster import Patch, Raster


def prepare(raster: Raster | Patch) -> GreyImage:
    """Turn an image into what the network sees: the mean of the bands, stretched.

    The 1st percentile of the valid pixels becomes 0 and the 97th becomes 1, so that dark scenes use the whole range and
    cloud, which says nothing of the ground, is what saturates. Nodata becomes 0.
    """
    grey = raster.image.mean(axis=2, dtype=np.float32)
    low, high = np.percentile(grey[raster.valid], [1, 97])
    stretched = np.clip((grey - low) / max(high - low, 1.0), 0, 1)
    return GreyImage(np.where(raster.valid, stretched, 0).astype(np.float32), raster.valid)
