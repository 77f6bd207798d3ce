"""What is known about a matched pair, for people (a short table) and for machines (JSON)."""

from dataclasses import dataclass
from functools import cached_property

from s2match.core.footprint import common_corners
from s2match.core.grid import HasGrid
from s2match.core.ground_errors import GroundErrors, ground_errors
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.registration.evidence import FitFailure
from s2match.registration.file_model import FileModel, file_model_of
from s2match.registration.model import Registration
from s2match.registration.refusal import Refusal, RefusedPair, explain
from s2match.registration.uncertainty import uncertainty_px
from s2match.registration.verdict import Verdict, judge
from s2match.settings import Settings


@dataclass(frozen=True)
class PairResult:
    """A matched pair.

    Attributes:
        reference: The image whose points are ``matches.xy0``, at the size it was matched at.
        target: The image whose points are ``matches.xy1``.
        previews: Both as figures show them; smaller than they were matched where that was in windows.
        matches: All matches above the confidence.
        registration: The model, or None when there is not enough evidence for one.
        errors: Errors of all matches against the georeference; None when an image has none.
        settings: How it was done.
        failure: Why there is no registration; None with one.
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
        """Errors of the inliers alone; None without a registration or a georeference."""
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

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the pair is registered already, needs the model, or cannot be told."""
        return judge(self.reference, self.target, self.matches, self.registration)

    @cached_property
    def refusal(self) -> Refusal | None:
        """Why there is no registration, in words, and what to try; None with one."""
        if self.failure is None:
            return None
        pair = RefusedPair(self.reference, self.target, self.previews, self.failure, self.matches.origin)
        return explain(pair)

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        found = f"{len(self.matches)} matches above {self.matches.origin.confidence:.2f}"
        if self.registration is None:
            return f"{found}, no registration"
        return f"{found}, {self.registration.inliers.sum()} inliers"


def assemble(
    reference: HasGrid,
    target: HasGrid,
    previews: tuple[Raster, Raster],
    matches: Matches,
    fitted: Registration | FitFailure,
    settings: Settings,
) -> PairResult:
    """Gather the parts of a result and measure its matches against the georeference."""
    errors = ground_errors(reference, target, matches.xy0, matches.xy1)
    registration, failure = (None, fitted) if isinstance(fitted, FitFailure) else (fitted, None)
    return PairResult(reference, target, previews, matches, registration, errors, settings, failure)
