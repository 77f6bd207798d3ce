"""Progress of training: a line of text, a table, and learning curves."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from s2match.outputs.figures.saving import save_figure
from s2match.outputs.figures.style import BLUE, GREEN, VERMILION, label_axes, new_figure
from s2match.util.atomic_write import atomic_write
from training.losses import Step

# Titles of the fields of a step.
_TITLES = ("coarse", "fine", "recall@0.2", "precision", "above 0.8", "error px", "slope")

_COLUMNS = ("step", "minutes", *_TITLES)


@dataclass(frozen=True)
class Row:
    """Mean figures of some consecutive steps.

    Attributes:
        step: The last of the steps.
        minutes: Training time up to it.
        figures: Means, in the order of :class:`training.losses.Step`; NaN where no step has a value.
    """

    step: int
    minutes: float
    figures: tuple[float, ...]

    def __str__(self) -> str:
        """One line of text."""
        columns = (f"{title} {value:.3f}" for title, value in zip(_TITLES, self.figures, strict=True))
        return f"step {self.step}  {self.minutes:.1f} min  " + "  ".join(columns).replace("nan", "–")


def row_of(step: int, minutes: float, log: Sequence[Step]) -> Row:
    """Row of some steps."""
    return Row(step, minutes, tuple(_mean([float(getattr(s, field.name)) for s in log]) for field in fields(Step)))


def read_rows(path: Path) -> list[Row]:
    """Rows of a table; none if the file does not exist."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(int(step), float(minutes), tuple(map(float, rest)))
            for step, minutes, *rest in list(csv.reader(file))[1:]
        ]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write the table as CSV, and its curves beside it as ``.png``."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_COLUMNS, *((row.step, row.minutes, *row.figures) for row in rows)])
    if rows:
        save_figure(plot_rows(rows), path.with_suffix(".png"))


def plot_rows(rows: Sequence[Row]) -> Figure:
    """Figure of losses, recall and precision, and the fine stage's error, by step."""
    figure = new_figure(16, 4.8)
    steps, figures = [row.step for row in rows], np.array([row.figures for row in rows])
    panels = (("loss", ("coarse", "fine")), ("fraction", _TITLES[2:5]), ("error in px, slope", _TITLES[5:]))
    for axes, (name, shown) in zip(figure.subplots(1, 3), panels, strict=True):
        for title, colour in zip(shown, (BLUE, VERMILION, GREEN), strict=False):
            axes.plot(steps, figures[:, _TITLES.index(title)], color=colour, label=title)
        label_axes(axes, "step", name)
        if shown != _TITLES[5:]:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=12)
    return figure


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
