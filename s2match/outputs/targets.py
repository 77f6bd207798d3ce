"""Output files of a result, and their checks before matching."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s2match.core.scene import Scene
from s2match.outputs.figures.formats import check_format
from s2match.outputs.report.names import report_files
from s2match.tiepoints.formats import check_tie_point_format
from s2match.util.atomic_write import check_folder, check_outputs_apart, check_writable

if TYPE_CHECKING:
    from s2match.correction.request import CorrectionRequest


@dataclass(frozen=True)
class Outputs:
    """The files that a result is written to.

    Attributes:
        figure: Figure of the matches.
        json: JSON of the result; None for no file.
        tie_points: Files of tie points, each in the format of its suffix.
        correction: Images to correct and the files to write them to; None for none.
        report: Folder of the report; None for none.
        command: The words of the command line, for the report.
    """

    figure: Path
    json: Path | None = None
    tie_points: tuple[Path, ...] = ()
    correction: "CorrectionRequest | None" = None
    report: Path | None = None
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Convert paths that are text."""
        object.__setattr__(self, "figure", Path(self.figure))
        object.__setattr__(self, "tie_points", tuple(map(Path, self.tie_points)))
        for name in ("json", "report"):
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else Path(path))

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file except those of the report."""
        corrected = () if self.correction is None else self.correction.outputs
        return self.figure, *filter(None, [self.json]), *self.tie_points, *corrected


def check_outputs(outputs: Outputs, inputs: Iterable[Path], target: Scene) -> None:
    """Check that every output can be written.

    Args:
        outputs: The outputs.
        inputs: Files that are read and must not be overwritten.
        target: The image that is corrected.

    Raises:
        OutputError: A file is an input or another output, has no folder, has an unknown format or is write-protected.
        CorrectionError: A file to correct does not cover the target's ground.
        UnreadableImageError: A file to correct is missing or is not an image.
    """
    report = () if outputs.report is None else report_files(outputs.report)
    check_outputs_apart((*outputs.files, *report), inputs)
    for path in outputs.files:
        check_writable(path)
    check_format(outputs.figure)
    for path in outputs.tie_points:
        check_tie_point_format(path)
    if outputs.report is not None:
        check_folder(outputs.report)
    if outputs.correction is not None:
        # not imported by runs that correct nothing
        from s2match.correction.request import check_request

        check_request(outputs.correction, target)
