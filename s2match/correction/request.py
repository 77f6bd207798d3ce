"""What is corrected on a user's behalf: the target, files that go with it, and what must not be overwritten."""

from dataclasses import dataclass, replace
from pathlib import Path

from s2match.core.scene import Scene
from s2match.correction.pixel_map import Correction, require_same_footprint
from s2match.correction.resample_file import write_moved, write_resampled
from s2match.errors import CorrectionError, OptionError, OutputError
from s2match.io.cog import check_cog
from s2match.io.pair_grid import read_pair
from s2match.io.reader import measured, read_grid
from s2match.resampling.kernels import RESAMPLINGS
from s2match.result import PairResult
from s2match.util.threads import limit_threads

CUBIC = "cubic"


@dataclass(frozen=True)
class CorrectionRequest:
    """What to correct, and how.

    Attributes:
        out: Where the corrected target goes.
        siblings: Files that show the target's ground, to be corrected likewise, beside ``out``.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`; None: pixels stay, the georeference is moved.
        overwrite: Whether what is there may be replaced.
    """

    out: Path
    siblings: tuple[Path, ...] = ()
    resampling: str | None = CUBIC
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Take paths as text, too, and refuse an unknown resampling.

        Raises:
            OptionError: It is.
        """
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "siblings", tuple(map(Path, self.siblings)))
        if self.resampling is not None and self.resampling not in RESAMPLINGS:
            raise OptionError(f"Unknown resampling {self.resampling!r}: choose {', '.join(RESAMPLINGS)}.")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files to write: ``out``, and ``NAME_coregistered.tif`` beside it for each sibling ``NAME``."""
        return self.out, *(self.out.parent / f"{path.stem}_coregistered.tif" for path in self.siblings)


def check_request(order: CorrectionRequest, target: Scene) -> None:
    """Refuse what cannot be done, before any work.

    Raises:
        OutputError: An output is no GeoTIFF by its name, or is there and must not be replaced.
        CorrectionError: A sibling does not show the target's ground.
        UnreadableImageError: A sibling or the target is missing or is not an image.
    """
    check_cog(order.out)
    for path in order.outputs:
        if path.exists() and not order.overwrite:
            raise OutputError(f"{path} is there already: --overwrite replaces it.")
    for path in order.siblings:
        require_same_footprint(read_grid(path), read_grid(target))


@limit_threads()
def correct(result: PairResult, order: CorrectionRequest) -> None:
    """Write the corrected files; with a pure translation alone where pixels are to stay.

    Raises:
        CorrectionError: There is no registration, or it is more than a translation where pixels are to stay.
        UnreadableImageError: A file is missing, not an image, or damaged.
        OutputError: A file cannot be written.
    """
    if result.registration is None:
        raise CorrectionError("Nothing can be corrected without a registration.")
    reference, target = read_pair(result.reference.scene, result.target.scene)
    # what is no data was decided when the target was matched
    files = reference, replace(target, radiometry=result.target.radiometry)
    correction = Correction(result.reference, result.target, result.registration, *files)
    siblings = [measured(read_grid(path), result.settings.read_options) for path in order.siblings]
    for source, out in zip((files[1], *siblings), order.outputs, strict=True):
        if order.resampling is None:
            write_moved(correction, source, out)
        else:
            lattice = correction.lattice(None if source is files[1] else source)
            write_resampled(correction, source, lattice, out, order.resampling)
