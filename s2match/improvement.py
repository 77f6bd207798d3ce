"""Whether a corrected target agrees with the reference better than it did."""

from dataclasses import dataclass

from s2match.images import Raster


@dataclass(frozen=True)
class Agreement:
    """How well a target agrees with the reference, on ground that both show unmasked.

    Attributes:
        matches: How many there are.
        east_m: Median shift of the matches against the georeference, to the east.
        north_m: To the north.
        rmse_m: Root mean square distance of the matches.
        ce90_m: Distance that 90 % of the matches do not exceed.
        similarity: Mean structural similarity, -1 to 1.
        mutual_information: In bits.
    """

    matches: int
    east_m: float
    north_m: float
    rmse_m: float
    ce90_m: float
    similarity: float
    mutual_information: float


@dataclass(frozen=True)
class Improvement:
    """A target before and after it was corrected.

    Attributes:
        before: How the target agreed.
        after: How the corrected target agrees.
        shown: The reference, the target before and the target after, on one grid of the reference's.
    """

    before: Agreement
    after: Agreement
    shown: tuple[Raster, Raster, Raster]

    @property
    def better(self) -> bool:
        """Whether the matches lie closer together and the images are more alike."""
        return self.after.rmse_m < self.before.rmse_m and self.after.similarity > self.before.similarity
