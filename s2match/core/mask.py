"""Masks as values: which files and rules say where an image is not matched."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2match.core.polygons import Drawing


@dataclass(frozen=True)
class Mask:
    """A file that says where nothing is to be matched.

    Attributes:
        path: A raster, or polygons.
        values: Values of a raster that mask; None: those that :mod:`s2match.io.masks` knows for it.
        drawing: What polygons draw on an image, where they have been read already.
    """

    path: Path
    values: tuple[int, ...] | None = None
    drawing: "Drawing | None" = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Take a path as text, too."""
        object.__setattr__(self, "path", Path(self.path))


@dataclass(frozen=True)
class Masking:
    """Where an image is not to be matched, though it has data.

    Attributes:
        masks: Files that say so.
        clouds: Whether saturated cloud in the image itself does.
    """

    masks: tuple[Mask, ...] = ()
    clouds: bool = False

    def __bool__(self) -> bool:
        """Whether anything is masked at all."""
        return bool(self.masks) or self.clouds


UNMASKED = Masking()
