"""How the numbers of a file become grey levels, as values."""

from dataclasses import dataclass

from s2match.errors import OptionError

# So many numbers a 16-bit image can hold.
_UINT16_NUMBERS = 1 << 16


@dataclass(frozen=True)
class ReadOptions:
    """What a user says of the numbers of the files, which overrules what the files say.

    Attributes:
        nodata: The number that means no data; not a number: none does. None: the file tells.
        offset: The number of 16-bit images that means reflectance 0. None: the file tells.
    """

    nodata: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        """Refuse an offset that no 16-bit image can have.

        Raises:
            OptionError: It is out of range.
        """
        if self.offset is not None and not 0 <= self.offset < _UINT16_NUMBERS:
            raise OptionError(
                f"Offset {self.offset:g} is out of range: it is the number that means reflectance 0, 0 to 65535, such "
                "as 1000 where ESA's metadata say -1000."
            )


AS_FILES_SAY = ReadOptions()


@dataclass(frozen=True)
class Radiometry:
    """How the numbers of a file become grey levels; decided once for the whole file.

    A grey level is ``gain * (number - origin)``, clipped to 1 to 255.

    Attributes:
        gain: Grey levels for each step of the number.
        origin: The number of grey level 0.
        kind: ``true colour`` (8 bits, as it is), ``reflectance`` (16 bits) or ``stretched``.
        saturated: Grey level at and above which a pixel is saturated; None where the file does not tell.
        nodata: The number that means no data; None where there is none, or a mask tells.
        nodata_from: Who says so: ``declared``, ``detected``, ``option``, ``mask``, ``alpha``, or ``zeros`` (patches of
            0 in every band count as no data, as nothing is declared); None where every number is data.
        offset: The number that means reflectance 0; None where the numbers are no reflectance.
        offset_from: Who says so: ``option``, ``tags`` of the file, ``metadata`` of the product, or the ``minimum`` of
            the file.
    """

    gain: float
    origin: float
    kind: str
    saturated: float | None = None
    nodata: float | None = None
    nodata_from: str | None = None
    offset: float | None = None
    offset_from: str | None = None
