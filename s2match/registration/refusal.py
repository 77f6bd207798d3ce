"""Text for a pair without a registration: the cause, and remedies."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.georeference import comparable, predict
from s2match.core.ground_axes import ground_axes, pixel_sides_m
from s2match.core.image_size import MIN_SIDE_PX
from s2match.core.matches import Provenance
from s2match.core.raster import HasGrid, Raster
from s2match.io.saturated_cloud import saturated_cloud
from s2match.registration.evidence import FitFailure, Reason, common_ground
from s2match.registration.fit import PLAUSIBLE_SCALE

# A confidence that is worth trying on difficult pairs.
LOW_CONFIDENCE = 0.2

# Common ground of which less than this fraction is clear in both images is a cause by itself.
_LITTLE_CLEAR = 0.3

# Masking thick cloud is advised where it covers this fraction of an image.
_CLOUDY = 0.1

# A larger size is advised where the file's pixels are smaller by this factor.
_FINER = 1.2

# Smaller fractions of an image are not listed.
_LEAST_LISTED = 0.01

_TIE_POINT_ADVICE = ("more tie points, all over the common ground", "a larger --ransac_threshold")
_SIMPLER_ADVICE = ("--geometry translation or similarity, which points on a line determine",)
_MORE_GROUND = "images with more ground in common"

Mask = NDArray[np.bool_]

TOO_SMALL = "too_small"
LITTLE_CLEAR_GROUND = "little_clear_ground"


@dataclass(frozen=True)
class Refusal:
    """Why a pair was not registered.

    Attributes:
        code: Stable name of the cause: a value of :class:`s2match.registration.evidence.Reason`, :data:`TOO_SMALL` or
            :data:`LITTLE_CLEAR_GROUND`.
        cause: The cause, in one sentence without a full stop.
        advice: Remedies, likewise, the most promising first.
    """

    code: str
    cause: str
    advice: tuple[str, ...]


@dataclass(frozen=True)
class RefusedPair:
    """A pair without a registration.

    Attributes:
        reference: Reference, at the size it was matched at.
        target: Target, likewise.
        previews: Both with pixels, perhaps smaller.
        failure: Why no model was fitted.
        origin: Where the matches come from.
    """

    reference: HasGrid
    target: HasGrid
    previews: tuple[Raster, Raster]
    failure: FitFailure
    origin: Provenance


def explain(pair: RefusedPair) -> Refusal:
    """The cause of a refusal, with advice."""
    failure = pair.failure
    if failure.reason is Reason.ONE_LINE:
        return Refusal(failure.reason.value, _cause(failure, pair.origin.imported), _SIMPLER_ADVICE)
    if pair.origin.imported:
        return Refusal(failure.reason.value, _cause(failure, imported=True), _TIE_POINT_ADVICE)
    if failure.reason is Reason.IMPLAUSIBLE:
        advice = ("another date", "check the georeference and the orientation of both images")
        return Refusal(failure.reason.value, _cause(failure), advice)
    side_px = float(np.ptp(common_corners(pair.reference, pair.target), axis=0).min())
    if side_px < MIN_SIDE_PX:
        cause = f"the common ground is {side_px:.0f} px wide at the matched size, and {MIN_SIDE_PX} px are needed"
        return Refusal(TOO_SMALL, cause, (*_larger_size_advice(pair), _MORE_GROUND))
    clouds = _cloud(pair.previews[0]), _cloud(pair.previews[1])
    clear = _clear_fraction(pair, clouds)
    if clear < _LITTLE_CLEAR:
        return Refusal(LITTLE_CLEAR_GROUND, _coverage_text(pair, clouds, clear), _clearer_images_advice(pair, ()))
    remedies = (*_lower_confidence_advice(pair), *_larger_size_advice(pair), *_clearer_images_advice(pair, clouds))
    if failure.reason is Reason.ONE_CLUSTER:
        remedies = (*remedies, _MORE_GROUND)
    return Refusal(failure.reason.value, _cause(failure), (*remedies, *_place_advice(pair)))


def _cause(failure: FitFailure, imported: bool = False) -> str:
    """The cause as text, with the numbers of points and inliers. Imported points are called tie points."""
    point, points = ("tie point", "tie points") if imported else ("match", "matches")
    match failure.reason:
        case Reason.HARDLY_ANY_MATCHES:
            if failure.matches == 0:
                return f"there are no {points}" + ("" if imported else ": nothing in common is seen in the two images")
            number = f"are only {failure.matches} {points}" if failure.matches > 1 else f"is only one {point}"
            return f"there {number}, and {failure.required} must agree"
        case Reason.TOO_FEW_AGREE:
            return f"only {failure.inliers} of {failure.matches} {points} agree, and {failure.required} must"
        case Reason.ONE_CLUSTER:
            return f"the {failure.inliers} {points} that agree cover no more ground than one cluster of wrong ones can"
        case Reason.ONE_LINE:
            return f"{points} that lie on one line, or in one place, do not determine this model"
    if failure.mirrored or failure.scale is None:
        return f"{failure.inliers} of {failure.matches} {points} agree on a model that mirrors the target or folds it"
    low, high = failure.scale
    return (
        f"{failure.inliers} of {failure.matches} {points} agree on a model that scales the target by {low:.2f} to "
        f"{high:.2f} times what is expected: {PLAUSIBLE_SCALE[0]:g} to {PLAUSIBLE_SCALE[1]:g} is plausible"
    )


def _lower_confidence_advice(pair: RefusedPair) -> tuple[str, ...]:
    lower = pair.origin.confidence > LOW_CONFIDENCE and pair.failure.matches > 0
    return (f"a lower confidence, such as {LOW_CONFIDENCE}, for more matches",) if lower else ()


def _larger_size_advice(pair: RefusedPair) -> tuple[str, ...]:
    finer = max(n / m for n, m in zip(pair.reference.native_size, pair.reference.size, strict=True)) > _FINER
    return ("a larger size, or --image_size native",) if finer else ()


def _clearer_images_advice(pair: RefusedPair, clouds: tuple[Mask, ...]) -> tuple[str, ...]:
    cloudy = any(cloud.mean() > _CLOUDY for cloud in clouds)
    masked = any(raster.masked_share - raster.cloud_share > _LITTLE_CLEAR for raster in pair.previews)
    return (
        "another date, with less cloud or of the same season",
        *(("--mask_clouds, to leave thick cloud out",) if cloudy else ()),
        *(("masks that cover less",) if masked else ()),
    )


def _place_advice(pair: RefusedPair) -> tuple[str, ...]:
    if not comparable(pair.reference, pair.target):
        low, high = PLAUSIBLE_SCALE
        return (f"check that both images show one place: all turns and scales of {low:g} to {high:g} were tried",)
    if pair.failure.reason is Reason.HARDLY_ANY_MATCHES:
        return ("check that both images show one place, at about one scale and orientation",)
    return ()


def _coverage_text(pair: RefusedPair, clouds: tuple[Mask, Mask], clear: float) -> str:
    """Text: the clear fraction of the common ground, and the fractions of cloud, masks and nodata in each image."""
    parts = []
    for role, raster, cloud in zip(("reference", "target"), pair.previews, clouds, strict=True):
        fractions = {
            "nodata": raster.nodata_share,
            "masked": raster.masked_share,
            "thick cloud or snow": float(cloud.mean()),
        }
        listed = ", ".join(f"{part:.0%} {name}" for name, part in fractions.items() if part >= _LEAST_LISTED)
        parts.append(f"{role} {listed or 'clear'}")
    return f"only {clear:.0%} of the common ground is clear in both images ({'; '.join(parts)})"


def _cloud(raster: Raster) -> Mask:
    """H×W bool, thick cloud that is not masked; False everywhere if the image's saturation is not known."""
    level = None if raster.radiometry is None else raster.radiometry.saturated
    if level is None or raster.masking.clouds or not (raster.georeferenced and ground_axes(raster).in_metres):
        return np.zeros(raster.valid.shape, np.bool_)
    pixel_m = math.sqrt(math.prod(pixel_sides_m(raster, raster.transform)))
    return np.asarray(saturated_cloud(raster.image, pixel_m, level) & raster.valid)


def _clear_fraction(pair: RefusedPair, clouds: tuple[Mask, Mask]) -> float:
    """Fraction of the common ground that is valid and without thick cloud in both images."""
    reference, target = pair.reference, pair.target

    def map_points(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        if comparable(reference, target):
            return predict(xy, reference, target)
        return xy * target.size / reference.size

    ground = common_ground(reference, target, pair.previews)
    everywhere = np.ones((1, 1), np.bool_)
    clear = replace(ground, valid=ground.valid & ~clouds[0], target_valid=ground.target_valid & ~clouds[1])
    common = replace(ground, valid=everywhere, target_valid=everywhere).cells(map_points)
    return clear.cells(map_points) / max(common, 1.0)
