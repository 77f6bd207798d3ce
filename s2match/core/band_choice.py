"""The bands that a user chooses."""

# Nothing here may import more: the command reads its settings first
from collections.abc import Sequence

from s2match.errors import OptionError

# Grey and colour images.
_BAND_COUNTS = (1, 3)


def check_bands(bands: Sequence[str | int] | str | None) -> tuple[str, ...]:
    """Names of bands as text; empty for None.

    Raises:
        OptionError: They are not one or three.
    """
    if bands is None:
        return ()
    names = (bands,) if isinstance(bands, str | int) else tuple(bands)
    if len(names) not in _BAND_COUNTS:
        raise OptionError(
            f"An image is made of one band or of three, and {len(names)} are chosen: {', '.join(map(str, names))}."
        )
    return tuple(str(name).strip() for name in names)
