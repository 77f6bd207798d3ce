"""The result of a series."""

from dataclasses import dataclass

from s2match.timeseries.adjustment import Adjustment
from s2match.timeseries.closure import Closure
from s2match.timeseries.group_terms import GroupTerm
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.observations import PairObservation
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.pair_graph import PlannedPair
from s2match.timeseries.quick_looks import QuickLook
from s2match.timeseries.rows import DateRow, PairRow


@dataclass(frozen=True)
class SeriesResult:
    """A series whose images are placed by each other.

    Attributes:
        images: The images.
        quick_looks: Quick look of each image, or the reason why it cannot be read.
        plan: The pairs.
        observations: The observation of each pair, in the order of the plan.
        adjustment: The shifts.
        closure: Closures of triangles.
        group_terms: Median shifts by relative orbit and platform.
        dates: A row for each image.
        pairs: A row for each pair.
        unit: Unit of the observations: "m", "px" or map units.
        pixel: Side of a pixel of the files in ``unit``.
        options: The options.
        seconds: Time that the run took; with a resumed run, its last part.
    """

    images: tuple[SeriesImage, ...]
    quick_looks: tuple[QuickLook | str, ...]
    plan: tuple[PlannedPair, ...]
    observations: tuple[PairObservation, ...]
    adjustment: Adjustment
    closure: Closure
    group_terms: tuple[GroupTerm, ...]
    dates: tuple[DateRow, ...]
    pairs: tuple[PairRow, ...]
    unit: str
    pixel: float
    options: SeriesOptions
    seconds: float
