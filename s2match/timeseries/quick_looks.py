"""Quick looks: what planning needs to know of an image, from a small reading of it."""

from dataclasses import dataclass

from s2match.core.grid import Grid


@dataclass(frozen=True)
class QuickLook:
    """What planning needs to know of an image.

    Attributes:
        grid: The pixels of the file and their georeference.
        clear_share: Fraction of the image's pixels that are valid, not masked and not saturated cloud, 0 to 1.
    """

    grid: Grid
    clear_share: float
