"""Cells of tables, and tables as CSV."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        unit: Its unit; empty for a name, a number of things or a fraction.
        meaning: What it holds, in one line.
    """

    unit: str
    meaning: str


def cell(value: Any) -> Cell:
    """A value of a row as it is in all tables: numbers with six significant digits, None where there is none."""
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return None if value == "" else value


def csv_text(columns: Iterable[str], rows: Iterable[Any]) -> str:
    """A CSV with a header.

    Args:
        columns: Names of the columns.
        rows: Objects with an attribute for each column.
    """
    names, text = list(columns), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(cell(getattr(row, name))) for name in names] for row in rows)
    return text.getvalue()


def _csv_cell(value: Cell) -> Cell:
    """A cell for :mod:`csv`, which writes None as an empty cell."""
    return str(value).lower() if isinstance(value, bool) else value
