"""What a report writes, known before there is one."""

from pathlib import Path

PAGE = "index.html"

# Figures that some result has, see s2match.outputs.figures.charts.
FIGURES = ("checkerboard", "swipe", "vectors", "shifts", "errors", "residuals", "confidence")


def report_files(directory: Path) -> tuple[Path, ...]:
    """Every file that a report in a folder may write."""
    return (directory / PAGE, *(figure_file(directory, name) for name in FIGURES))


def figure_file(directory: Path, name: str) -> Path:
    """Where a figure is written."""
    return directory / f"{name}.png"
