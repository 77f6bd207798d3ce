"""Conversion of the numbers of a file to grey levels."""

from dataclasses import dataclass
from enum import StrEnum

from s2match.core.overview_sampling import OverviewSampling
from s2match.errors import OptionError

# Count of the numbers of 16 bits.
_UINT16_NUMBERS = 1 << 16


@dataclass(frozen=True)
class ReflectanceScale:
    """Linear scale of reflectance: ``(number - offset) / quantification_value``.

    Attributes:
        offset: Pixel value of reflectance 0.
        quantification_value: Difference of the pixel values of reflectance 1 and 0.
    """

    offset: float
    quantification_value: float


@dataclass(frozen=True)
class ReadOptions:
    """Options that override what the files declare about their numbers.

    Attributes:
        nodata: Nodata value; NaN for none. None: as the file declares.
        offset: Pixel value of reflectance 0 in 16-bit images. None: as the file declares.
    """

    nodata: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        """Check that a 16-bit image can have the offset.

        Raises:
            OptionError: The offset is out of range.
        """
        if self.offset is not None and not 0 <= self.offset < _UINT16_NUMBERS:
            raise OptionError(
                f"Offset {self.offset:g} is out of range: it is the pixel value of reflectance 0, 0 to 65535, such "
                "as 1000 where ESA's metadata say -1000."
            )


AS_FILES_SAY = ReadOptions()


class NodataSource(StrEnum):
    """Source of the nodata rule of a file."""

    OPTION = "option"
    DECLARED = "declared"
    ALPHA = "alpha"
    MASK = "mask"
    DETECTED = "detected"
    # nothing is declared, and patches of 0 in every band are nodata
    ZEROS = "zeros"


@dataclass(frozen=True)
class Radiometry:
    """Linear conversion of the numbers of a file to grey levels; decided once for the whole file.

    A grey level is ``gain * (number - origin)``, clipped to 1 to 255.

    Attributes:
        gain: Grey levels per step of the number.
        origin: The number of grey level 0.
        kind: ``true colour`` (8 bits, unchanged), ``reflectance`` (16 bits) or ``stretched``.
        saturated: Grey level at and above which a pixel is saturated; None if it is unknown.
        nodata: Nodata value; None if there is none, or if a mask marks nodata.
        nodata_from: Source of the nodata rule; None if every number is data.
        offset: Pixel value of reflectance 0; None if the file is not reflectance.
        offset_from: Source of the offset: ``option``, ``tags`` of the file, a ``catalogue``, ``metadata`` of the
            product, or the ``minimum`` of the file.
        bands: Indexes of the bands that are used, from 1; of a stack, of its first file.
        stack: Radiometry of each band, where the bands are files of their own.
        overviews: Positions of the samples of the file's overviews; None if it has none.
    """

    gain: float
    origin: float
    kind: str
    saturated: float | None = None
    nodata: float | None = None
    nodata_from: NodataSource | None = None
    offset: float | None = None
    offset_from: str | None = None
    bands: tuple[int, ...] = ()
    stack: tuple["Radiometry", ...] = ()
    overviews: OverviewSampling | None = None

    @property
    def of_files(self) -> tuple["Radiometry", ...]:
        """Radiometry of each file of the image: of each band of a stack, else its own."""
        return self.stack or (self,)
