"""What the two stages of LoFTR are taught, and how kornia's network is run to learn it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from kornia.feature import LoFTR

from training.pairs import FINE_REACH_PX

FINE_STEP_PX = 2
_WINDOW = 2 * FINE_REACH_PX // FINE_STEP_PX + 1
_PLAIN_TEMPERATURE = 0.07
_PLAIN_WEIGHT = 0.3
_LEAST_WEIGHT = 0.05
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
    """

    images: torch.Tensor
    matches: torch.Tensor
    offsets: torch.Tensor
    undecided: torch.Tensor
    origins: torch.Tensor
    fine: torch.Tensor

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
    samples = torch.arange(_WINDOW, device=offsets.device) - _WINDOW // 2
    place = offsets.clamp(-FINE_REACH_PX, FINE_REACH_PX) / FINE_STEP_PX
    x, y = ((1 - (place[:, k, None] - samples).abs()).clamp(min=0) for k in (0, 1))
    return (y[:, :, None] * x[:, None, :]).flatten(1)


def expectation_px(heatmap: torch.Tensor) -> torch.Tensor:
    """(N, 25) heatmaps to the (N, 2) offsets (x, y) in pixels that kornia's fine stage reads from them."""
    samples = (torch.arange(_WINDOW, device=heatmap.device) - _WINDOW // 2) * float(FINE_STEP_PX)
    grid = heatmap.view(-1, _WINDOW, _WINDOW)
    return torch.stack([grid.sum(1) @ samples, grid.sum(2) @ samples], 1)


def encode(net: LoFTR, coarse: torch.Tensor, origins: torch.Tensor) -> torch.Tensor:
    """Add the position encoding to (N, C, h, w) features, each image's beginning at its own cell (row, column)."""
    rows, columns = coarse.shape[2:]
    far = [int(origins[:, k].max()) + coarse.shape[2 + k] for k in (0, 1)]
    pe = net.pos_encoding.pe
    if far[0] > pe.shape[2] or far[1] > pe.shape[3]:
        net.pos_encoding.update_position_encoding_size((max(far[0], pe.shape[2]), max(far[1], pe.shape[3])))
        pe = net.pos_encoding.pe
    return coarse + torch.stack([pe[0, :, r : r + rows, c : c + columns] for r, c in origins.tolist()])


def coarse_log_confidence(tokens0: torch.Tensor, tokens1: torch.Tensor, temperature: float) -> torch.Tensor:
    """(B, L, S) logarithm of the dual softmax confidence of kornia's ``CoarseMatching``."""
    score = torch.einsum("nlc,nsc->nls", tokens0, tokens1) / (tokens0.shape[-1] * temperature)
    return torch.log_softmax(score, 1) + torch.log_softmax(score, 2)


def coarse_loss(log_confidence: torch.Tensor, matches: torch.Tensor, undecided: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every pair of cells being a match or not.

    Nothing is weighted, and the logarithm is a proper score, so what it teaches as confidence is the probability of a
    match; a focal loss (Lin et al. 2017, arXiv 1708.02002) would leave it shy of 1. Undecided pairs count for nothing.
    """
    wrong = -torch.log1p(-log_confidence.exp().clamp(max=1 - 1e-5))
    total = wrong.sum() - wrong[matches.unbind(1)].sum() - wrong[undecided.unbind(1)].sum()
    least = log_confidence.shape[0] * log_confidence.shape[1] / 8
    return (total - log_confidence[matches.unbind(1)].sum()) / max(len(matches), least)


def fine_logits(
    net: LoFTR, fine: tuple[torch.Tensor, torch.Tensor], coarse: tuple[torch.Tensor, torch.Tensor], at: torch.Tensor
) -> torch.Tensor:
    """(N, 25) logits of the heatmaps of kornia's ``FineMatching`` at matches (N, 3), see :class:`Batch`."""
    pair, cell0, cell1 = at.unbind(1)
    stride_c, stride_f = net.config["resolution"]
    data = {"b_ids": pair, "i_ids": cell0, "j_ids": cell1, "stride_c": stride_c, "stride_f": stride_f}
    window0, window1 = net.fine_preprocess(*fine, *coarse, data)
    window0, window1 = net.loftr_fine(window0, window1)
    centre = window0[:, window0.shape[1] // 2]
    logits: torch.Tensor = torch.einsum("nc,nwc->nw", centre, window1) / window0.shape[-1] ** 0.5
    return logits


def plain_fine_logits(fine: tuple[torch.Tensor, torch.Tensor], at: torch.Tensor, stride: int) -> torch.Tensor:
    """(N, 25) like :func:`fine_logits`, of the backbone's own features compared by their angle.

    Taught along, they give the backbone a direct lesson in what tells neighbouring samples apart.

    Args:
        fine: Feature maps (B, C, h, w) of the first and of the second images.
        at: Matches (N, 3), see :class:`Batch`.
        stride: Fine cells to a coarse one.
    """
    pair, cell0, cell1 = at.unbind(1)
    columns = -(-fine[0].shape[3] // stride)
    reach = torch.arange(_WINDOW, device=at.device)
    row1, column1 = (torch.div(cell1, columns, rounding_mode="floor") * stride, cell1 % columns * stride)
    padded = F.pad(fine[1], (_WINDOW // 2,) * 4).permute(0, 2, 3, 1)
    rows, columns1 = (row1[:, None] + reach)[:, :, None], (column1[:, None] + reach)[:, None, :]
    window = F.normalize(padded[pair[:, None, None], rows, columns1], dim=-1).flatten(1, 2)
    row0 = torch.div(cell0, columns, rounding_mode="floor") * stride
    centre = F.normalize(fine[0][pair, :, row0, cell0 % columns * stride], dim=-1)
    logits: torch.Tensor = torch.einsum("nc,nwc->nw", centre, window) / _PLAIN_TEMPERATURE
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
    return ((_DIVERGENCE_WEIGHT * divergence + 2 * error) * weights).sum() / weights.sum(), found


def run(net: LoFTR, batch: Batch, amp: torch.dtype | None, fine_only: bool = False) -> Step:
    """Run the network on a batch, as its own forward does but at the true matches, and measure it.

    Args:
        net: The network.
        batch: The pairs.
        amp: Type for autocast of the backbone and the coarse stage; None for float32.
        fine_only: Teach the fine stage alone; no gradient reaches the coarse one.
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
        log_confidence = coarse_log_confidence(tokens0, tokens1, net.config["match_coarse"]["dsmax_temperature"])
        coarse_term = coarse_loss(log_confidence, batch.matches, batch.undecided)
    truth = batch.offsets[batch.fine]
    at = batch.matches[batch.fine]
    sides = fine[:half], fine[half:]
    fine_term, found = coarse_term * 0, truth
    sure = log_confidence.detach()[at.unbind(1)].exp()
    if len(at):
        # what the coarse stage would not match, the fine stage is never asked
        weights = sure.clamp(min=_LEAST_WEIGHT)
        fine_term, found = fine_loss(fine_logits(net, sides, (tokens0, tokens1), at), truth, weights)
        stride = net.config["resolution"][0] // net.config["resolution"][1]
        fine_term = fine_term + _PLAIN_WEIGHT * fine_loss(plain_fine_logits(sides, at, stride), truth, weights)[0]
    with torch.no_grad():
        return Step(
            coarse_term,
            fine_term,
            *_watch(log_confidence.exp(), batch),
            *fine_figures(found[sure > 0.2], truth[sure > 0.2]),
        )


def _watch(confidence: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Recall of the matches at confidence 0.2, and the share of matches above 0.2 and above 0.8 that are right."""
    best, column = confidence.max(2)
    mutual = best >= torch.gather(confidence.amax(1), 1, column)
    fit = torch.zeros_like(confidence, dtype=torch.bool)
    fit[batch.matches.unbind(1)] = True
    fit[batch.undecided.unbind(1)] = True
    right = torch.gather(fit, 2, column[..., None])[..., 0]
    recall = (
        (confidence[batch.matches.unbind(1)] > 0.2).float().mean() if len(batch.matches) else best.new_tensor(torch.nan)
    )
    shares = [right[mutual & (best > least)].float().mean() for least in (0.2, 0.8)]
    return recall, shares[0], shares[1]


def fine_figures(found: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Median error in pixels, and the slope of the found offsets against the true ones (1 is right, 0 the grid)."""
    if len(found) == 0:
        nan = found.new_tensor(torch.nan)
        return nan, nan
    error = (found - truth).norm(dim=1).median()
    return error, (found * truth).sum() / (truth**2).sum().clamp(min=1e-6)
