"""Search for the turn and the scale between two images that have no common georeference."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.image_size import MIN_SIDE_PX
from s2match.core.point_maps import turn_and_scale
from s2match.core.raster import Raster
from s2match.matching.greyscale import prepare
from s2match.matching.matcher import Matcher
from s2match.matching.reorientation import ReorientedGrid, nearest_similarity
from s2match.registration.estimators import best_model
from s2match.registration.evidence import SMALL_WEIGHT, common_ground, evidence_weight, failure_of
from s2match.registration.model import apply_matrix
from s2match.registration.options import FitOptions

# The network matches turns of up to about 20 degrees and scales of 0.75 to 1.3. The hypotheses form a triangular
# lattice in the turn and the logarithm of the scale. Its worst points lie 15 degrees and a scale of 1.11, or a scale of
# 1.27 alone, from the nearest hypothesis.
_TURN_STEP_DEG = 30
_SCALES = (1.0, math.sqrt(0.5), math.sqrt(2.0), 0.5, 2.0)

# Longest side of the reduced images.
_SIDE_PX = 256

# Least threshold of the affine fits: at the edge of the network's range the matches are pixels off.
_THRESHOLD_PX = 3.0

# Range of the scale of an affine model against its hypothesis; the network's range is smaller.
_PLAUSIBLE_SCALE = (0.6, 1.6)

# No other hypothesis is tried if the weight of the inliers is this fraction of the common cells.
_DECISIVE_FRACTION = 0.15

# Matches above this confidence count: their weight is their confidence.
_CONFIDENCE = 0.2

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hypothesis:
    """A turn and a scale of the target against the reference.

    Attributes:
        turn_deg: Clockwise turn in degrees.
        scale: Pixels of the target along a pixel of the reference.
    """

    turn_deg: float
    scale: float


@dataclass(frozen=True)
class Candidate:
    """The affine model of the matches under a hypothesis.

    Attributes:
        hypothesis: The hypothesis.
        weight: Weight of the inliers, see :func:`s2match.registration.evidence.evidence_weight`.
        fraction: Weight as a fraction of the cells of the common ground.
        significant: Whether the inliers are significant.
        matrix: 3×3 similarity from reference to target pixels that is nearest to the model.
    """

    hypothesis: Hypothesis
    weight: float
    fraction: float
    significant: bool
    matrix: NDArray[np.float64]


def hypotheses() -> tuple[Hypothesis, ...]:
    """All hypotheses; those with a scale near 1 first, and of these the quarter turns."""
    lattice = []
    for scale in _SCALES:
        # between the rows of the scales 0.5, 1 and 2 the turns are staggered
        first_deg = 0.0 if math.log2(scale).is_integer() else _TURN_STEP_DEG / 2
        lattice += [Hypothesis(first_deg + turn, scale) for turn in range(0, 360, _TURN_STEP_DEG)]
    return tuple(sorted(lattice, key=lambda one: (round(abs(math.log2(one.scale)), 3), one.turn_deg % 90 != 0)))


def find_orientation(
    matcher: Matcher[Any],
    reference: Raster,
    target: Raster,
    options: FitOptions,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.float64] | None:
    """The turn, scale and shift between two images: any turn, and scales of 0.5 to 2.

    Reduced images are matched under one hypothesis after the other, until one has decisive evidence.

    Args:
        matcher: The network.
        reference: The reference.
        target: The target.
        options: Threshold and seed of the fits; the threshold is at least 3 px.
        progress: Called with the fraction of the hypotheses that were tried, 0 to 1.

    Returns:
        3×3 similarity from reference to target pixels, a few per cent and degrees off; None if no hypothesis has
        significant evidence.
    """
    best: Candidate | None = None
    for candidate in candidates(matcher, reference, target, options, progress):
        if candidate.significant and (best is None or candidate.fraction > best.fraction):
            best = candidate
            if best.fraction >= _DECISIVE_FRACTION:
                break
    return None if best is None else best.matrix


def candidates(
    matcher: Matcher[Any],
    reference: Raster,
    target: Raster,
    options: FitOptions,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Candidate]:
    """Match reduced images under each hypothesis.

    Args:
        matcher: The network.
        reference: The reference.
        target: The target.
        options: Threshold and seed of the fits; the threshold is at least 3 px.
        progress: Called with the fraction of the hypotheses that were tried, 0 to 1.

    Yields:
        A candidate for each hypothesis under which there is a plausible model.
    """
    search = _Search(matcher, reference, target, options.using("affine").with_min_threshold(_THRESHOLD_PX))
    tried = hypotheses()
    for count, hypothesis in enumerate(tried, 1):
        candidate = search.match(hypothesis)
        if progress is not None:
            progress(count / len(tried))
        if candidate is not None:
            _LOG.debug("%s: weight %.1f, %.2f of the cells", hypothesis, candidate.weight, candidate.fraction)
            yield candidate


class _Search:
    """Two reduced images, which are matched under hypotheses."""

    def __init__(self, matcher: Matcher[Any], reference: Raster, target: Raster, options: FitOptions) -> None:
        self._matcher = matcher
        self._reference, self._target, self._options = reference, target, options
        # as many pixels as any hypothesis needs
        factor = max(self._factor(scale) / scale for scale in _SCALES)
        self._small_target = _reduced(target, _scaled(target.size, factor))
        self._encoded: dict[tuple[int, int], tuple[Raster, Any]] = {}

    def match(self, hypothesis: Hypothesis) -> Candidate | None:
        """The candidate of a hypothesis; None if there is no plausible model, or if an image gets too small."""
        factor = self._factor(hypothesis.scale)
        size = _scaled(self._reference.size, factor)
        if min(*size, *_scaled(self._target.size, factor / hypothesis.scale)) < MIN_SIDE_PX:
            return None
        reference, encoded = self._encoded_reference(size)
        # pixels of the small target along a pixel of the small reference
        step = hypothesis.scale / factor * self._small_target.size[0] / self._target.size[0]
        turned_grid = _turned(self._small_target, hypothesis.turn_deg, step)
        turned = turned_grid.resample(self._small_target)
        if not turned.valid.any():
            return None
        matches = self._matcher.match_encoded(encoded, self._matcher.encode(prepare(turned)), _CONFIDENCE)
        affine = best_model(matches, self._options)
        if affine is None or not _is_plausible(affine.matrix):
            return None
        ground = common_ground(reference, turned)
        weight = evidence_weight(matches, affine.inliers)
        fraction = weight / max(ground.cells(affine.apply), 1.0)
        # of 60 hypotheses more agree by chance than of one
        significant = weight >= SMALL_WEIGHT and failure_of(matches, affine, ground) is None
        to_target = _scaling(self._small_target.size, self._target.size) @ turned_grid.to_target
        from_reference = _scaling(self._reference.size, size)
        centre = matches.xy0[affine.inliers].mean(axis=0) / np.diag(from_reference)[:2]
        similarity = nearest_similarity(partial(apply_matrix, to_target @ affine.matrix @ from_reference), centre)
        return Candidate(hypothesis, weight, fraction, significant, similarity)

    def _factor(self, scale: float) -> float:
        """Factor by which the sides of the reference are reduced under a scale; for the target, factor / scale.

        The longest side gets ``_SIDE_PX``, or longer if the shortest would become too short. No image is enlarged.
        """
        sides = np.array([self._reference.size, self._target.size]) / [[1.0], [scale]]
        return float(min(1.0, scale, max(_SIDE_PX / sides.max(), MIN_SIDE_PX / sides.min())))

    def _encoded_reference(self, size: tuple[int, int]) -> tuple[Raster, Any]:
        """The reference at a size, and its features."""
        if size not in self._encoded:
            raster = _reduced(self._reference, size)
            self._encoded[size] = raster, self._matcher.encode(prepare(raster))
        return self._encoded[size]


def _turned(target: Raster, turn_deg: float, step: float) -> ReorientedGrid:
    """Pixels that cover a target, turned with it, with a distance of ``step`` target pixels between them."""
    linear, sides = turn_and_scale(turn_deg, step), np.array(target.size, float)
    # sides of the bounding box, without the rounding of cosines that are 0
    width, height = np.ceil(np.abs(np.linalg.inv(linear)) @ sides - 1e-6).astype(int).tolist()
    to_target = np.eye(3)
    to_target[:2, :2] = linear
    to_target[:2, 2] = sides / 2 - linear @ (width / 2, height / 2)
    return ReorientedGrid(target.grid, (width, height), to_target)


def _reduced(raster: Raster, size: tuple[int, int]) -> Raster:
    return ReorientedGrid(raster.grid, size, _scaling(size, raster.size)).resample(raster)


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    width, height = (max(1, round(side * factor)) for side in size)
    return width, height


def _scaling(size: tuple[int, int], onto: tuple[int, int]) -> NDArray[np.float64]:
    """3×3 map from pixels of a size to those of another one."""
    return np.diag([onto[0] / size[0], onto[1] / size[1], 1.0])


def _is_plausible(matrix: NDArray[np.float64]) -> bool:
    """Whether an affine model keeps the orientation and nearly the scale."""
    scales = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    low, high = _PLAUSIBLE_SCALE
    return bool(np.linalg.det(matrix[:2, :2]) > 0 and low <= scales.min() and scales.max() <= high)
