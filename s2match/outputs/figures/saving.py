"""Write figures to files."""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from s2match.outputs.figures.formats import check_format
from s2match.outputs.figures.style import DPI
from s2match.util.atomic_write import atomic_write


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure to a file in the format of its suffix.

    Raises:
        OutputError: The file cannot be written, or its suffix is no image format.
    """
    check_format(path)
    # images of the ground hold no repetitions worth looking for: a fifth of the time, for files as large
    options = {"compress_type": zlib.Z_RLE} if Path(path).suffix.lower() == ".png" else {}
    with atomic_write(path) as partial, _laid_out(figure):
        figure.savefig(partial, dpi=DPI, pil_kwargs=options)


def as_jpeg(figure: Figure, width_px: int | None = None) -> bytes:
    """The figure as a JPEG file, small enough to keep in a notebook.

    Args:
        figure: The figure.
        width_px: Width of the JPEG; None keeps the figure's own.
    """
    dpi = "figure" if width_px is None else width_px / figure.get_figwidth()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=dpi, pil_kwargs={"quality": 80, "optimize": True})
    return buffer.getvalue()


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out, once: where it is to be done on saving, matplotlib draws everything twice."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
