"""Validity of points by the validity of pixels."""

import numpy as np
from numpy.typing import NDArray


def valid_at(
    valid: NDArray[np.bool_], xy: NDArray[np.float64], size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """(N,) bool, whether points fall on valid pixels; False for points outside the image.

    Args:
        valid: H×W mask of the valid pixels.
        xy: (N, 2) points (x, y), GDAL frame.
        size: Width and height of the image in the pixels of the points, if the mask has another size.
    """
    sides = valid.shape[::-1]
    pixels = xy if size is None else xy / size * sides
    inside = np.asarray(((pixels >= 0) & (pixels < sides)).all(axis=1))
    column, row = np.where(inside[:, None], pixels, 0).astype(np.intp).T
    return np.asarray(inside & valid[row, column])
