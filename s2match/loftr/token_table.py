"""Which tokens lie in the cells around a cell, where only some cells of a grid have one."""

import torch
from torch import Tensor


class TokenTable:
    """The tokens of a grid by their cells."""

    def __init__(self, cells: Tensor, grid: tuple[int, int], reach: int) -> None:
        """Enter the tokens.

        Args:
            cells: (L,) cell of each token, row by row over the grid, each at most once.
            grid: Rows and columns.
            reach: Cells to each side that :meth:`around` looks at.
        """
        rows, self._columns = grid
        self._reach = torch.arange(2 * reach + 1, device=cells.device)
        self._tokens = torch.full((rows + 2 * reach, self._columns + 2 * reach), -1, device=cells.device)
        row, column = cells // self._columns + reach, cells % self._columns + reach
        self._tokens[row, column] = torch.arange(len(cells), device=cells.device)

    def around(self, cells: Tensor) -> Tensor:
        """(N, (2r + 1)²) tokens of the cells around each of (N,) cells, row-major; -1 where there is none."""
        row, column = (cells // self._columns)[:, None] + self._reach, (cells % self._columns)[:, None] + self._reach
        return self._tokens[row[:, :, None], column[:, None, :]].flatten(1)
