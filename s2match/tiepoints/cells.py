"""Columns of numbers as lines of text, and rows of text as columns of numbers."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.util.atomic_write import write_text

# Columns by name, (N,) numbers each; unknown ones are not a number.
Table = dict[str, NDArray[np.float64]]


def cells(values: NDArray[Any]) -> list[float | int | None]:
    """The numbers of a column; None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def csv_lines(columns: Iterable[NDArray[Any]]) -> list[str]:
    """Rows of numbers, separated by commas; missing numbers are empty."""
    rows = zip(*(cells(values) for values in columns), strict=True)
    return [",".join("" if value is None else repr(value) for value in row) for row in rows]


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text, in UTF-8 and with the same line ends on every system.

    Raises:
        OutputError: The file cannot be written.
    """
    write_text(path, "".join(f"{line}\n" for line in lines))


def table_of(names: Sequence[str], rows: Sequence[Sequence[Any]], wanted: Sequence[str]) -> Table:
    """Columns of numbers from rows; empty rows are left out, and empty cells become NaN.

    Args:
        names: Names of the columns.
        rows: Their cells.
        wanted: Names of the columns to read, where they are present.

    Raises:
        ValueError: A row has another number of cells than there are names, or a cell is not a number.
    """
    rows = [row for row in rows if len(row)]
    odd = next((k for k, row in enumerate(rows) if len(row) != len(names)), None)
    if odd is not None:
        raise ValueError(f"its row {odd + 1} has {len(rows[odd])} values instead of {len(names)}")
    return {name: numbers(name, [row[k] for row in rows]) for k, name in enumerate(names) if name in wanted}


def numbers(name: str, values: Iterable[Any]) -> NDArray[np.float64]:
    """A column of cells as numbers; empty cells become NaN.

    Raises:
        ValueError: A cell is not a number.
    """
    try:
        return np.array([np.nan if value in (None, "") else float(value) for value in values])
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"its column {name} has a value that is not a number") from None
