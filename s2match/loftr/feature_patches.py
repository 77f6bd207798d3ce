"""Square cuts of feature maps around many places at once."""

import torch
from torch import Tensor


def windows(features: Tensor, places: Tensor, radius: int, maps: Tensor | None = None) -> Tensor:
    """Cut feature maps around places.

    Args:
        features: (B, C, H, W).
        places: (N, 2) int64 (row, column).
        radius: Samples to each side.
        maps: (N,) int64, the map that each place lies in; None: the first.

    Returns:
        (N, C, 2r + 1, 2r + 1); zero beyond the edges of the map.
    """
    row, column = _around(places, radius)
    height, width = features.shape[2:]
    at = row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :]
    pixels = features.permute(0, 2, 3, 1)
    cut = pixels[0][at] if maps is None else pixels[maps[:, None, None], *at]
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
    return (cut * inside[..., None]).permute(0, 3, 1, 2)


def windows_between(features: Tensor, places: Tensor, radius: int, maps: Tensor | None = None) -> Tensor:
    """Cut feature maps around places that may lie between their samples, bilinear.

    Args:
        features: (B, C, H, W).
        places: (N, 2) float (row, column).
        radius: Samples to each side.
        maps: (N,) int64, the map that each place lies in; None: the first.

    Returns:
        (N, C, 2r + 1, 2r + 1); zero beyond the edges of the map.
    """
    before = places.floor()
    cut = windows(features, before.long(), radius + 1, maps)[:, :, 1:, 1:]
    row_share, column_share = (places - before).to(cut)[:, :, None, None, None].unbind(1)
    rows = torch.lerp(cut[:, :, :-1], cut[:, :, 1:], row_share)
    return torch.lerp(rows[..., :-1], rows[..., 1:], column_share)


def upsampled_windows(features: Tensor, places: Tensor) -> Tensor:
    """Cut the twice larger image of a feature map, bilinear with aligned corners, without making it.

    Args:
        features: (1, C, H, W).
        places: (N, 2) int64 (row, column) in the larger map, 4 or more from its edges.

    Returns:
        (N, C, 9, 9).
    """
    row, column = _around(places, radius=4)
    height, width = features.shape[2:]
    top, row_share = _split(row * ((height - 1) / (2 * height - 1)), height)
    left, column_share = _split(column * ((width - 1) / (2 * width - 1)), width)
    pixels = features[0].permute(1, 2, 0)
    row_share, column_share = row_share[:, :, None, None].to(pixels), column_share[:, None, :, None].to(pixels)
    upper, lower = (
        torch.lerp(pixels[r[:, :, None], left[:, None, :]], pixels[r[:, :, None], left[:, None, :] + 1], column_share)
        for r in (top, top + 1)
    )
    return torch.lerp(upper, lower, row_share).permute(0, 3, 1, 2)


def _around(places: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Row and column indices, (N, 2r + 1) each."""
    reach = torch.arange(-radius, radius + 1, device=places.device)
    return places[:, :1] + reach, places[:, 1:] + reach


def _split(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Index of the sample before each position, and the share of the sample after it."""
    index = position.floor().long().clamp(0, size - 2)
    return index, position - index
