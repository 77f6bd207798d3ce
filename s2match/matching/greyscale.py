"""Grey images for the matcher: stretched to [0, 1], nodata 0."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage
from s2match.core.raster import Patch, Raster
from s2match.resampling.area import AxisMap, resample


def prepare(raster: Raster | Patch) -> GreyImage:
    """The mean of the bands, stretched to [0, 1]; nodata becomes 0.

    The 1st percentile of the valid pixels becomes 0 and the 97th becomes 1. Dark scenes then use the whole range, and
    cloud, which shows no ground, saturates.
    """
    grey = mean_of_bands(raster.image)
    low, high = np.percentile(grey[raster.valid], [1, 97])
    stretched = np.clip((grey - low) / max(high - low, 1.0), 0, 1)
    return GreyImage(np.where(raster.valid, stretched, 0).astype(np.float32), raster.valid)


def mean_of_bands(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """H×W mean of the bands of an H×W×3 image."""
    red, green, blue = np.moveaxis(image, 2, 0)
    # many times faster than a mean along an axis of three
    return np.asarray((red.astype(np.float32) + green + blue) / np.float32(3))


def enlarge(image: GreyImage, scale: int) -> GreyImage:
    """The image at a multiple of its size, by linear interpolation; the original image if the scale is 1."""
    if scale == 1:
        return image
    rows, columns = (AxisMap(side * scale, 1 / scale, 0.0) for side in image.valid.shape)
    valid = np.repeat(np.repeat(image.valid, scale, axis=0), scale, axis=1)
    return GreyImage(np.where(valid, resample(image.grey, rows, columns), 0).astype(np.float32), valid)
