"""What a result is to be written to, refused before the work where it cannot be."""

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
    """What a result is written to.

    Attributes:
        figure: The matches, drawn.
        json: The facts for machines; None for no file.
        tie_points: Files of tie points, each in the format of its suffix.
        order: Corrected images; None for none.
        report: Folder of the report; None for none.
        command: The words of the command, which the report tells.
    """

    figure: Path
    json: Path | None = None
    tie_points: tuple[Path, ...] = ()
    order: "CorrectionRequest | None" = None
    report: Path | None = None
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take paths as text, too."""
        object.__setattr__(self, "figure", Path(self.figure))
        object.__setattr__(self, "tie_points", tuple(map(Path, self.tie_points)))
        for name in ("json", "report"):
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else Path(path))

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file but those of the report."""
        corrected = () if self.order is None else self.order.outputs
        return self.figure, *filter(None, [self.json]), *self.tie_points, *corrected


def check_outputs(outputs: Outputs, inputs: Iterable[Path], target: Scene) -> None:
    """Refuse outputs that cannot be written.

    Args:
        outputs: The outputs.
        inputs: Files that are read, and never written.
        target: The image that is corrected.

    Raises:
        OutputError: One is an input or another output, or its folder, its format or its right to be written is missing.
        CorrectionError: A file to correct does not show the target's ground.
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
    if outputs.order is not None:
        # most runs correct nothing, and need not wait for what corrects
        from s2match.correction.request import check_request

        check_request(outputs.order, target)
