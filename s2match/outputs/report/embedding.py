"""Images as text that a page can hold."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Longest side of an image of the ground, pixels, and what its JPEG keeps.
_LONGEST_PX = 1400
_QUALITY = 78
# Width of a figure, pixels, and its colours: curves and letters need few.
_WIDTH_PX = 1600
_COLOURS = 96


def photo(image: NDArray[np.uint8]) -> str:
    """A data URI of an H×W×3 image of the ground, reduced where it is large."""
    picture = Image.fromarray(image)
    picture.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.BOX)
    return _uri(picture, "jpeg", quality=_QUALITY, optimize=True)


def figure(png: bytes, is_photo: bool) -> tuple[str, tuple[int, int]]:
    """A data URI of a figure, and its width and height in pixels.

    Args:
        png: The figure as a PNG file.
        is_photo: Whether it shows images of the ground.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((_WIDTH_PX, 10 * _WIDTH_PX), Image.Resampling.LANCZOS)
    if is_photo:
        return _uri(picture, "jpeg", quality=_QUALITY, optimize=True), picture.size
    return _uri(picture.quantize(_COLOURS, dither=Image.Dither.NONE), "png", optimize=True), picture.size


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
