"""Sizes that images can be read at."""

from numbers import Integral

from s2match.errors import ImageSizeError

# Shortest side that can be matched.
MIN_SIDE_PX = 64

MAX_SIDE_PX = 32_768

# Longest side of images that are matched, compared and drawn in one piece; larger ones are read in windows.
ONE_PASS_PX = 2048

# Side of a reduced image: a full Sentinel-2 tile then has pixels of 100 m.
REDUCED_SIDE_PX = 1098

# Factors by which images with a side below a number of pixels are enlarged for the network.
_NETWORK_SCALES = ((96, 2),)


def fit_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Size (width, height) scaled to ``longest`` as its longer side; no side is shorter than ``MIN_SIDE_PX``."""
    width, height = (max(MIN_SIDE_PX, round(side * longest / max(size))) for side in size)
    return width, height


def network_scale(*sizes: tuple[int, int]) -> int:
    """Factor by which images are enlarged for the network alone.

    The network has cells of 8 px and no matches within a border of two of them: it sees too little of a small image.
    No image is enlarged above :data:`ONE_PASS_PX`.

    Args:
        *sizes: Width and height of the images of a pair.
    """
    sides = [side for size in sizes for side in size]
    wanted = next((scale for below_px, scale in _NETWORK_SCALES if min(sides) < below_px), 1)
    return max(1, min(wanted, ONE_PASS_PX // max(sides)))


def check_size(size: tuple[int, int]) -> None:
    """Check that images can be resized to a size.

    Raises:
        ImageSizeError: The size is not two whole numbers, or a side is shorter than ``MIN_SIDE_PX`` or longer than
            ``MAX_SIDE_PX``.
    """
    if len(size) != 2 or not all(isinstance(side, Integral) for side in size):
        raise ImageSizeError(f"Image size {size} is not a width and a height: give two whole numbers.")
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in size):
        raise ImageSizeError(
            f"Image size {size[0]} {size[1]} is out of range: each side must be {MIN_SIDE_PX} to {MAX_SIDE_PX} px."
        )
