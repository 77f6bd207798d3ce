"""Images sampled at any positions, for known movements."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Quintic splines place waves of three pixels and more to 0.01 px, and of five and more to 0.0002 px. OpenCV rounds
# positions to 1/32 px, and its Lanczos-4 places long waves to 0.025 px.
_ORDER = 5

# Pixels around the positions that a spline is fitted to: it forgets an edge within these.
_MARGIN_PX = 16


def sampled(image: NDArray[np.uint8], xy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Values of an image at positions, by quintic B-splines (Unser, "Splines", IEEE Signal Processing Magazine 1999).

    Args:
        image: (H, W) or (H, W, B).
        xy: (h, w, 2) positions (x, y) in pixels, GDAL frame. Beyond its edges the image is mirrored.

    Returns:
        (h, w) or (h, w, B) values, rounded and limited to 0 to 255.
    """
    rows, columns = np.moveaxis(xy, -1, 0)[::-1] - 0.5
    low = max(0, int(rows.min()) - _MARGIN_PX)
    part = image[low : int(rows.max()) + _MARGIN_PX + 2].astype(np.float32)
    bands = [
        ndimage.map_coordinates(band, (rows - low, columns), np.float32, _ORDER, "reflect")
        for band in np.atleast_3d(part).transpose(2, 0, 1)
    ]
    values: NDArray[np.uint8] = np.clip(np.rint(np.stack(bands, axis=-1)), 0, 255).astype(np.uint8)
    return values if image.ndim == 3 else np.ascontiguousarray(values[..., 0])


def pixel_centres(size: tuple[int, int], top: int = 0, bottom: int | None = None) -> NDArray[np.float64]:
    """(h, w, 2) centres (x, y) of the pixels of an image of a size (width, height), or of some of its rows."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(top, size[1] if bottom is None else bottom) + 0.5)
    return np.stack([x, y], axis=-1)
