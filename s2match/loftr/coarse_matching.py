"""The coarse stage's matches from its tokens, block by block of rows: the score matrix never exists.

A score is the dot product of two tokens. Its softmax over the row says how sure a cell of image 0 is of its partner in
image 1, its softmax over the column how sure the partner is of it; the confidence of a match is their product.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from s2match.loftr.token_table import TokenTable

# Scores held at once, as float32: 16 MB stay in the cache of most processors; on a GPU, whose calls cost more than its
# memory, 256 MB.
_BLOCK_SCORES = 4_000_000
_BLOCK_SCORES_GPU = 64_000_000

# Rows of a block are a multiple of this, where there are as many: vector instructions then never end in half a vector.
_LANES = 32

# Below this confidence every cell has a match and none means anything.
MIN_THRESHOLD = 0.01

# Scores of which the largest is found at once.
_GROUP = 64

# Column sums below this lost digits to underflow and are taken again.
_SMALLEST_SUM = 1e-30

# Cells of a neighbourhood, and how many neighbourhoods are gathered at once.
_NEIGHBOURS = 9
_BLOCK_NEIGHBOURHOODS = 4096


@dataclass(frozen=True)
class Tokens:
    """What the coarse stage knows of the valid cells of an image.

    Attributes:
        values: (L, C) float32.
        cells: (L,) index of each token's cell, row by row over the whole grid.
        grid: Rows and columns of the grid.
    """

    values: Tensor
    cells: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True)
class CoarseMatches:
    """Which tokens match.

    Attributes:
        rows: (N,) tokens of image 0, ascending.
        columns: (N,) tokens of image 1.
        confidence: (N,) confidence in [0, 1].
    """

    rows: Tensor
    columns: Tensor
    confidence: Tensor

    def subset(self, chosen: Tensor) -> "CoarseMatches":
        """Some of them, chosen by an (N,) mask."""
        return CoarseMatches(self.rows[chosen], self.columns[chosen], self.confidence[chosen])


# Tokens of image 0 that are compared at once, and those of image 1 that they are compared with.
Block = tuple[slice, slice]


def _block_scores(device: torch.device) -> int:
    """Number of scores to hold at once on a device."""
    return _BLOCK_SCORES if device.type == "cpu" else _BLOCK_SCORES_GPU


def blocks(tokens0: Tensor, tokens1: Tensor) -> Iterator[Block]:
    """Slices of (L, ...) tokens of image 0, each with all (S, ...) tokens of image 1."""
    rows, columns = len(tokens0), len(tokens1)
    block = max(1, _block_scores(tokens0.device) // max(1, columns))
    if block > _LANES:
        block -= block % _LANES
    for start in range(0, rows, block):
        yield slice(start, min(start + block, rows)), slice(0, columns)


def blocks_in_bands(image0: Tokens, image1: Tokens, bands: Tensor) -> Iterator[Block]:
    """Those that may match where it is known about where the ground lies; the others are not scored.

    Args:
        image0: The rows.
        image1: The columns.
        bands: (R, 2) int64; a cell of row r of the grid of image 0 may match those of image 1 from row ``bands[r, 0]``
            to before row ``bands[r, 1]``.
    """
    for rows, _ in blocks(image0.cells, image1.cells):
        lines = image0.cells[rows] // image0.grid[1]
        band = bands[int(lines[0]) : int(lines[-1]) + 1]
        ends = torch.stack([band[:, 0].amin(), band[:, 1].amax()]) * image1.grid[1]
        first, last = torch.searchsorted(image1.cells, ends.to(image1.cells)).tolist()
        yield rows, slice(first, last)


class _ColumnSums:
    """Sums over the rows of exp(score), kept against a common reference, as blocks of rows come in."""

    def __init__(self, tokens0: Tensor, scaled1: Tensor) -> None:
        self._tokens0, self._scaled1 = tokens0, scaled1
        self._sum = torch.zeros(len(scaled1), device=tokens0.device)
        self._reference = torch.full((), -torch.inf, device=tokens0.device)

    def add(self, columns: slice, weight: Tensor, top: Tensor) -> None:
        """Add a block (S, B) of exp(score - top) to some columns, where ``top`` (B,) is each row's own."""
        highest = torch.maximum(self._reference, top.max())
        self._sum.mul_((self._reference - highest).exp())
        self._sum[columns] += weight @ (top - highest).exp()
        self._reference = highest

    def log(self, column: Tensor) -> Tensor:
        """(N,) logarithm of the sums of some columns."""
        logarithm = self._sum.log() + self._reference
        weak = column[self._sum[column] < _SMALLEST_SUM].unique()  # type: ignore[no-untyped-call]
        for start in range(0, len(weak), block := max(1, _block_scores(weak.device) // len(self._tokens0))):
            some = weak[start : start + block]
            logarithm[some] = torch.logsumexp(_products(self._tokens0, self._scaled1[some]), 0)
        return logarithm[column]


def dual_softmax_matches(
    tokens0: Tensor, tokens1: Tensor, scale: float, threshold: float, compared: Iterable[Block] | None = None
) -> CoarseMatches:
    """Mutual best matches by dual softmax, as kornia's ``CoarseMatching`` finds them.

    A pair is a match when its confidence exceeds the threshold and is the largest of its row and of its column. A
    confidence is a product of two shares, neither above 1, so only entries whose share of the row exceeds the threshold
    can be matches: they are noted on the way, few for each row, and finished when the column sums are known.

    Args:
        tokens0: (L, C) float32 features, the rows.
        tokens1: (S, C) float32 features, the columns.
        scale: Scores are dot products times this.
        threshold: Least confidence; taken as :data:`MIN_THRESHOLD` where it is smaller.
        compared: What is scored; None: all.
    """
    threshold = max(threshold, MIN_THRESHOLD)
    scaled1 = tokens1 * scale
    sums = _ColumnSums(tokens0, scaled1)
    none = tokens0.new_zeros(0)
    rows, columns, scores, row_shares = [none.long()], [none.long()], [none], [none]
    for some, others in compared or blocks(tokens0, tokens1):
        if others.start == others.stop:
            continue
        score = _products(scaled1[others], tokens0[some])
        top, _ = _best(score)
        weight = score.sub_(top).exp_()
        row_sum = weight.sum(0)
        sums.add(others, weight, top)
        hopeful = (row_sum * threshold < 1).nonzero()[:, 0]
        shares = weight[:, hopeful].T / row_sum[hopeful, None]
        found = (shares > threshold).nonzero()
        if len(found) == 0:
            # even an empty tensor that stays would settle where the next block's scores are to lie again
            continue
        row, column = hopeful[found[:, 0]], found[:, 1]
        rows.append(row + some.start)
        columns.append(column + others.start)
        scores.append(top[row] + weight[column, row].log())
        row_shares.append(shares[found[:, 0], found[:, 1]])
    row, column = torch.cat(rows), torch.cat(columns)
    confidence = torch.cat(row_shares) * (torch.cat(scores) - sums.log(column)).exp()
    best_of_row = confidence.new_zeros(len(tokens0)).scatter_reduce_(0, row, confidence, "amax")
    best_of_column = confidence.new_zeros(len(tokens1)).scatter_reduce_(0, column, confidence, "amax")
    best = (confidence == best_of_row[row]) & (confidence == best_of_column[column]) & (confidence > threshold)
    return CoarseMatches(row, column, confidence).subset(best)


def neighbourhood_matches(
    image0: Tokens, image1: Tokens, scale: float, threshold: float, compared: Iterable[Block] | None = None
) -> CoarseMatches:
    """Best matches of each cell of image 0, sure of where they lie to within a cell.

    Where a point falls between cells, its shares are split among two or four of them, and the product of two split
    shares is small however sure the network is: half a cell off the grid in both axes the best is 1/16. Here the shares
    of the 3×3 cells around the best are summed, over the row and over the column, before they are multiplied; the fine
    stage finds where among the cells the point lies. Of the rows that choose one column, those further than a cell from
    the one with the largest share fall out.

    Args:
        image0: The rows.
        image1: The columns.
        scale: Scores are dot products times this.
        threshold: Least confidence; taken as :data:`MIN_THRESHOLD` where it is smaller.
        compared: What is scored; None: all.
    """
    threshold = max(threshold, MIN_THRESHOLD)
    scaled1 = image1.values * scale
    sums = _ColumnSums(image0.values, scaled1)
    top = scaled1.new_full((len(image0.values),), -torch.inf)
    row_log, column = torch.zeros_like(top), torch.zeros_like(image0.cells)
    for some, others in compared or blocks(image0.values, image1.values):
        if others.start == others.stop:
            continue
        score = _products(scaled1[others], image0.values[some])
        top[some], best = _best(score)
        weight = score.sub_(top[some]).exp_()
        sums.add(others, weight, top[some])
        column[some] = best + others.start
        row_log[some] = top[some] + weight.sum(0).log()
    row = ((top - row_log).exp() * _NEIGHBOURS > threshold).nonzero()[:, 0]
    column = column[row]
    column_log = sums.log(column)
    confidence = _shares_around(image0.values[row] * scale, row_log[row], image1, column)
    confidence = confidence * _shares_around(image1.values[column] * scale, column_log, image0, row)
    chosen = (confidence > threshold) & _near_the_best(image0, row, column, top[row] - column_log)
    return CoarseMatches(row, column, confidence.clamp(max=1)).subset(chosen)


def _products(some: Tensor, others: Tensor) -> Tensor:
    """(L, S) dot products of (L, C) and (S, C), fastest where the others are few."""
    if some.device.type != "cpu":
        return some @ others.T
    # as a convolution oneDNN multiplies them, on AMD's processors three times as fast as MKL
    image = some[None, :, None].permute(0, 3, 1, 2)
    return functional.conv2d(image, others[:, :, None, None]).permute(0, 2, 3, 1).reshape(len(some), len(others))


def _best(score: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) largest of each column of (S, B) and where; by groups, which is many times as fast as ``max``."""
    whole = len(score) - len(score) % _GROUP
    tops = score[:whole].view(-1, _GROUP, score.shape[1]).amax(1)
    if whole < len(score):
        tops = torch.cat([tops, score[whole:].amax(0, keepdim=True)])
    top, group = tops.max(0)
    members = group * _GROUP + torch.arange(_GROUP, device=score.device)[:, None]
    members.clamp_(max=len(score) - 1)
    return top, members.gather(0, score.gather(0, members).argmax(0, keepdim=True))[0]


def _shares_around(tokens: Tensor, log_sums: Tensor, image: Tokens, centre: Tensor) -> Tensor:
    """(N,) sum of the shares that tokens (N, C) give to the 3×3 cells of an image around centres (N,)."""
    table = TokenTable(image.cells, image.grid, reach=1)
    found = torch.empty(len(centre), device=centre.device)
    for start in range(0, len(centre), _BLOCK_NEIGHBOURHOODS):
        some = slice(start, start + _BLOCK_NEIGHBOURHOODS)
        around = table.around(image.cells[centre[some]])
        score = torch.einsum("nc,nkc->nk", tokens[some], image.values[around.clamp(min=0)])
        found[some] = torch.where(around >= 0, (score - log_sums[some, None]).exp(), 0).sum(1)
    return found


def _near_the_best(image: Tokens, row: Tensor, column: Tensor, log_share: Tensor) -> Tensor:
    """(N,) whether a row lies within a cell of the row with the largest share of those that chose its column."""
    size = int(column.max()) + 1 if len(column) else 0
    largest = log_share.new_full((size,), -torch.inf).scatter_reduce_(0, column, log_share, "amax")
    # of equals the last row: any rule will do that is always the same
    leads = log_share == largest[column]
    best = column.new_zeros(size).scatter_reduce_(0, column[leads], row[leads], "amax")
    cell, other = image.cells[row], image.cells[best[column]]
    far = torch.maximum(
        (cell // image.grid[1] - other // image.grid[1]).abs(), (cell % image.grid[1] - other % image.grid[1]).abs()
    )
    return far <= 1
