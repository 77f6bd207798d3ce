"""One match for each 2 × 2 cells of the reference: fine matching and the local fits need no more.

The windows of neighbouring cells overlap and share their errors, so that each further match adds work but no knowledge.
The other matches of a block take their point from the local fit of its representative.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Cells along a side of a block.
_BLOCK_CELLS = 2


@dataclass(frozen=True)
class Representatives:
    """The most confident match in each block of cells.

    Attributes:
        indices: (M,) their indices, ascending.
        of: (N,) for each match the position of its representative in ``indices``.
        confidence: (M,) summed confidence of the matches of each block.
        steps: (N, 2) cells (x, y) from the representative's cell to that of each match.
    """

    indices: Tensor
    of: Tensor
    confidence: Tensor
    steps: Tensor


def representatives(cells: Tensor, confidence: Tensor, grid: tuple[int, int]) -> Representatives:
    """The most confident match in each block of cells.

    Args:
        cells: (N,) row-major cells of the matches in the reference, ascending, each at most once; N is at least 1.
        confidence: (N,) confidence of the matches.
        grid: Rows and columns of the cells.
    """
    columns = grid[1]
    row, column = cells // columns, cells % columns
    key = row // _BLOCK_CELLS * columns + column // _BLOCK_CELLS
    _, block = torch.unique(key, return_inverse=True)
    count = int(block.max()) + 1
    most = confidence.new_zeros(count).scatter_reduce(0, block, confidence, "amax", include_self=False)
    # of equal ones the first
    candidates = torch.where(confidence == most[block], torch.arange(len(cells), device=cells.device), len(cells))
    chosen = candidates.new_full((count,), len(cells)).scatter_reduce(0, block, candidates, "amin")
    indices, order = chosen.sort()
    position = torch.empty_like(order)
    position[order] = torch.arange(count, device=cells.device)
    of = position[block]
    summed = confidence.new_zeros(count).index_add(0, of, confidence)
    place = torch.stack([column, row], 1)
    return Representatives(indices, of, summed, (place - place[indices][of]).to(confidence.dtype))
