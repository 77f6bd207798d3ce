"""Losses of LoFTR's coarse and fine stages, and a training step of kornia's network."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from kornia.feature import LoFTR

from s2match.loftr.coarse_matching import neighbourhood_matches
from s2match.loftr.feature_patches import bilinear_windows
from s2match.loftr.heatmaps import STRIDE_PX, WINDOW, expectation_px, similarity_logits
from s2match.loftr.tokens import Tokens
from training.pairs import CELL_PX, FINE_RADIUS_PX

_PLAIN_TEMPERATURE = 0.07
_PLAIN_WEIGHT = 0.3
_BACK_WEIGHT = 0.7
_LEAST_WEIGHT = 0.05
_EXACT_WEIGHT = 0.25
_SMALL = 0.01
_DIVERGENCE_WEIGHT = 0.1


@dataclass(frozen=True)
class Batch:
    """Pairs of one size as tensors.

    Attributes:
        images: (2B, 1, H, W) float32, the first images and then the second.
        matches: (N, 3) int64: pair, cell of the first image, cell of the second.
        offsets: (N, 2) float32 pixels (x, y), see :class:`training.pairs.Truth`.
        undecided: (M, 3) int64, likewise pairs of cells that are neither right nor wrong.
        origins: (2B, 2) int64, cell (row, column) at which each image's positional encoding begins.
        fine: (K,) int64, indices of the matches that train the fine stage.
        window_shifts: (K, 2) float32 pixels (x, y) from the second image's cell to the centre of its fine window.
        reverse_offsets: (K, 2) float32 pixels (x, y), true position of that window centre in the first image, from the
            centre of the first image's cell.
    """

    images: torch.Tensor
    matches: torch.Tensor
    offsets: torch.Tensor
    undecided: torch.Tensor
    origins: torch.Tensor
    fine: torch.Tensor
    window_shifts: torch.Tensor
    reverse_offsets: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Step:
    """Losses and quality figures of a batch; scalars."""

    coarse: torch.Tensor
    fine: torch.Tensor
    recall: torch.Tensor
    precision: torch.Tensor
    sure_precision: torch.Tensor
    fine_error_px: torch.Tensor
    slope: torch.Tensor


def bilinear_target(offsets: torch.Tensor) -> torch.Tensor:
    """Target heatmaps: true offsets split bilinearly over the samples of the fine window.

    Args:
        offsets: (N, 2) pixels (x, y) from the centre of the window.

    Returns:
        (N, 25) weights, row-major, at most four of them not 0. Their expectation is exactly the offset, clipped to the
        window (4 px).
    """
    samples = torch.arange(WINDOW, device=offsets.device) - WINDOW // 2
    position = offsets.clamp(-FINE_RADIUS_PX, FINE_RADIUS_PX) / STRIDE_PX
    x, y = ((1 - (position[:, k, None] - samples).abs()).clamp(min=0) for k in (0, 1))
    return (y[:, :, None] * x[:, None, :]).flatten(1)


def encode_positions(net: LoFTR, coarse: torch.Tensor, origins: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) features plus the positional encoding, which begins at each image's own cell (row, column)."""
    rows, columns = coarse.shape[2:]
    needed = [int(origins[:, k].max()) + coarse.shape[2 + k] for k in (0, 1)]
    pe = net.pos_encoding.pe
    if needed[0] > pe.shape[2] or needed[1] > pe.shape[3]:
        net.pos_encoding.update_position_encoding_size((max(needed[0], pe.shape[2]), max(needed[1], pe.shape[3])))
        pe = net.pos_encoding.pe
    return coarse + torch.stack([pe[0, :, r : r + rows, c : c + columns] for r, c in origins.tolist()])


@dataclass(frozen=True)
class DualSoftmax:
    """Logarithms (B, L, S) of the two softmaxes of a score matrix.

    Attributes:
        row: Softmax over each row.
        column: Softmax over each column.
    """

    row: torch.Tensor
    column: torch.Tensor


def dual_softmax(tokens0: torch.Tensor, tokens1: torch.Tensor, temperature: float) -> DualSoftmax:
    """The two softmaxes whose product is the confidence of kornia's ``CoarseMatching``."""
    score = torch.einsum("nlc,nsc->nls", tokens0, tokens1) / (tokens0.shape[-1] * temperature)
    return DualSoftmax(torch.log_softmax(score, 2), torch.log_softmax(score, 1))


def near_log_confidence(softmax: DualSoftmax, matches: torch.Tensor, undecided: torch.Tensor) -> torch.Tensor:
    """(N,) log confidence of each match, summed over its cell and the undecided cells near the truth.

    Where the truth falls between cells, the probabilities are split among them. The product of split probabilities is
    small even for a certain network; the product of their sums is not.

    Args:
        softmax: Log probabilities of the batch.
        matches: (N, 3) pair, cell of the first image, cell of the second.
        undecided: (M, 3) likewise.
    """
    near = torch.cat([matches, undecided])
    pair, row, column = near.unbind(1)
    count, rows, columns = softmax.row.shape
    in_row = torch.zeros(count * rows, device=near.device).index_add(
        0, pair * rows + row, softmax.row[pair, row, column].exp()
    )
    in_column = torch.zeros(count * columns, device=near.device).index_add(
        0, pair * columns + column, softmax.column[pair, row, column].exp()
    )
    pair, row, column = matches.unbind(1)
    sums = in_row[pair * rows + row].clamp(1e-12, 1), in_column[pair * columns + column].clamp(1e-12, 1)
    return sums[0].log() + sums[1].log()


def coarse_loss(softmax: DualSoftmax, matches: torch.Tensor, undecided: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over all pairs of cells, of being a match.

    It is unweighted, so that the confidence becomes the probability of a match; a focal loss (Lin et al. 2017, arXiv
    1708.02002) would keep it below 1. Most of a match's weight is on :func:`near_log_confidence`, the rest on the
    nearest cell. Undecided pairs have no other effect.

    Args:
        softmax: Log probabilities of the batch.
        matches: (N, 3) pair, cell of the first image, cell of the second.
        undecided: (M, 3) likewise.
    """
    log_confidence = softmax.row + softmax.column
    confidence = log_confidence.exp()
    total = _negatives(confidence) - _negatives(confidence[torch.cat([matches, undecided]).unbind(1)])
    at_least = log_confidence.shape[0] * log_confidence.shape[1] / 8
    exact, near = log_confidence[matches.unbind(1)].sum(), near_log_confidence(softmax, matches, undecided).sum()
    return (total - _EXACT_WEIGHT * exact - (1 - _EXACT_WEIGHT) * near) / max(len(matches), at_least)


def _negatives(confidence: torch.Tensor) -> torch.Tensor:
    """Sum of -log(1 - confidence); small confidences are summed themselves, which is exact to half a per cent."""
    large = confidence[confidence > _SMALL].clamp(max=1 - 1e-5)
    return confidence.sum() - (torch.log1p(-large) + large).sum()


def fine_windows(fine: torch.Tensor, pair: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(N, 25, C) windows of feature maps (B, C, h, w), row-major, around (N, 2) points (x, y) in pixels; 0 outside."""
    return bilinear_windows(fine, points.flip(1) / STRIDE_PX, WINDOW // 2, pair).flatten(2).mT


def fine_logits(
    net: LoFTR, windows: tuple[torch.Tensor, torch.Tensor], context: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 25) heatmap logits of kornia's ``FineMatching`` from the first to the second image, and in reverse.

    Args:
        net: The network.
        windows: (N, 25, C) fine windows of the first and of the second images.
        context: (N, D) coarse tokens of their cells.
    """
    coarse_term = net.fine_preprocess.down_proj(torch.cat(context))[:, None]
    both = torch.cat(windows)
    merged = net.fine_preprocess.merge_feat(torch.cat([both, coarse_term.expand_as(both)], -1))
    window0, window1 = net.loftr_fine(*merged.chunk(2))
    return similarity_logits(window0, window1), similarity_logits(window1, window0)


def plain_fine_logits(windows: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """(N, 25) logits like :func:`fine_logits`, from the cosine similarity of the backbone's features.

    Their loss trains the backbone directly to distinguish neighbouring samples.

    Args:
        windows: (N, 25, C) fine windows of the first and of the second images.
    """
    first, second = (F.normalize(window, dim=-1) for window in windows)
    logits: torch.Tensor = torch.einsum("nc,nwc->nw", first[:, first.shape[1] // 2], second) / _PLAIN_TEMPERATURE
    return logits


def fine_loss(logits: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Divergence from the bilinear target heatmap, plus the expectation's error in pixels.

    Args:
        logits: (N, 25), see :func:`fine_logits`.
        offsets: (N, 2) true offsets (x, y) in pixels.
        weights: (N,) weights of the matches.

    Returns:
        The loss, and the (N, 2) expected offsets (x, y) in pixels.
    """
    target, log_heat = bilinear_target(offsets), torch.log_softmax(logits, 1)
    divergence = F.kl_div(log_heat, target, reduction="none").sum(1)
    expected = expectation_px(log_heat.exp())
    error = F.smooth_l1_loss(expected, offsets, beta=0.5, reduction="none").sum(1)
    # the divergence alone would train peaks that snap to the samples, 2 px apart
    return ((_DIVERGENCE_WEIGHT * divergence + 2 * error) * weights).sum() / weights.sum().clamp(min=1e-6), expected


def run(net: LoFTR, batch: Batch, amp: torch.dtype | None, fine_only: bool = False, watch: bool = True) -> Step:
    """Losses and figures of a batch; like the network's own forward, but with the fine stage at the true matches.

    Args:
        net: The network.
        batch: The pairs.
        amp: Type for autocast of the backbone and the coarse stage; None for float32.
        fine_only: Train the fine stage alone; no gradient reaches the coarse one.
        watch: Measure recall and precision; they are NaN otherwise.
    """
    half = len(batch.images) // 2
    images = batch.images.to(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=amp or torch.bfloat16, enabled=amp is not None):
        coarse, fine = net.backbone(images)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fine_only):
            tokens = encode_positions(net, coarse, batch.origins).flatten(2).transpose(1, 2).contiguous()
            tokens0, tokens1 = net.loftr_coarse(tokens[:half], tokens[half:])
    tokens0, tokens1, fine = tokens0.float(), tokens1.float(), fine.float()
    with torch.set_grad_enabled(torch.is_grad_enabled() and not fine_only):
        temperature = net.config["match_coarse"]["dsmax_temperature"]
        softmax = dual_softmax(tokens0, tokens1, temperature)
        coarse_term = coarse_loss(softmax, batch.matches, batch.undecided)
    grid = (coarse.shape[2], coarse.shape[3])
    offsets = batch.offsets[batch.fine]
    fine_term, expected, confidence = coarse_term * 0, offsets, offsets[:, 0]
    if len(offsets):
        confidence = near_log_confidence(softmax, batch.matches, batch.undecided).detach().exp()[batch.fine]
        fine_term, expected = _fine_stage(net, batch, (tokens0, tokens1), fine, confidence)
    with torch.no_grad():
        # windows at the cell itself, of matches that the coarse stage finds
        unshifted = (batch.window_shifts == 0).all(1) & (confidence > 0.2) if len(offsets) else confidence > 1
        nan = coarse_term.new_tensor(torch.nan)
        coarse_figures = _coarse_figures((tokens0, tokens1), temperature, batch, grid) if watch else (nan,) * 3
        return Step(coarse_term, fine_term, *coarse_figures, *fine_figures(expected[unshifted], offsets[unshifted]))


def _fine_stage(
    net: LoFTR,
    batch: Batch,
    tokens: tuple[torch.Tensor, torch.Tensor],
    fine: torch.Tensor,
    confidence: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of the fine stage, and the (K, 2) expected offsets (x, y) in pixels from the second image's cell.

    Args:
        net: The network.
        batch: The pairs; at least one match trains the fine stage.
        tokens: (B, L, D) coarse tokens of the first and of the second images.
        fine: (2B, C, h, w) fine feature maps.
        confidence: (K,) coarse confidence of the matches, their weight: the fine stage only sees matches of the coarse.
    """
    half = len(fine) // 2
    grid = tuple(-(-side // CELL_PX) for side in batch.images.shape[2:])
    offsets, shifts = batch.offsets[batch.fine], batch.window_shifts
    weights = confidence.clamp(min=_LEAST_WEIGHT)
    pair, cell0, cell1 = batch.matches[batch.fine].unbind(1)
    windows = (
        fine_windows(fine[:half], pair, _points(cell0, grid)),
        fine_windows(fine[half:], pair, _points(cell1, grid) + shifts),
    )
    forward, reverse = fine_logits(net, windows, (tokens[0][pair, cell0], tokens[1][pair, cell1]))
    loss, expected = fine_loss(forward, offsets - shifts, weights)
    # the reverse direction is trained near the window's centre only, as it is used
    near = batch.reverse_offsets.abs().amax(1) < STRIDE_PX
    loss = loss + _BACK_WEIGHT * fine_loss(reverse, batch.reverse_offsets, weights * near)[0]
    loss = loss + _PLAIN_WEIGHT * fine_loss(plain_fine_logits(windows), offsets - shifts, weights)[0]
    return loss, expected + shifts


def _points(cells: torch.Tensor, grid: tuple[int, ...]) -> torch.Tensor:
    """(N, 2) points (x, y) in pixels of row-major coarse cells."""
    return torch.stack([cells % grid[1], cells // grid[1]], 1) * float(CELL_PX)


def _coarse_figures(
    tokens: tuple[torch.Tensor, torch.Tensor], temperature: float, batch: Batch, grid: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Recall of the matches at confidence 0.2, and precision of the matches above 0.2 and above 0.8."""
    cells = torch.arange(grid[0] * grid[1], device=batch.images.device)
    right = torch.zeros(len(tokens[0]), len(cells), len(cells), dtype=torch.bool, device=cells.device)
    right[batch.matches.unbind(1)] = True
    right[batch.undecided.unbind(1)] = True
    recalled, correct, confidences = 0, [], []
    for pair, sides in enumerate(zip(*tokens, strict=True)):
        first, second = (Tokens(values, cells, grid) for values in sides)
        matches = neighbourhood_matches(first, second, 1 / (tokens[0].shape[-1] * temperature), 0.2)
        correct.append(right[pair, matches.rows, matches.columns])
        confidences.append(matches.confidence)
        true_rows = batch.matches[batch.matches[:, 0] == pair, 1]
        recalled += int(torch.isin(true_rows, matches.rows[correct[-1]]).sum())
    is_correct, confidence = torch.cat(correct).float(), torch.cat(confidences)
    recall = confidence.new_tensor(recalled / len(batch.matches) if len(batch.matches) else torch.nan)
    return recall, is_correct.mean(), is_correct[confidence > 0.8].mean()


def fine_figures(expected: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Median error in pixels, and slope of (N, 2) expected against true offsets (1: unbiased, 0: stays on the grid)."""
    if len(expected) == 0:
        nan = expected.new_tensor(torch.nan)
        return nan, nan
    error = (expected - truth).norm(dim=1).median()
    return error, (expected * truth).sum() / (truth**2).sum().clamp(min=1e-6)
