"""Correlation of two images at small shifts, cell by cell; cells are summed until a peak stands out.

The products of the features of two images are summed over cells of 8 × 8 px at every shift. Sums over Gaussian windows
of any width follow from them at no cost. Where the peak of a narrow window is not distinct, as under haze, a wider one
is taken: neighbouring cells add up before a peak is taken, not after.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the usual name
from numpy.typing import NDArray
from torch import Tensor

from s2match.matching.orientations import Orientations
from s2match.matching.smoothing import gaussian_at, gaussian_moments_at, gaussian_squared_at

# Side of a cell.
CELL_PX = 8

# Rows of cells that are multiplied at once: their pixels stay in the cache of a processor.
_ROWS = 16

# Half width of a peak: the next highest correlation is searched for beyond it.
_PEAK_PX = 2

# A peak of smooth images is wider than the radius: its height in standard deviations, by the width of the peak and the
# area of the window, counts for this fraction as prominence.
_BROAD_PEAK = 0.4

# Least correlation of a peak, and least fraction of a window's weight on pixels that are valid in both images.
_LEAST_CORRELATION, _LEAST_VALID = 0.03, 0.3

# The correlation in every narrower window, at the peak of a wider one, is at least this fraction of the peak. Otherwise
# the peak comes from structure around the place, as in the middle of a cloud.
_LOCAL_FRACTION = 0.4

# Largest distance, in standard deviations of the window, from its middle to the centroid of what correlates in it.
_FURTHEST_CENTROID = 0.8

# A vertex further than this from the highest correlation is not determined by it.
_FURTHEST_VERTEX = 0.7

# Added to the energy of a window, which is about 0.5 on structured ground: the noise of flat ground does not correlate.
_LEAST_ENERGY = 0.01

# Keeps divisions finite.
_EPSILON = 1e-6


@dataclass(frozen=True)
class CellProducts:
    """Mean products of two images in every cell.

    Attributes:
        products: (K, K, h, w) at shifts (y, x) of the second image, K is twice the radius plus 1.
        energy0: (h, w) mean square of the first image, where the second is valid.
        energy1: (h, w) mean square of the second image at shift 0, where the first is valid.
        valid: (h, w) fraction of pixels that are valid in both.
    """

    products: Tensor
    energy0: Tensor
    energy1: Tensor
    valid: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.valid.shape[0], self.valid.shape[1]


@dataclass(frozen=True)
class LocalShifts:
    """Shifts of the second image against the first, in windows around cells.

    Attributes:
        cells: (N, 2) row and column of the cell in the middle of each window.
        shift_px: (N, 2) shift (x, y).
        covariance_px2: (N, 2, 2) its covariance.
        correlation: (N,) height of the peak, up to 1.
        prominence: (N,) height above the next peak, in standard deviations of the correlations beyond the peak; or the
            significance of the height, if the peak is broad.
        sigma_cells: (N,) standard deviation of the window.
    """

    cells: NDArray[np.intp]
    shift_px: NDArray[np.float64]
    covariance_px2: NDArray[np.float64]
    correlation: NDArray[np.float64]
    prominence: NDArray[np.float64]
    sigma_cells: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of shifts."""
        return len(self.correlation)


def correlate(reference: Orientations, target: Orientations) -> CellProducts:
    """Products of a reference with a target on its pixels, at all shifts within the margin of the target.

    Args:
        reference: (H, W) features; pixels beyond the last whole cell are not used.
        target: Features on the pixels of the reference, and a margin on each side.
    """
    rows, columns = (side // CELL_PX for side in reference.valid.shape)
    count = target.valid.shape[0] - reference.valid.shape[0] + 1
    products, ones = torch.empty(count, count, rows, columns), torch.ones(CELL_PX)
    width = columns * CELL_PX
    for top in range(0, rows, _ROWS):
        bottom = min(top + _ROWS, rows)
        first, height = top * CELL_PX, (bottom - top) * CELL_PX
        cosine, sine = reference.values[:, first : first + height, :width]
        product, summed = torch.empty(height, width), torch.empty(bottom - top, width)
        for down, right in itertools.product(range(count), repeat=2):
            cosine1, sine1 = target.values[:, first + down : first + down + height, right : right + width]
            torch.mul(cosine, cosine1, out=product).addcmul_(sine, sine1)
            torch.sum(product.view(-1, CELL_PX, width), 1, out=summed)
            # a product with ones is many times faster than a sum along short rows
            torch.mv(summed.view(-1, CELL_PX), ones, out=products[down, right, top:bottom].view(-1))
    margin = count // 2
    inner = np.s_[..., margin : margin + reference.valid.shape[0], margin : margin + reference.valid.shape[1]]
    values1, valid1 = target.values[inner], target.valid[inner]
    maps = [
        reference.values.square().sum(0) * valid1,
        values1.square().sum(0) * reference.valid,
        reference.valid * valid1,
    ]
    energy0, energy1, valid = F.avg_pool2d(torch.stack(maps)[:, None], CELL_PX)[:, 0]
    return CellProducts(products / CELL_PX**2, energy0, energy1, valid)


def distinct_shifts(
    products: CellProducts, cells: NDArray[np.intp], sigmas: Sequence[float], least_prominence: float
) -> LocalShifts:
    """The shifts in windows around cells, each in the narrowest window with a distinct peak.

    A wider window counts only where the narrower ones correlate at the same shift: its middle has structure, too.

    The covariance of a shift is that of an M-estimator (Huber, "The behavior of maximum likelihood estimates under
    nonstandard conditions", 1967): H⁻¹ G H⁻¹, where H is the curvature of the peak and G the variance of its slope,
    from the scatter of the slopes of the cells in the window.

    Args:
        products: The products of two images.
        cells: (N, 2) rows and columns of the cells.
        sigmas: Standard deviations of the Gaussian windows in cells, from the narrowest.
        least_prominence: Least prominence of a distinct peak, see :class:`LocalShifts`.

    Returns:
        The shifts of the cells for which a window has a distinct peak, in the order of the windows.
    """
    parts, remaining = [], torch.from_numpy(np.asarray(cells, np.int64))
    lowest = torch.full((len(remaining), *products.products.shape[:2]), torch.inf)
    for sigma in sigmas:
        window = _window(products, remaining, sigma)
        peaks = _peaks(products, remaining, window)
        lowest = torch.minimum(lowest, window.surface)
        local = lowest[torch.arange(len(remaining)), *peaks.highest.T]
        kept = peaks.distinct & (peaks.prominence > least_prominence) & (local > _LOCAL_FRACTION * peaks.height)
        kept[kept.clone()] = _is_centred(products, remaining[kept], peaks.highest[kept], window.subset(kept))
        parts.append(_local_shifts(remaining, peaks, kept, sigma))
        remaining, lowest = remaining[~kept], lowest[~kept]
        if len(remaining) == 0:
            break
    return LocalShifts(*(np.concatenate(values) for values in zip(*parts, strict=True)))


@dataclass(frozen=True)
class _Peaks:
    """Peaks in windows of one width.

    Attributes:
        shift: (N, 2) shift (x, y).
        covariance: (N, 2, 2).
        height: (N,) correlation.
        prominence: (N,) as in :class:`LocalShifts`.
        distinct: (N,) whether the peak lies within the radius, is high enough, and the window is valid.
        highest: (N, 2) indices (row, column) of the highest correlation of each surface.
    """

    shift: Tensor
    covariance: Tensor
    height: Tensor
    prominence: Tensor
    distinct: Tensor
    highest: Tensor


def _local_shifts(cells: Tensor, peaks: _Peaks, kept: Tensor, sigma: float) -> tuple[NDArray[np.float64], ...]:
    chosen = (peaks.shift, peaks.covariance, peaks.height, peaks.prominence, torch.full_like(peaks.height, sigma))
    return (cells[kept].numpy(), *(values[kept].double().numpy() for values in chosen))


@dataclass(frozen=True)
class _Window:
    """Sums in Gaussian windows around cells.

    Attributes:
        sigma: Standard deviation in cells.
        energy: (N,) geometric mean of the energies of both images.
        sums: (N, K, K) products at shifts (y, x).
    """

    sigma: float
    energy: Tensor
    sums: Tensor

    @cached_property
    def surface(self) -> Tensor:
        """(N, K, K) normalised correlation at shifts (y, x)."""
        return self.sums / self.energy[:, None, None]

    def subset(self, mask: Tensor) -> "_Window":
        """The windows where an (N,) mask is true."""
        return _Window(self.sigma, self.energy[mask], self.sums[mask])


def _window(products: CellProducts, cells: Tensor, sigma: float) -> _Window:
    """Sums in windows around cells (N, 2)."""
    count = products.products.shape[0]
    energies = gaussian_at(torch.stack([products.energy0, products.energy1]), sigma, cells)
    energy = energies.prod(0).clamp(min=0).sqrt() + _LEAST_ENERGY
    sums = gaussian_at(products.products.flatten(0, 1), sigma, cells).T
    return _Window(sigma, energy, sums.reshape(-1, count, count))


def _peaks(products: CellProducts, cells: Tensor, window: _Window) -> _Peaks:
    """Peaks of the correlation in windows around cells (N, 2)."""
    count, sigma, surface = products.products.shape[0], window.sigma, window.surface
    best = surface[:, 1:-1, 1:-1].flatten(1).argmax(1)
    y, x = best // (count - 2) + 1, best % (count - 2) + 1
    each = torch.arange(len(surface))

    def at(down: int, right: int) -> Tensor:
        return surface[each, y + down, x + right]

    height = at(0, 0)
    bend_x = (at(0, 1) + at(0, -1) - 2 * height).clamp(max=-_EPSILON)
    bend_y = (at(1, 0) + at(-1, 0) - 2 * height).clamp(max=-_EPSILON)
    bend_xy = (at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1)) / 4
    vertex = torch.stack([(at(0, -1) - at(0, 1)) / (2 * bend_x), (at(-1, 0) - at(1, 0)) / (2 * bend_y)], 1)
    shift = torch.stack([x, y], 1) - count // 2 + vertex.clamp(-_FURTHEST_VERTEX, _FURTHEST_VERTEX)
    curvature = torch.stack([bend_x, bend_xy, bend_xy, bend_y], 1).view(-1, 2, 2)
    # at the outermost shifts a peak may continue beyond the radius
    within = (torch.minimum(x, y) > 1) & (torch.maximum(x, y) < count - 2)
    valid = gaussian_at(products.valid[None], sigma, cells)[0]
    distinct = within & (height > _LEAST_CORRELATION) & (valid > _LEAST_VALID)
    covariance = _covariance(products, cells, sigma, curvature * window.energy[:, None, None])
    area_px2 = 4 * torch.pi * (sigma * CELL_PX) ** 2
    # independent places in the window: its area by that of the peak; both channels count
    steepness = (bend_x * bend_y - bend_xy.square()).clamp(min=0).sqrt()
    significance = (height.clamp(min=0) * area_px2 * steepness / torch.pi).sqrt()
    prominence = torch.maximum(_prominence(surface, x, y, height), _BROAD_PEAK * significance)
    return _Peaks(shift, covariance, height, prominence, distinct, torch.stack([y, x], 1))


def _is_centred(products: CellProducts, cells: Tensor, highest: Tensor, window: _Window) -> Tensor:
    """(N,) whether what correlates at a shift, (row, column) of the surface, lies around the middle of the window."""
    shift = highest[:, 0] * products.products.shape[0] + highest[:, 1]
    moments = gaussian_moments_at(products.products.flatten(0, 1), window.sigma, shift, cells)
    distance: Tensor = moments.norm(dim=1)
    return distance <= _FURTHEST_CENTROID * window.sigma * window.sums[torch.arange(len(cells)), *highest.T]


def _prominence(surface: Tensor, x: Tensor, y: Tensor, height: Tensor) -> Tensor:
    """(N,) height above the highest correlation beyond the peak, in standard deviations of those correlations."""
    along = torch.arange(surface.shape[1])
    near = ((along - y[:, None]).abs() <= _PEAK_PX)[:, :, None] & ((along - x[:, None]).abs() <= _PEAK_PX)[:, None]
    next_height = surface.masked_fill(near, -torch.inf).amax((1, 2))
    beyond = (~near).float()
    number = beyond.sum((1, 2))
    mean = (surface * beyond).sum((1, 2)) / number
    variance = ((surface - mean[:, None, None]).square() * beyond).sum((1, 2)) / number
    return (height - next_height) / (variance.sqrt() + _EPSILON)


def _covariance(products: CellProducts, cells: Tensor, sigma: float, curvature: Tensor) -> Tensor:
    """(N, 2, 2) covariance of shifts, by the slopes of the products of each cell at shift 0."""
    middle = products.products.shape[0] // 2
    slope_x = (products.products[middle, middle + 1] - products.products[middle, middle - 1]) / 2
    slope_y = (products.products[middle + 1, middle] - products.products[middle - 1, middle]) / 2
    squares = torch.stack([slope_x.square(), slope_x * slope_y, slope_y.square()])
    variances = gaussian_squared_at(squares, sigma, cells)
    scatter = variances[[0, 1, 1, 2]].T.reshape(-1, 2, 2)
    inverse = torch.linalg.pinv(curvature)
    covariance: Tensor = inverse @ scatter @ inverse
    return covariance
