"""Animation of images before and after their correction."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from s2match.outputs.figures.formats import check_animation_format
from s2match.timeseries.frames import Frame
from s2match.util.atomic_write import write_bytes

_LOG = logging.getLogger(__name__)

# Small images are enlarged by a whole factor up to this side.
_SIDE_PX = 320

# Height of the line of text above the images, width of the gap between them, and size of the letters.
_HEADER_PX, _GAP_PX, _FONT_PX = 34, 8, 20

# Half length of the cross at the centre of each image, which makes shifts visible.
_CROSS_PX = 14

_FRAME_MS = 450

# Grey levels are multiples of this, which GIF compresses better.
_STEP = 4

# Percentiles of the grey levels that become black and white.
_STRETCH_PERCENT = (1.0, 99.0)

# White is at most this many times as far from black as the median: roofs and cloud must not darken the ground.
_WHITE_IN_MEDIANS = 4.0

_WHITE = 255


def write_blink(frames: Sequence[Frame], path: str | Path) -> None:
    """Write an animated GIF that shows each date before the correction on the left, and after it on the right.

    Ground that stays in its place on the right, but jumps on the left, is corrected. The contrast of each date is
    stretched, with 0 as no data. Crops of about 300 px suit a page: a date takes about 140 kB.

    Args:
        frames: Label, image before and image after of each date; the images have one shape, and are grey or in colour.
        path: The file: ``.gif``.

    Raises:
        OutputError: The suffix is not that of a GIF, or the file cannot be written.
        ValueError: There is no frame, or an image has another shape, or another type than H×W or H×W×3 uint8.
    """
    path = Path(path)
    check_animation_format(path)
    _check(frames)
    pictures = [_picture(frame) for frame in frames]
    buffer, more = io.BytesIO(), pictures[1:]
    pictures[0].save(buffer, "GIF", save_all=True, append_images=more, duration=_FRAME_MS, loop=0, optimize=False)
    write_bytes(path, buffer.getvalue())
    _LOG.info("Wrote %s", path)


def _check(frames: Sequence[Frame]) -> None:
    images = [image for _, *images in frames for image in images]
    if not images:
        raise ValueError("an animation needs at least one date")
    if any(image.shape != images[0].shape or image.ndim not in (2, 3) or image.dtype != np.uint8 for image in images):
        raise ValueError("the images of an animation must be H×W or H×W×3 uint8 of one shape")


def _picture(frame: Frame) -> Image.Image:
    """A frame: the images side by side below a line of text."""
    label, before, after = frame
    before, after = _stretched(before, after)
    factor = max(1, _SIDE_PX // max(before.shape[:2]))
    height, width = (factor * side for side in before.shape[:2])
    grey = before.ndim == 2
    picture = Image.new("L" if grey else "RGB", (2 * width + _GAP_PX, height + _HEADER_PX), _WHITE if grey else "white")
    draw = ImageDraw.Draw(picture)
    for left, image, title in ((0, before, "before"), (width + _GAP_PX, after, "after")):
        enlarged = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
        picture.paste(enlarged, (left, _HEADER_PX))
        _draw_cross(draw, left + width // 2, _HEADER_PX + height // 2)
        _write(draw, f"{title}: {label}", left, width)
    return picture


def _stretched(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both images with the contrast of the second one stretched; 0 is no data and stays black."""
    values = after[after > 0]
    if not len(values):
        return before, after
    low, middle, high = np.percentile(values, (_STRETCH_PERCENT[0], 50.0, _STRETCH_PERCENT[1]))
    high = min(high, low + _WHITE_IN_MEDIANS * (middle - low))
    scale = (255 - _STEP) / max(high - low, 1.0)
    table = np.clip((np.arange(256) - low) * scale + _STEP, _STEP, 255).astype(np.uint8) // _STEP * _STEP
    table[0] = 0
    return table[before], table[after]


def _draw_cross(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """A white cross with a black edge, at the same place of each frame."""
    for shade, line, length in (("black", 3, _CROSS_PX + 1), ("white", 1, _CROSS_PX)):
        draw.line((x - length, y, x + length, y), shade, line)
        draw.line((x, y - length, x, y + length), shade, line)


def _write(draw: ImageDraw.ImageDraw, text: str, left: int, width: int) -> None:
    """Write a line above an image, in smaller letters where it is wider than the image."""
    size = _FONT_PX
    while size > 8 and draw.textlength(text, font=ImageFont.load_default(size)) > width:
        size -= 1
    draw.text((left, _HEADER_PX // 2), text, "black", font=ImageFont.load_default(size), anchor="lm")
