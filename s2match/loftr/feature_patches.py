"""Square windows of feature maps around many centres at once."""

import torch
from torch import Tensor


def windows(features: Tensor, centres: Tensor, radius: int, maps: Tensor | None = None) -> Tensor:
    """Windows of feature maps around samples.

    Args:
        features: (B, C, H, W).
        centres: (N, 2) int64 (row, column).
        radius: Samples to each side of the centre.
        maps: (N,) int64 index of each window's map in the batch; None: the first map.

    Returns:
        (N, C, 2r + 1, 2r + 1); zero outside the map.
    """
    row, column = _rows_and_columns(centres, radius)
    height, width = features.shape[2:]
    at = row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :]
    channels_last = features.permute(0, 2, 3, 1)
    cut = channels_last[0][at] if maps is None else channels_last[maps[:, None, None], *at]
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
    return (cut * inside[..., None]).permute(0, 3, 1, 2)


def bilinear_windows(features: Tensor, centres: Tensor, radius: int, maps: Tensor | None = None) -> Tensor:
    """Windows of feature maps around positions between samples, by bilinear interpolation.

    Args:
        features: (B, C, H, W).
        centres: (N, 2) float (row, column).
        radius: Samples to each side of the centre.
        maps: (N,) int64 index of each window's map in the batch; None: the first map.

    Returns:
        (N, C, 2r + 1, 2r + 1); zero outside the map.
    """
    before = centres.floor()
    cut = windows(features, before.long(), radius + 1, maps)[:, :, 1:, 1:]
    row_fraction, column_fraction = (centres - before).to(cut)[:, :, None, None, None].unbind(1)
    rows = torch.lerp(cut[:, :, :-1], cut[:, :, 1:], row_fraction)
    return torch.lerp(rows[..., :-1], rows[..., 1:], column_fraction)


def upsampled_windows(features: Tensor, centres: Tensor) -> Tensor:
    """9×9 windows of a feature map upsampled by two (bilinear, aligned corners), without the upsampled map.

    Args:
        features: (1, C, H, W).
        centres: (N, 2) int64 (row, column) in the upsampled map, at least 4 samples from its edges.

    Returns:
        (N, C, 9, 9).
    """
    row, column = _rows_and_columns(centres, radius=4)
    height, width = features.shape[2:]
    top, row_fraction = _split(row * ((height - 1) / (2 * height - 1)), height)
    left, column_fraction = _split(column * ((width - 1) / (2 * width - 1)), width)
    pixels = features[0].permute(1, 2, 0)
    row_fraction, column_fraction = (
        row_fraction[:, :, None, None].to(pixels),
        column_fraction[:, None, :, None].to(pixels),
    )
    upper, lower = (
        torch.lerp(
            pixels[r[:, :, None], left[:, None, :]], pixels[r[:, :, None], left[:, None, :] + 1], column_fraction
        )
        for r in (top, top + 1)
    )
    return torch.lerp(upper, lower, row_fraction).permute(0, 3, 1, 2)


def _rows_and_columns(centres: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Row and column indices of windows, (N, 2r + 1) each."""
    offsets = torch.arange(-radius, radius + 1, device=centres.device)
    return centres[:, :1] + offsets, centres[:, 1:] + offsets


def _split(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Index of the sample before each position, and the interpolation weight of the sample after it."""
    index = position.floor().long().clamp(0, size - 2)
    return index, position - index
