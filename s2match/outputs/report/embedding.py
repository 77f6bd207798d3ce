"""Images as data URIs in a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Longest side and JPEG quality of a satellite image.
_LONGEST_PX = 1400
_QUALITY = 78
# Width and number of colours of a figure; curves and letters need few colours.
_WIDTH_PX = 1600
_COLOURS = 96


def photo(image: NDArray[np.uint8]) -> str:
    """Data URI of an H×W×3 satellite image as JPEG, reduced to at most 1400 px."""
    picture = Image.fromarray(image)
    picture.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.BOX)
    return _uri(picture, "jpeg", quality=_QUALITY, optimize=True)


def figure(png: bytes, is_photo: bool) -> tuple[str, tuple[int, int]]:
    """Data URI of a figure, reduced to at most 1600 px of width.

    Args:
        png: The figure as a PNG file.
        is_photo: Whether it shows satellite images: JPEG, else PNG with 96 colours.

    Returns:
        The data URI, and the (width, height) in pixels.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((_WIDTH_PX, 10 * _WIDTH_PX), Image.Resampling.LANCZOS)
    if is_photo:
        return _uri(picture, "jpeg", quality=_QUALITY, optimize=True), picture.size
    return _uri(picture.quantize(_COLOURS, dither=Image.Dither.NONE), "png", optimize=True), picture.size


def animation(gif: bytes) -> tuple[str, tuple[int, int]]:
    """Data URI of an animated GIF as it is, and its (width, height) in pixels."""
    with Image.open(io.BytesIO(gif)) as picture:
        size = picture.size
    return _data_uri("gif", gif), size


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return _data_uri(kind, buffer.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
