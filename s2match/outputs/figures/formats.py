"""File formats of figures."""

from pathlib import Path

from s2match.errors import OutputError

_FIGURE_FORMATS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".pdf", ".svg")


def check_format(path: str | Path) -> None:
    """Refuse a file name whose suffix is not an image format of figures.

    Raises:
        OutputError: The suffix is not such a format.
    """
    if Path(path).suffix.lower() not in _FIGURE_FORMATS:
        raise OutputError(f"Cannot write {path}: its suffix must be one of {', '.join(_FIGURE_FORMATS)}.")


def check_animation_format(path: Path) -> None:
    """Refuse a file name that is not that of an animation.

    Raises:
        OutputError: It does not end in ``.gif``.
    """
    if path.suffix.lower() != ".gif":
        raise OutputError(f"Cannot write {path}: its suffix must be .gif.")
