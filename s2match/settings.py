"""How a pair is matched: every choice in one value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypedDict, Unpack

# Nothing here may import NumPy or PyTorch: the command reads its defaults from the class
from s2match.core.image_size import check_size
from s2match.core.radiometry import ReadOptions
from s2match.errors import OptionError
from s2match.registration.options import FitOptions

# Name of the weights that come with the package.
BUNDLED = "sentinel2"

# Width and height that images are matched at: a full tile then has 100 m per pixel.
IMAGE_SIZE = (1098, 1098)

# What each preset chooses; what is given beside it wins.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"image_size": None, "refine": True, "coverage": 0.1, "max_points": 5000},
    "thorough": {"image_size": None, "refine": True},
}

# What the network may run in; auto is the fastest of the processor or card that keeps the matches.
PRECISIONS = ("auto", "float32", "bfloat16")


class Choices(TypedDict, total=False):
    """The attributes of :class:`Settings` as keyword arguments."""

    weights: str
    device: str
    confidence: float
    geometry: str
    ransac_threshold_px: float
    seed: int
    max_points: int
    search_radius_m: float | None
    refine: bool | None
    coverage: float
    image_size: tuple[int, int] | None
    overlap_only: bool
    precision: str
    nodata: float | None
    offset: float | None


@dataclass(frozen=True)
class Settings:
    """How a pair is matched.

    Attributes:
        weights: Name or path of the weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        confidence: Matches kept have a confidence above this.
        geometry: Name of the model to fit, or ``auto`` to have it chosen.
        ransac_threshold_px: Largest distance of an inlier from the model, in pixels of the matched target. Fits that
            only tell where to look allow for at least 1.5 px, and 3 px where scale and turn are measured.
        seed: Seed of the robust fits.
        max_points: Matches to keep at most, spread evenly over the image.
        search_radius_m: How far from where it is expected a window's ground is sought, metres on the ground; None suits
            what tells where to expect it. Images that are matched in one pass are searched as a whole.
        refine: Measure matches again on the pixels, see :func:`s2match.matching.subpixel.refine`; None: where
            ``image_size`` is None.
        coverage: Share of the common ground to look at, where images are matched in windows; above 0, up to 1.
        image_size: Width and height to match at, in pixels; None for every pixel of the reference, the target at the
            same pixel size on the ground. Large images are matched in windows.
        overlap_only: Match nothing but the ground that both images show, see :func:`s2match.io.pair_grid.grids_of`.
        precision: Number format of the network, one of :data:`PRECISIONS`. Processors differ in what is fastest; with
            ``float32`` all of them find the same matches but for rounding.
        nodata: The number that means no data in both images, whatever the files say; not a number: none does. None: the
            files tell.
        offset: The number that means reflectance 0 in 16-bit images, such as 1000; None: the files tell.
    """

    weights: str = BUNDLED
    device: str = "auto"
    confidence: float = 0.8
    geometry: str = "auto"
    ransac_threshold_px: float = 1.5
    seed: int = 0
    max_points: int = 100_000
    search_radius_m: float | None = None
    refine: bool | None = None
    coverage: float = 1.0
    image_size: tuple[int, int] | None = IMAGE_SIZE
    overlap_only: bool = False
    precision: str = "auto"
    nodata: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range before any work is done.

        Whether the device exists is left to :func:`s2match.pipeline.check_device`: asking takes PyTorch's import.

        Raises:
            OptionError: A value is out of range.
            ImageSizeError: ``image_size`` is.
        """
        if not 0 <= self.confidence <= 1:
            raise OptionError(f"Confidence {self.confidence:g} is out of range: it must be 0 to 1.")
        if self.max_points < 1:
            raise OptionError(f"Maximum of {self.max_points} points is out of range: it must be 1 or more.")
        if self.search_radius_m is not None and not 0 <= self.search_radius_m < math.inf:
            raise OptionError(f"Search radius {self.search_radius_m:g} m is out of range: it must be 0 or more.")
        if not 0 < self.coverage <= 1:
            raise OptionError(f"Coverage {self.coverage:g} is out of range: it must be above 0, up to 1.")
        if self.precision not in PRECISIONS:
            raise OptionError(f"Unknown precision {self.precision!r}: choose {', '.join(PRECISIONS)}.")
        # these check their own values
        _ = self.fit_options, self.read_options
        if self.image_size is not None:
            # a list, as JSON has it, would not be equal to the tuple
            size = self.image_size
            object.__setattr__(self, "image_size", tuple(size) if isinstance(size, Sequence) else (size,))
            check_size(self.image_size)

    @classmethod
    def preset(cls, name: str, **choices: Unpack[Choices]) -> Self:
        """The settings of a preset, ``fast`` or ``thorough``; choices given beside it win.

        Raises:
            OptionError: There is no such preset, or a value is out of range.
        """
        if name not in PRESETS:
            raise OptionError(f"Unknown preset {name!r}: choose {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **choices})

    def but(self, **choices: Unpack[Choices]) -> Self:
        """The same settings with other values for some of them.

        Raises:
            OptionError: A value is out of range.
        """
        return replace(self, **choices) if choices else self

    @property
    def refined(self) -> bool:
        """Whether matches are measured again on the pixels."""
        return self.image_size is None if self.refine is None else self.refine

    @property
    def read_options(self) -> ReadOptions:
        """How the pixel values of the files are interpreted.

        Raises:
            OptionError: A value is out of range.
        """
        return ReadOptions(self.nodata, self.offset)

    @property
    def fit_options(self) -> FitOptions:
        """How models are fitted to the matches.

        Raises:
            OptionError: A value is out of range.
        """
        return FitOptions(self.geometry, self.ransac_threshold_px, self.seed)
