"""What the two stages of LoFTR are taught, and how kornia's network is run to learn it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from kornia.feature import LoFTR

from s2match.loftr.coarse_matching import neighbourhood_matches
from s2match.loftr.feature_patches import bilinear_windows
from s2match.loftr.heatmaps import STRIDE_PX, WINDOW, expectation_px, similarity_logits
from s2match.loftr.tokens import Tokens
from training.pairs import CELL_PX, FINE_REACH_PX

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
        undecided: (M, 3) int64, likewise cells that are neither right nor wrong.
        origins: (2B, 2) int64, the cell (row, column) at which each image's position encoding begins.
        fine: (K,) int64, the matches that the fine stage is taught.
        looks: (K, 2) float32 pixels (x, y) from the cell of the second image to where its window is cut.
        returns: (K, 2) float32 pixels (x, y), true position in the first image of the middle of that window, from the
            centre of the first image's cell.
    """

    images: torch.Tensor
    matches: torch.Tensor
    offsets: torch.Tensor
    undecided: torch.Tensor
    origins: torch.Tensor
    fine: torch.Tensor
    looks: torch.Tensor
    returns: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Step:
    """Losses of a batch and what is watched; scalars."""

    coarse: torch.Tensor
    fine: torch.Tensor
    recall: torch.Tensor
    precision: torch.Tensor
    sure_precision: torch.Tensor
    fine_error_px: torch.Tensor
    slope: torch.Tensor


def bilinear_target(offsets: torch.Tensor) -> torch.Tensor:
    """Split true offsets over the samples of the fine window.

    Args:
        offsets: (N, 2) pixels (x, y) from the centre of the window.

    Returns:
        (N, 25) weights, row-major, of which at most four are not 0, whose expectation is the offset exactly (clipped to
        the reach of the window, 4 px).
    """
    samples = torch.arange(WINDOW, device=offsets.device) - WINDOW // 2
    place = offsets.clamp(-FINE_REACH_PX, FINE_REACH_PX) / STRIDE_PX
    x, y = ((1 - (place[:, k, None] - samples).abs()).clamp(min=0) for k in (0, 1))
    return (y[:, :, None] * x[:, None, :]).flatten(1)


def encode(net: LoFTR, coarse: torch.Tensor, origins: torch.Tensor) -> torch.Tensor:
    """Add the position encoding to (N, C, h, w) features, each image's beginning at its own cell (row, column)."""
    rows, columns = coarse.shape[2:]
    far = [int(origins[:, k].max()) + coarse.shape[2 + k] for k in (0, 1)]
    pe = net.pos_encoding.pe
    if far[0] > pe.shape[2] or far[1] > pe.shape[3]:
        net.pos_encoding.update_position_encoding_size((max(far[0], pe.shape[2]), max(far[1], pe.shape[3])))
        pe = net.pos_encoding.pe
    return coarse + torch.stack([pe[0, :, r : r + rows, c : c + columns] for r, c in origins.tolist()])


@dataclass(frozen=True)
class Shares:
    """Logarithms (B, L, S) of the two softmaxes of a score matrix.

    Attributes:
        row: The share of each column in its row.
        column: The share of each row in its column.
    """

    row: torch.Tensor
    column: torch.Tensor


def coarse_shares(tokens0: torch.Tensor, tokens1: torch.Tensor, temperature: float) -> Shares:
    """The two softmaxes whose product is the confidence of kornia's ``CoarseMatching``."""
    score = torch.einsum("nlc,nsc->nls", tokens0, tokens1) / (tokens0.shape[-1] * temperature)
    return Shares(torch.log_softmax(score, 2), torch.log_softmax(score, 1))


def near_log_confidence(shares: Shares, matches: torch.Tensor, undecided: torch.Tensor) -> torch.Tensor:
    """(N,) logarithm of the confidence that each match lies in its cell or in one that is nearly as true.

    Where the truth falls between cells the shares are split, and the product of the split shares is small however sure
    the network is; the product of their sums is not.
    """
    near = torch.cat([matches, undecided])
    pair, row, column = near.unbind(1)
    count, rows, columns = shares.row.shape
    in_row = torch.zeros(count * rows, device=near.device).index_add(
        0, pair * rows + row, shares.row[pair, row, column].exp()
    )
    in_column = torch.zeros(count * columns, device=near.device).index_add(
        0, pair * columns + column, shares.column[pair, row, column].exp()
    )
    pair, row, column = matches.unbind(1)
    sums = in_row[pair * rows + row].clamp(1e-12, 1), in_column[pair * columns + column].clamp(1e-12, 1)
    return sums[0].log() + sums[1].log()


def coarse_loss(shares: Shares, matches: torch.Tensor, undecided: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every pair of cells being a match or not.

    Nothing is weighted by how hard it is, and the logarithm is a proper score, so what it teaches as confidence is the
    probability of a match; a focal loss (Lin et al. 2017, arXiv 1708.02002) would leave it shy of 1. A match is mostly
    taught to be near the truth (:func:`near_log_confidence`) and a little to be in the nearest cell. Undecided pairs
    count for nothing else.
    """
    log_confidence = shares.row + shares.column
    confidence = log_confidence.exp()
    total = _mistake(confidence) - _mistake(confidence[torch.cat([matches, undecided]).unbind(1)])
    least = log_confidence.shape[0] * log_confidence.shape[1] / 8
    exact, near = log_confidence[matches.unbind(1)].sum(), near_log_confidence(shares, matches, undecided).sum()
    return (total - _EXACT_WEIGHT * exact - (1 - _EXACT_WEIGHT) * near) / max(len(matches), least)


def _mistake(confidence: torch.Tensor) -> torch.Tensor:
    """Sum of -log(1 - confidence), which where it is small is the confidence itself to half a per cent."""
    large = confidence[confidence > _SMALL].clamp(max=1 - 1e-5)
    return confidence.sum() - (torch.log1p(-large) + large).sum()


def fine_windows(fine: torch.Tensor, pair: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(N, 25, C) cuts of feature maps (B, C, h, w), row-major, around points (N, 2), (x, y) in pixels; 0 outside."""
    return bilinear_windows(fine, points.flip(1) / STRIDE_PX, WINDOW // 2, pair).flatten(2).mT


def fine_logits(
    net: LoFTR, windows: tuple[torch.Tensor, torch.Tensor], context: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, 25) of the heatmaps of kornia's ``FineMatching``, and of those from the second image to the first.

    Args:
        net: The network.
        windows: (N, 25, C) of the first and of the second images.
        context: (N, D) coarse tokens of the cells.
    """
    known = net.fine_preprocess.down_proj(torch.cat(context))[:, None]
    both = torch.cat(windows)
    merged = net.fine_preprocess.merge_feat(torch.cat([both, known.expand_as(both)], -1))
    window0, window1 = net.loftr_fine(*merged.chunk(2))
    return similarity_logits(window0, window1), similarity_logits(window1, window0)


def plain_fine_logits(windows: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """(N, 25) like :func:`fine_logits`, of the backbone's own features compared by their angle.

    Taught along, they give the backbone a direct lesson in what tells neighbouring samples apart.
    """
    first, second = (F.normalize(window, dim=-1) for window in windows)
    logits: torch.Tensor = torch.einsum("nc,nwc->nw", first[:, first.shape[1] // 2], second) / _PLAIN_TEMPERATURE
    return logits


def fine_loss(logits: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Divergence from the bilinear split of the truth, plus the expectation's error in pixels.

    Args:
        logits: (N, 25), see :func:`fine_logits`.
        offsets: (N, 2) true offsets (x, y) in pixels.
        weights: (N,) what each match counts.

    Returns:
        The loss, and the (N, 2) offsets (x, y) in pixels that the heatmaps stand for.
    """
    target, log_heat = bilinear_target(offsets), torch.log_softmax(logits, 1)
    divergence = F.kl_div(log_heat, target, reduction="none").sum(1)
    found = expectation_px(log_heat.exp())
    error = F.smooth_l1_loss(found, offsets, beta=0.5, reduction="none").sum(1)
    # the divergence alone would teach peaks, which snap to the samples where the truth lies between them
    return ((_DIVERGENCE_WEIGHT * divergence + 2 * error) * weights).sum() / weights.sum().clamp(min=1e-6), found


def run(net: LoFTR, batch: Batch, amp: torch.dtype | None, fine_only: bool = False, watch: bool = True) -> Step:
    """Run the network on a batch, as its own forward does but at the true matches, and measure it.

    Args:
        net: The network.
        batch: The pairs.
        amp: Type for autocast of the backbone and the coarse stage; None for float32.
        fine_only: Teach the fine stage alone; no gradient reaches the coarse one.
        watch: Measure recall and precision; they are NaN otherwise.
    """
    half = len(batch.images) // 2
    images = batch.images.to(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=amp or torch.bfloat16, enabled=amp is not None):
        coarse, fine = net.backbone(images)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fine_only):
            tokens = encode(net, coarse, batch.origins).flatten(2).transpose(1, 2).contiguous()
            tokens0, tokens1 = net.loftr_coarse(tokens[:half], tokens[half:])
    tokens0, tokens1, fine = tokens0.float(), tokens1.float(), fine.float()
    with torch.set_grad_enabled(torch.is_grad_enabled() and not fine_only):
        temperature = net.config["match_coarse"]["dsmax_temperature"]
        shares = coarse_shares(tokens0, tokens1, temperature)
        coarse_term = coarse_loss(shares, batch.matches, batch.undecided)
    grid = (coarse.shape[2], coarse.shape[3])
    at, offsets = batch.matches[batch.fine], batch.offsets[batch.fine]
    fine_term, found, sure = coarse_term * 0, offsets, offsets[:, 0]
    if len(at):
        # what the coarse stage would not match, the fine stage is never asked
        sure = near_log_confidence(shares, batch.matches, batch.undecided).detach().exp()[batch.fine]
        weights = sure.clamp(min=_LEAST_WEIGHT)
        pair, cell0, cell1 = at.unbind(1)
        windows = (
            fine_windows(fine[:half], pair, _points(cell0, grid)),
            fine_windows(fine[half:], pair, _points(cell1, grid) + batch.looks),
        )
        context = tokens0[pair, cell0], tokens1[pair, cell1]
        there, back = fine_logits(net, windows, context)
        fine_term, found = fine_loss(there, offsets - batch.looks, weights)
        # the way back is taught where the window lies near, as it is used
        near = batch.returns.abs().amax(1) < STRIDE_PX
        fine_term = fine_term + _BACK_WEIGHT * fine_loss(back, batch.returns, weights * near)[0]
        fine_term = fine_term + _PLAIN_WEIGHT * fine_loss(plain_fine_logits(windows), offsets - batch.looks, weights)[0]
        found = found + batch.looks
    with torch.no_grad():
        first = (batch.looks == 0).all(1) & (sure > 0.2) if len(at) else sure > 1
        unknown = coarse_term.new_tensor(torch.nan)
        watched = _watch((tokens0, tokens1), temperature, batch, grid) if watch else (unknown,) * 3
        return Step(coarse_term, fine_term, *watched, *fine_figures(found[first], offsets[first]))


def _points(cells: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """(N, 2) points (x, y) of coarse cells, pixels."""
    return torch.stack([cells % grid[1], cells // grid[1]], 1) * float(CELL_PX)


def _watch(
    tokens: tuple[torch.Tensor, torch.Tensor], temperature: float, batch: Batch, grid: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Recall of the matches at confidence 0.2, and the share of matches above 0.2 and above 0.8 that are right."""
    cells = torch.arange(grid[0] * grid[1], device=batch.images.device)
    right = torch.zeros(len(tokens[0]), len(cells), len(cells), dtype=torch.bool, device=cells.device)
    right[batch.matches.unbind(1)] = True
    right[batch.undecided.unbind(1)] = True
    recalled, fits, confidences = 0, [], []
    for pair, sides in enumerate(zip(*tokens, strict=True)):
        first, second = (Tokens(values, cells, grid) for values in sides)
        found = neighbourhood_matches(first, second, 1 / (tokens[0].shape[-1] * temperature), 0.2)
        fits.append(right[pair, found.rows, found.columns])
        confidences.append(found.confidence)
        mine = batch.matches[batch.matches[:, 0] == pair, 1]
        recalled += int(torch.isin(mine, found.rows[fits[-1]]).sum())
    fit, confidence = torch.cat(fits).float(), torch.cat(confidences)
    recall = confidence.new_tensor(recalled / len(batch.matches) if len(batch.matches) else torch.nan)
    return recall, fit.mean(), fit[confidence > 0.8].mean()


def fine_figures(found: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Median error in pixels, and the slope of the found offsets against the true ones (1 is right, 0 the grid)."""
    if len(found) == 0:
        nan = found.new_tensor(torch.nan)
        return nan, nan
    error = (found - truth).norm(dim=1).median()
    return error, (found * truth).sum() / (truth**2).sum().clamp(min=1e-6)
