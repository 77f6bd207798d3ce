"""Tokens of the valid cells of a coarse grid, and their lookup by cell."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """Coarse features of the valid cells of an image.

    Attributes:
        values: (L, C) float32 features.
        cells: (L,) row-major index of each token's cell in the grid, ascending.
        grid: Rows and columns of the grid.
    """

    values: Tensor
    cells: Tensor
    grid: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory of the features and their cells."""
        return self.values.nbytes + self.cells.nbytes


class TokenTable:
    """Lookup of tokens by cell, for grids in which only some cells have a token."""

    def __init__(self, cells: Tensor, grid: tuple[int, int], radius: int) -> None:
        """Build the table.

        Args:
            cells: (L,) row-major index of each token's cell, each at most once.
            grid: Rows and columns.
            radius: Radius in cells of the neighbourhoods of :meth:`around`.
        """
        rows, self._columns = grid
        self._offsets = torch.arange(2 * radius + 1, device=cells.device)
        self._tokens = torch.full((rows + 2 * radius, self._columns + 2 * radius), -1, device=cells.device)
        row, column = cells // self._columns + radius, cells % self._columns + radius
        self._tokens[row, column] = torch.arange(len(cells), device=cells.device)

    def around(self, cells: Tensor) -> Tensor:
        """(N, (2r + 1)²) token indices in the neighbourhoods of (N,) cells, row-major; -1 for cells without a token."""
        row, column = (
            (cells // self._columns)[:, None] + self._offsets,
            (cells % self._columns)[:, None] + self._offsets,
        )
        return self._tokens[row[:, :, None], column[:, None, :]].flatten(1)
