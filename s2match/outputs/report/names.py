"""Names of the files of a report."""

from pathlib import Path

PAGE = "index.html"

# Names of all figures, see s2match.outputs.figures.charts.
FIGURES = (
    "matches",
    "overlay",
    "checkerboard",
    "swipe",
    "vectors",
    "shifts",
    "errors",
    "residuals",
    "confidence",
)


def report_files(directory: Path) -> tuple[Path, ...]:
    """Every file that a report in a folder may write."""
    return (directory / PAGE, *(figure_file(directory, name) for name in FIGURES))


def figure_file(directory: Path, name: str) -> Path:
    """Path of a figure in the folder of a report."""
    return directory / f"{name}.png"
