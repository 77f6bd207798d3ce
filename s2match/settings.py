"""``Settings``: every option of matching and fitting a pair, in one value."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypedDict, Unpack

# Nothing here may import NumPy or PyTorch: the command reads its defaults from the class
from s2match.core.area import AreaOfInterest, area_of
from s2match.core.band_choice import check_bands
from s2match.core.image_size import REDUCED_SIDE_PX, check_size
from s2match.core.radiometry import ReadOptions
from s2match.errors import OptionError
from s2match.registration.options import DEFAULT_FIT, FitOptions

# Name of the weights that come with the package.
BUNDLED = "sentinel2"

# Weights that are downloaded when they are first used.
DOWNLOADED = ("outdoor", "indoor", "indoor_new")

# Default width and height to match at.
IMAGE_SIZE = (REDUCED_SIDE_PX, REDUCED_SIDE_PX)

# Settings of each preset; explicit ones override them.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"image_size": None, "coverage": 0.1, "max_points": 5000},
    "thorough": {"image_size": None},
}

# Number formats of the network; auto is the fastest of the device that keeps the matches.
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
    refine: bool
    coverage: float
    image_size: tuple[int, int] | None
    overlap_only: bool
    enlarge: bool
    precision: str
    nodata: float | None
    offset: float | None
    bands: Sequence[str | int] | str | None
    aoi: "Sequence[float] | str | os.PathLike[str] | None"
    aoi_crs: str | None


@dataclass(frozen=True)
class Settings:
    """The options of a pair.

    Attributes:
        weights: Name or path of the weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        confidence: Threshold that the confidence of every match exceeds, 0 to 1.
        geometry: Model to fit, one of :data:`s2match.registration.options.MODELS`, or ``auto`` to have it chosen.
        ransac_threshold_px: Largest distance of an inlier from the model, in pixels of the matched target. Fits that
            only predict positions use at least 1.5 px, and the fit that measures scale and rotation at least 3 px.
        seed: Seed of the robust fits.
        max_points: Maximum number of matches, evenly spread over the image.
        search_radius_m: Search radius around the predicted position of a window, in metres on the ground. None: by the
            uncertainty of the prediction. Only for images that are matched in windows.
        refine: Whether to refine matches to sub-pixel accuracy, see :func:`s2match.matching.subpixel.refine`.
        coverage: Fraction of the common ground that is matched, where images are matched in windows; above 0, up to 1.
        image_size: Largest width and height to match at, in pixels. None for every pixel. Georeferenced images are
            matched at one pixel size on the ground. Large images are matched in windows.
        overlap_only: Whether to match only the ground that both images show, see
            :func:`s2match.io.pair_grid.grids_of`.
        enlarge: Whether to match at ``image_size`` even where an image has fewer pixels.
        precision: Number format of the network, one of :data:`PRECISIONS`. The fastest depends on the processor. With
            ``float32`` the matches are the same on all of them, except for rounding.
        nodata: Nodata value of both images, which overrides that of the files; NaN for none. None: the value of each
            file.
        offset: Pixel value of reflectance 0 in 16-bit images, such as 1000. None: the value of each file.
        bands: One or three bands to match: names of bands of a product, such as ``("B04", "B03", "B02")`` or ``"B08"``,
            or indexes of bands of a file, from 1. None: the true-colour image of a product; of a file red, green and
            blue, or else the first three, or else the first.
        aoi: The ground that is matched, both images cropped to its bounding box: (west, south, east, north) or the path
            of a file of polygons. None for all of it.
        aoi_crs: Code of the reference system of such a box, such as ``EPSG:32636``; None for degrees (WGS 84).
    """

    weights: str = BUNDLED
    device: str = "auto"
    confidence: float = 0.8
    geometry: str = "auto"
    ransac_threshold_px: float = DEFAULT_FIT.threshold_px
    seed: int = 0
    max_points: int = 100_000
    search_radius_m: float | None = None
    refine: bool = True
    coverage: float = 1.0
    image_size: tuple[int, int] | None = IMAGE_SIZE
    overlap_only: bool = False
    enlarge: bool = False
    precision: str = "auto"
    nodata: float | None = None
    offset: float | None = None
    bands: Sequence[str | int] | str | None = None
    aoi: "Sequence[float] | str | os.PathLike[str] | None" = None
    aoi_crs: str | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range before any work is done.

        Whether the device exists is checked by :func:`s2match.pipeline.check_device`, which needs PyTorch.

        Raises:
            OptionError: A value is out of range.
            ImageSizeError: ``image_size`` is out of range.
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
        object.__setattr__(self, "bands", check_bands(self.bands) or None)
        # they check their own values
        _ = self.fit_options, self.read_options
        area = self.area
        if area is not None:
            # a list or a path would not be equal to the tuple or the text
            object.__setattr__(self, "aoi", area.where)
        if self.image_size is not None:
            # a list, as JSON has it, would not be equal to the tuple
            size = self.image_size
            object.__setattr__(self, "image_size", tuple(size) if isinstance(size, Sequence) else (size,))
            check_size(self.image_size)

    @classmethod
    def preset(cls, name: str, **choices: Unpack[Choices]) -> Self:
        """The settings of a preset.

        Args:
            name: ``fast`` or ``thorough``.
            **choices: Attributes that override those of the preset.

        Raises:
            OptionError: There is no such preset, or a value is out of range.
        """
        if name not in PRESETS:
            raise OptionError(f"Unknown preset {name!r}: choose {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **choices})

    def but(self, **choices: Unpack[Choices]) -> Self:
        """The same settings with other values.

        Args:
            **choices: Attributes that replace those of these settings.

        Raises:
            OptionError: A value is out of range.
        """
        return replace(self, **choices) if choices else self

    @property
    def read_options(self) -> ReadOptions:
        """How the pixel values of the files are interpreted.

        Raises:
            OptionError: A value is out of range.
        """
        return ReadOptions(self.nodata, self.offset)

    @property
    def area(self) -> AreaOfInterest | None:
        """The ground that is matched; None for all of it.

        Raises:
            OptionError: A value is out of range, or there is a reference system without an area.
        """
        if self.aoi is None:
            if self.aoi_crs is not None:
                raise OptionError("A reference system of the area of interest has no effect without --aoi.")
            return None
        return area_of(self.aoi, self.aoi_crs)

    @property
    def fit_options(self) -> FitOptions:
        """How models are fitted to the matches.

        Raises:
            OptionError: A value is out of range.
        """
        return FitOptions(self.geometry, self.ransac_threshold_px, self.seed)
