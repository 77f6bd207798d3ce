"""Coarse matching by dual softmax (section 3.3 of the LoFTR paper), in blocks of rows.

A score is the scaled dot product of a token of image 0 (row) and one of image 1 (column). The confidence of a pair is
the product of its probabilities in the softmax over its row and in the softmax over its column. The whole score matrix
is never in memory. Both probabilities are at most 1, so only entries whose row probability exceeds the threshold can be
matches. These few entries are kept while the column sums accumulate. Then their confidence is computed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from s2match.loftr.products import linear
from s2match.loftr.tokens import Tokens, TokenTable

# Scores in memory at once, float32: 16 MB fit the cache of most CPUs; on a GPU, whose calls cost more than its memory,
# 256 MB.
_BLOCK_SCORES = 4_000_000
_BLOCK_SCORES_GPU = 64_000_000

# Blocks have a multiple of this many rows where possible, so that vector instructions are full.
_LANES = 32

# Lowest confidence threshold; below it every cell has a meaningless match.
MIN_THRESHOLD = 0.01

# Rows of scores whose maximum is taken in one step, see `_column_maxima`.
_GROUP = 64

# Column sums below this have lost digits to underflow and are computed again.
_MIN_SUM = 1e-30

# Cells of a neighbourhood, and neighbourhoods that are gathered at once.
_NEIGHBOURS = 9
_BLOCK_NEIGHBOURHOODS = 4096


@dataclass(frozen=True)
class CoarseMatches:
    """Pairs of matching tokens.

    Attributes:
        rows: (N,) token indices of image 0, ascending.
        columns: (N,) token indices of image 1.
        confidence: (N,) confidence in [0, 1].
    """

    rows: Tensor
    columns: Tensor
    confidence: Tensor

    def subset(self, mask: Tensor) -> "CoarseMatches":
        """The matches where an (N,) mask is true."""
        return CoarseMatches(self.rows[mask], self.columns[mask], self.confidence[mask])


# Token slices of image 0 and of image 1 whose scores are computed together.
Block = tuple[slice, slice]


def _block_scores(device: torch.device) -> int:
    """Number of scores in memory at once on a device."""
    return _BLOCK_SCORES if device.type == "cpu" else _BLOCK_SCORES_GPU


def blocks(tokens0: Tensor, tokens1: Tensor) -> Iterator[Block]:
    """Blocks of (L, ...) tokens of image 0, each with all (S, ...) tokens of image 1."""
    rows, columns = len(tokens0), len(tokens1)
    block = max(1, _block_scores(tokens0.device) // max(1, columns))
    if block > _LANES:
        block -= block % _LANES
    for start in range(0, rows, block):
        yield slice(start, min(start + block, rows)), slice(0, columns)


def blocks_in_bands(image0: Tokens, image1: Tokens, bands: Tensor) -> Iterator[Block]:
    """Blocks of tokens that may match according to a prior; all other scores are skipped.

    Args:
        image0: Tokens of image 0.
        image1: Tokens of image 1.
        bands: (R, 2) int64; cells of grid row r of image 0 may match cells of image 1 in grid rows ``bands[r, 0]``
            (inclusive) to ``bands[r, 1]`` (exclusive).
    """
    for rows, _ in blocks(image0.cells, image1.cells):
        grid_rows = image0.cells[rows] // image0.grid[1]
        band = bands[int(grid_rows[0]) : int(grid_rows[-1]) + 1]
        ends = torch.stack([band[:, 0].amin(), band[:, 1].amax()]) * image1.grid[1]
        first, last = torch.searchsorted(image1.cells, ends.to(image1.cells)).tolist()
        yield rows, slice(first, last)


class _ColumnSums:
    """Sums of exp(score) over the rows, relative to a common maximum, accumulated block by block."""

    def __init__(self, tokens0: Tensor, scaled1: Tensor) -> None:
        self._tokens0, self._scaled1 = tokens0, scaled1
        self._sum = torch.zeros(len(scaled1), device=tokens0.device)
        self._maximum = torch.full((), -torch.inf, device=tokens0.device)

    def add(self, columns: slice, weight: Tensor, row_maximum: Tensor) -> None:
        """Add a block (S, B) of exp(score - row_maximum) with the (B,) maximum of each row."""
        maximum = torch.maximum(self._maximum, row_maximum.max())
        self._sum.mul_((self._maximum - maximum).exp())
        self._sum[columns] += weight @ (row_maximum - maximum).exp()
        self._maximum = maximum

    def log(self, column: Tensor) -> Tensor:
        """(N,) logarithms of the sums of (N,) columns."""
        log_sum = self._sum.log() + self._maximum
        underflown = column[self._sum[column] < _MIN_SUM].unique()  # type: ignore[no-untyped-call]
        block_size = max(1, _block_scores(column.device) // len(self._tokens0))
        for start in range(0, len(underflown), block_size):
            block = underflown[start : start + block_size]
            log_sum[block] = torch.logsumexp(linear(self._tokens0, self._scaled1[block]), 0)
        return log_sum[column]


def dual_softmax_matches(
    tokens0: Tensor, tokens1: Tensor, scale: float, threshold: float, compared: Iterable[Block] | None = None
) -> CoarseMatches:
    """Mutual best matches by dual softmax, as kornia's ``CoarseMatching``.

    A pair is a match when its confidence exceeds the threshold and is the largest of its row and of its column.

    Args:
        tokens0: (L, C) float32 features, the rows.
        tokens1: (S, C) float32 features, the columns.
        scale: Factor from dot products to scores.
        threshold: Lowest confidence; at least :data:`MIN_THRESHOLD` is used.
        compared: Blocks to score; None: all.
    """
    threshold = max(threshold, MIN_THRESHOLD)
    scaled1 = tokens1 * scale
    sums = _ColumnSums(tokens0, scaled1)
    empty = tokens0.new_zeros(0)
    rows, columns, scores, row_probabilities = [empty.long()], [empty.long()], [empty], [empty]
    for block0, block1 in compared or blocks(tokens0, tokens1):
        if block1.start == block1.stop:
            continue
        score = linear(scaled1[block1], tokens0[block0])
        row_maximum, _ = _column_maxima(score)
        weight = score.sub_(row_maximum).exp_()
        row_sum = weight.sum(0)
        sums.add(block1, weight, row_maximum)
        candidate_rows = (row_sum * threshold < 1).nonzero()[:, 0]
        probability = weight[:, candidate_rows].T / row_sum[candidate_rows, None]
        candidates = (probability > threshold).nonzero()
        if len(candidates) == 0:
            # even an empty tensor that stays would change where the allocator puts the next block's scores
            continue
        row, column = candidate_rows[candidates[:, 0]], candidates[:, 1]
        rows.append(row + block0.start)
        columns.append(column + block1.start)
        scores.append(row_maximum[row] + weight[column, row].log())
        row_probabilities.append(probability[candidates[:, 0], candidates[:, 1]])
    row, column = torch.cat(rows), torch.cat(columns)
    confidence = torch.cat(row_probabilities) * (torch.cat(scores) - sums.log(column)).exp()
    matches = CoarseMatches(row, column, confidence)
    return matches.subset(_is_mutual_best(matches, len(tokens0), len(tokens1)) & (confidence > threshold))


def _is_mutual_best(matches: CoarseMatches, row_count: int, column_count: int) -> Tensor:
    """(N,) whether the confidence of each pair is the largest of its row and of its column."""
    row, column, confidence = matches.rows, matches.columns, matches.confidence
    best_of_row = confidence.new_zeros(row_count).scatter_reduce_(0, row, confidence, "amax")
    best_of_column = confidence.new_zeros(column_count).scatter_reduce_(0, column, confidence, "amax")
    return (confidence == best_of_row[row]) & (confidence == best_of_column[column])


def neighbourhood_matches(
    image0: Tokens, image1: Tokens, scale: float, threshold: float, compared: Iterable[Block] | None = None
) -> CoarseMatches:
    """Best match of each cell of image 0, with its confidence summed over 3×3 cells.

    The probability of a point between cells is split among two or four of them, and the product of two split
    probabilities is small even for a certain match: 1/16 for a point half a cell off in both axes. Here the
    probabilities of the 3×3 cells around the best one are summed, over the row and over the column, before they are
    multiplied. Fine matching then locates the point among these cells. Where several rows choose one column, only those
    within a cell of the row with the largest column probability remain.

    Args:
        image0: Tokens of image 0, the rows.
        image1: Tokens of image 1, the columns.
        scale: Factor from dot products to scores.
        threshold: Lowest confidence; at least :data:`MIN_THRESHOLD` is used.
        compared: Blocks to score; None: all.
    """
    threshold = max(threshold, MIN_THRESHOLD)
    scaled1 = image1.values * scale
    sums = _ColumnSums(image0.values, scaled1)
    row_maximum = scaled1.new_full((len(image0.values),), -torch.inf)
    row_log_sum, column = torch.zeros_like(row_maximum), torch.zeros_like(image0.cells)
    for block0, block1 in compared or blocks(image0.values, image1.values):
        if block1.start == block1.stop:
            continue
        score = linear(scaled1[block1], image0.values[block0])
        row_maximum[block0], best = _column_maxima(score)
        weight = score.sub_(row_maximum[block0]).exp_()
        sums.add(block1, weight, row_maximum[block0])
        column[block0] = best + block1.start
        row_log_sum[block0] = row_maximum[block0] + weight.sum(0).log()
    # nine probabilities are at most nine times the largest
    row = ((row_maximum - row_log_sum).exp() * _NEIGHBOURS > threshold).nonzero()[:, 0]
    column = column[row]
    column_log_sum = sums.log(column)
    confidence = _neighbourhood_probability(image0.values[row] * scale, row_log_sum[row], image1, column)
    confidence = confidence * _neighbourhood_probability(image1.values[column] * scale, column_log_sum, image0, row)
    kept = (confidence > threshold) & _is_near_best_row(image0, row, column, row_maximum[row] - column_log_sum)
    return CoarseMatches(row, column, confidence.clamp(max=1)).subset(kept)


def _column_maxima(score: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) maximum of each column of (S, B), and its row; in groups of rows, because ``max`` is many times slower."""
    whole = len(score) - len(score) % _GROUP
    group_maxima = score[:whole].view(-1, _GROUP, score.shape[1]).amax(1)
    if whole < len(score):
        group_maxima = torch.cat([group_maxima, score[whole:].amax(0, keepdim=True)])
    maximum, group = group_maxima.max(0)
    members = group * _GROUP + torch.arange(_GROUP, device=score.device)[:, None]
    members.clamp_(max=len(score) - 1)
    return maximum, members.gather(0, score.gather(0, members).argmax(0, keepdim=True))[0]


def _neighbourhood_probability(tokens: Tensor, log_sums: Tensor, image: Tokens, centres: Tensor) -> Tensor:
    """(N,) summed softmax probabilities of the 3×3 cells around (N,) centre tokens of an image.

    Args:
        tokens: (N, C) tokens of the other image, scaled.
        log_sums: (N,) logarithms of their softmax denominators.
        image: Tokens of the image.
        centres: (N,) indices of the centre tokens.
    """
    table = TokenTable(image.cells, image.grid, radius=1)
    probability = torch.empty(len(centres), device=centres.device)
    for start in range(0, len(centres), _BLOCK_NEIGHBOURHOODS):
        block = slice(start, start + _BLOCK_NEIGHBOURHOODS)
        neighbours = table.around(image.cells[centres[block]])
        score = torch.einsum("nc,nkc->nk", tokens[block], image.values[neighbours.clamp(min=0)])
        probability[block] = torch.where(neighbours >= 0, (score - log_sums[block, None]).exp(), 0).sum(1)
    return probability


def _is_near_best_row(image: Tokens, row: Tensor, column: Tensor, log_probability: Tensor) -> Tensor:
    """(N,) whether each row lies within a cell of the most probable of the rows that chose the same column."""
    size = int(column.max()) + 1 if len(column) else 0
    largest = log_probability.new_full((size,), -torch.inf).scatter_reduce_(0, column, log_probability, "amax")
    # the last of equal rows: any deterministic rule will do
    leads = log_probability == largest[column]
    best = column.new_zeros(size).scatter_reduce_(0, column[leads], row[leads], "amax")
    cell, best_cell = image.cells[row], image.cells[best[column]]
    columns = image.grid[1]
    distance = torch.maximum(
        (cell // columns - best_cell // columns).abs(), (cell % columns - best_cell % columns).abs()
    )
    return distance <= 1
