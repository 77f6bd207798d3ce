"""Options of a series."""

from dataclasses import dataclass, field

from s2match.core.mask import UNMASKED, Masking
from s2match.errors import OptionError
from s2match.settings import Settings
from s2match.timeseries.choices import Datum, PairMode


@dataclass(frozen=True)
class SeriesOptions:
    """The options of a series.

    Attributes:
        settings: How each pair is matched.
        masking: Ground that is matched in no image; an image's own masks are added.
        pairs: How pairs are chosen.
        partners: Pairs that each image has at least in a network, where it has as many partners.
        datum: What the shifts are relative to.
        reference: Index of the reference image, for pairs and datum; None: of the clearest ones, that
            whose pairs have most inliers; for pairs with the reference, the one with the largest clear share.
    """

    settings: Settings = field(default_factory=Settings)
    masking: Masking = UNMASKED
    pairs: PairMode = PairMode.NETWORK
    partners: int = 4
    datum: Datum = Datum.MEAN
    reference: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            OptionError: ``partners`` is not 1 or more.
        """
        if self.partners < 1:
            raise OptionError(f"{self.partners} partners are out of range: an image needs 1 or more.")
