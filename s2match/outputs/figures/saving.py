"""Figures as files."""

import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from s2match.outputs.figures.formats import check_format
from s2match.outputs.figures.style import DPI
from s2match.util.atomic_write import write_bytes

_LOG = logging.getLogger(__name__)

# Names within an SVG, which would be random.
_CONSTANT_NAMES: dict[Any, Any] = {"svg.hashsalt": "s2match"}


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure to a file in the format of its suffix; equal figures give equal bytes.

    Args:
        figure: The figure.
        path: The file.

    Raises:
        OutputError: The file cannot be written, or its suffix is not an image format.
    """
    check_format(path)
    write_bytes(path, encoded(figure, Path(path).suffix.lower()))
    _LOG.info("Wrote %s", path)


def encoded(figure: Figure, suffix: str) -> bytes:
    """The file of a figure in the format of a suffix, such as ``.png``."""
    buffer = io.BytesIO()
    with _laid_out(figure), matplotlib.rc_context(_CONSTANT_NAMES):
        figure.savefig(buffer, format=suffix.removeprefix("."), dpi=DPI, **_options(suffix))
    return buffer.getvalue()


def _options(suffix: str) -> dict[str, Any]:
    """Options of matplotlib's writers for the format of a suffix."""
    match suffix:
        case ".pdf":
            return {"metadata": {"CreationDate": None}}
        case ".svg":
            return {"metadata": {"Date": None}}
        case ".png":
            # satellite images hardly repeat: run-length coding takes a fifth of the time and the files are as large
            return {"pil_kwargs": {"compress_type": zlib.Z_RLE}}
    return {"pil_kwargs": {}}


def as_png(figure: Figure) -> bytes:
    """Encode a figure as PNG."""
    buffer = io.BytesIO()
    with _laid_out(figure):
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def as_jpeg(figure: Figure, width_px: int | None = None) -> bytes:
    """Encode a figure as JPEG, small enough to keep in a notebook.

    Args:
        figure: The figure.
        width_px: Width of the JPEG; None keeps the width of the figure.

    Returns:
        The JPEG file.
    """
    dpi = "figure" if width_px is None else width_px / figure.get_figwidth()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=dpi, pil_kwargs={"quality": 80, "optimize": True})
    return buffer.getvalue()


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Run the layout engine once: matplotlib would draw everything twice on saving."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
