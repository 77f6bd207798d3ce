"""The result of a matched pair: matches, model, errors on the ground and verdict."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.ground_errors import GroundErrors, ground_errors
from s2match.core.matches import Matches
from s2match.core.raster import HasGrid, Raster
from s2match.registration.evidence import FitFailure
from s2match.registration.file_model import FileModel, file_model_of
from s2match.registration.model import Registration
from s2match.registration.refusal import Refusal, RefusedPair, explain
from s2match.registration.uncertainty import uncertainty_px
from s2match.registration.verdict import Verdict, in_words, judge
from s2match.settings import Settings
from s2match.tiepoints.geodataframe import geodataframe_of
from s2match.tiepoints.points import tie_points_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


@dataclass(frozen=True, repr=False)
class PairResult:
    """A matched pair.

    Attributes:
        reference: The image whose points are ``matches.xy0``, at the size it was matched at.
        target: The image whose points are ``matches.xy1``.
        previews: Both images for figures; smaller than the matched size if they were matched in windows.
        matches: All matches above the confidence threshold.
        registration: The model; None if no model was accepted.
        errors: Errors of all matches against the georeference; None if an image has no georeference.
        settings: The options that the pair was matched with.
        failure: The reason why no model was accepted; None with a registration.
    """

    reference: HasGrid
    target: HasGrid
    previews: tuple[Raster, Raster]
    matches: Matches
    registration: Registration | None
    errors: GroundErrors | None
    settings: Settings
    failure: FitFailure | None = None

    @cached_property
    def inlier_errors(self) -> GroundErrors | None:
        """Errors of the inliers; None without a registration or a georeference."""
        if self.errors is None or self.registration is None:
            return None
        return self.errors.subset(self.registration.inliers)

    @cached_property
    def uncertainty_px(self) -> float | None:
        """Standard error of the model at the worst corner of the common ground; None without a registration."""
        if self.registration is None:
            return None
        return float(uncertainty_px(self.registration, self.matches, common_corners(self.reference, self.target)).max())

    @cached_property
    def file_model(self) -> FileModel | None:
        """The model in pixels of the two files and in map coordinates; None without a registration."""
        return None if self.registration is None else file_model_of(self.reference, self.target, self.registration)

    @property
    def matrix(self) -> NDArray[np.float64] | None:
        """3×3 matrix from pixels of the reference's file to pixels of the target's file, GDAL frame.

        ``matrix @ (x, y, 1)`` is the target's pixel, up to scale. None without a registration, if the model is a field,
        and if the files have different reference systems: no single matrix then maps one to the other.

        Examples:
            >>> import numpy as np, s2match
            >>> reference = "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2"
            >>> target = "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2"
            >>> result = s2match.match(reference, target, confidence=0.5, image_size=(512, 512))
            >>> x, y, scale = result.matrix @ (120.5, 300.5, 1)
            >>> bool(np.hypot(x / scale - 120.5, y / scale - 300.5) < 2)
            True
        """
        model = None if self.file_model is None else self.file_model.file_px
        return None if model is None or model.control is not None else model.matrix

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the pair is registered already, needs the model, or has not enough evidence."""
        return judge(self.reference, self.target, self.matches, self.registration)

    @cached_property
    def refusal(self) -> Refusal | None:
        """The reason why no model was accepted, as text, and advice; None with a registration."""
        if self.failure is None:
            return None
        pair = RefusedPair(self.reference, self.target, self.previews, self.failure, self.matches.origin)
        return explain(pair)

    @property
    def headline(self) -> str:
        """Number of matches and of inliers in one line."""
        matches = f"{len(self.matches)} matches above {self.matches.origin.confidence:.2f}"
        if self.registration is None:
            return f"{matches}, no registration"
        return f"{matches}, {self.registration.inliers.sum()} inliers"

    def to_geodataframe(self) -> "GeoDataFrame":
        """The matches as a table with a point each, at its place in the target.

        The columns are those of files of tie points, in pixels of the files and in map coordinates:
        docs/tie_points.md explains them. Points are in the CRS of the target; if it has no georeference, in that of the
        reference; if neither has one, at the target's pixels with y upwards.

        Raises:
            MissingExtraError: geopandas is not installed.

        Examples:
            >>> import s2match
            >>> reference = "dataset/sample/SYNTHETIC-B_20240510T103621_TCI.jp2"
            >>> target = "dataset/sample/SYNTHETIC-B_20220829T103641_TCI.jp2"
            >>> result = s2match.match(reference, target, confidence=0.5, image_size=(512, 512))
            >>> table = result.to_geodataframe()
            >>> len(table) == len(result.matches)
            True
        """
        return geodataframe_of(tie_points_of(self))

    def __repr__(self) -> str:
        """The pair, its matches, the model, the shift on the ground and the verdict, a line each."""
        rows = {
            "matches": self.headline,
            "model": "none" if self.registration is None else self.registration.model,
            "shift": self._shift_text(),
            "verdict": in_words(self.verdict),
        }
        pair = f"PairResult: {self.reference.scene.path.name} (reference), {self.target.scene.path.name} (target)"
        return "\n".join([pair, *(f"  {name:<9}{text}" for name, text in rows.items())])

    def _shift_text(self) -> str:
        """Median shift of the inliers against the georeference."""
        errors = self.inlier_errors
        if errors is None or not len(errors.finite.east_m):
            return "unknown"
        (x, y), unit = errors.median_m, errors.axes.unit
        east, north = ("east", "north") if errors.axes.in_metres else ("along x", "along y")
        return f"{x:+.2f} {unit} {east}, {y:+.2f} {unit} {north} (median of the inliers)"


def assemble(  # noqa: PLR0913
    reference: HasGrid,
    target: HasGrid,
    previews: tuple[Raster, Raster],
    matches: Matches,
    fitted: Registration | FitFailure,
    settings: Settings,
) -> PairResult:
    """The result of a pair, with the errors of its matches against the georeference.

    The parameters are attributes of :class:`PairResult`; ``fitted`` is the model, or why there is none.
    """
    errors = ground_errors(reference, target, matches.xy0, matches.xy1)
    registration, failure = (None, fitted) if isinstance(fitted, FitFailure) else (fitted, None)
    return PairResult(reference, target, previews, matches, registration, errors, settings, failure)
