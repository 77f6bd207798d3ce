"""Output files of a result, and their checks before matching."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2match.core.scene import Scene
from s2match.outputs.figures.formats import check_animation_format, check_format
from s2match.outputs.report.names import report_files
from s2match.tiepoints.formats import check_tie_point_format, needs_file
from s2match.util.atomic_write import check_absent, check_folder, check_outputs_apart, check_writable
from s2match.util.progress import Stage

if TYPE_CHECKING:
    from s2match.correction.model_files import ModelFiles
    from s2match.correction.request import CorrectionRequest


@dataclass(frozen=True)
class Outputs:
    """The files that a result is written to.

    Attributes:
        figure: Figure of the matches; None for no file.
        json: JSON of the result; None for no file.
        tie_points: Files of tie points, each in the format of its suffix.
        correction: Images to correct and the files to write them to; None for none.
        report: Folder of the report; None for none.
        command: The words of the command line, for the report.
        options: The options of the command line by their names, for the JSON; empty for none.
        overwrite: Whether existing files may be replaced.
        replaceable: Files that are replaced in any case.
        model_files: Files of the model for other programs; None for none.
        blink: Animation of the reference and the target; None for none.
    """

    figure: Path | None
    json: Path | None = None
    tie_points: tuple[Path, ...] = ()
    correction: "CorrectionRequest | None" = None
    report: Path | None = None
    command: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    replaceable: tuple[Path, ...] = ()
    model_files: "ModelFiles | None" = None
    blink: Path | None = None

    def __post_init__(self) -> None:
        """Convert paths that are text."""
        object.__setattr__(self, "tie_points", tuple(map(Path, self.tie_points)))
        for name in ("figure", "json", "report", "blink"):
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else Path(path))

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file except those of the report."""
        corrected = () if self.correction is None else self.correction.outputs
        of_model = () if self.model_files is None else self.model_files.paths
        return *filter(None, [self.figure, self.blink, self.json]), *self.tie_points, *of_model, *corrected

    @property
    def streamable(self) -> tuple[Path, ...]:
        """The files that may be a device or a pipe."""
        points = [path for path in self.tie_points if not needs_file(path)]
        return *filter(None, [self.figure, self.blink, self.json]), *points

    @property
    def guarded(self) -> tuple[Path, ...]:
        """The files that are not replaced unless ``overwrite`` is set; of an existing report the first file."""
        report = () if self.report is None else report_files(self.report)
        existing = [path for path in report if path.exists()]
        return *(path for path in self.files if path not in self.replaceable), *existing[:1]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of writing them, in order."""
        tables = self.json is not None or self.tie_points
        of_model = self.model_files is not None and self.model_files.paths
        chosen = {
            Stage.FIGURE: self.figure is not None,
            Stage.TABLES: tables,
            Stage.MODEL: of_model,
            Stage.ANIMATION: self.blink is not None,
            Stage.REPORT: self.report is not None,
        }
        return tuple(stage for stage, needed in chosen.items() if needed)


def with_product_files(outputs: Outputs, target: Scene) -> Outputs:
    """The outputs with the corrected files of the target's product, if they are asked for.

    Raises:
        CorrectionError: They are asked for, and the target is not part of a product.
    """
    if outputs.correction is None:
        return outputs
    # not imported by runs that correct nothing
    from s2match.correction.request import with_product_files as resolved

    return replace(outputs, correction=resolved(outputs.correction, target))


def check_outputs(outputs: Outputs, inputs: Iterable[Path], reference: Scene, target: Scene) -> None:
    """Check that every output can be written.

    Args:
        outputs: The outputs.
        inputs: Files that are read and must not be overwritten.
        reference: The image that the target is corrected onto.
        target: The image that is corrected.

    Raises:
        OutputError: A file is an input or another output, exists and must not be replaced, has no folder, has an
            unknown format or is write-protected.
        CorrectionError: A file to correct does not cover the target's ground, or an image lacks a georeference that a
            file of the model needs.
        UnreadableImageError: A file to correct is missing or is not an image.
    """
    report = () if outputs.report is None else report_files(outputs.report)
    if outputs.report is not None:
        check_folder(outputs.report)
    check_outputs_apart((*outputs.files, *report), inputs)
    for path in outputs.files:
        check_writable(path, to_stream=path in outputs.streamable)
    # a folder may have the name of a figure
    for path in (path for path in report if path.exists()):
        check_writable(path)
    if outputs.figure is not None:
        check_format(outputs.figure)
    if outputs.blink is not None:
        check_animation_format(outputs.blink)
    for path in outputs.tie_points:
        check_tie_point_format(path)
    check_absent(outputs.guarded, outputs.overwrite)
    if outputs.correction is not None:
        # not imported by runs that correct nothing
        from s2match.correction.request import check_request

        check_request(outputs.correction, target)
    if outputs.model_files is not None:
        from s2match.io.pair_grid import read_pair

        outputs.model_files.check(*read_pair(reference, target))
