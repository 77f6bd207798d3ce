"""Images as data URIs in a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Quality of WebP, of satellite images and of diagrams, and effort of its encoder.
_QUALITY, _DIAGRAM_QUALITY, _EFFORT = 66, 80, 4
# Largest width of a figure.
_WIDTH_PX = 1400


def photo(image: NDArray[np.uint8]) -> str:
    """Data URI of an H×W×3 satellite image, or an H×W×4 one with transparency, as WebP."""
    return _uri(Image.fromarray(image), "webp", quality=_QUALITY, method=_EFFORT)


def figure(png: bytes, is_photo: bool) -> tuple[str, tuple[int, int]]:
    """Data URI of a figure as WebP, reduced to at most 1400 px of width.

    Args:
        png: The figure as a PNG file.
        is_photo: Whether it shows satellite images; others are encoded with less loss.

    Returns:
        The data URI, and the (width, height) in pixels.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((_WIDTH_PX, 10 * _WIDTH_PX), Image.Resampling.LANCZOS)
    quality = _QUALITY if is_photo else _DIAGRAM_QUALITY
    return _uri(picture, "webp", quality=quality, method=_EFFORT), picture.size


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
