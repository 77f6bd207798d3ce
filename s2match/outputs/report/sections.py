"""Texts and tables of the page, as plain data that the templates lay out and escape."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from s2match.core.projection import crs_text
from s2match.correction.decision import CorrectionOutcome, DecisionCode
from s2match.correction.evaluation import Improvement
from s2match.outputs.agreement import agreement_rows, evaluation_note
from s2match.outputs.correction_text import changes_text
from s2match.outputs.facts import image_facts
from s2match.outputs.ground_error_table import ground_error_table
from s2match.outputs.summary import summary_rows
from s2match.registration.file_model import FrameModel
from s2match.registration.verdict import Decision, in_words
from s2match.result import PairResult
from s2match.settings import Settings

# Endings of the names of settings that are units.
_UNITS = ("px", "m")

_MOODS = {
    Decision.REGISTERED: "good",
    Decision.REGISTER: "act",
    Decision.INDISTINCT: "bad",
    Decision.UNKNOWN: "bad",
}

_IMAGE_ROWS = {
    "file": "file",
    "tile": "tile",
    "sensed": "sensed (UTC)",
    "size": "matched size",
    "native": "native size",
    "crs": "reference system",
    "transform": "transform",
    "nodata_share": "no data",
    "bands": "bands",
    "masked_share": "masked",
    "masks": "masks",
}


@dataclass(frozen=True)
class Header:
    """The first lines of the page.

    Attributes:
        headline: The outcome in one sentence.
        lines: Further sentences.
        mood: Class of the page's header: ``good``, ``act`` or ``bad``.
    """

    headline: str
    lines: tuple[str, ...]
    mood: str


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        rows: Cells of each row; the first one is its header.
        head: Headers of the columns; empty for none.
        numeric: Whether the cells are numbers, which are aligned to the right.
        notes: Sentences below it.
    """

    rows: tuple[tuple[str, ...], ...]
    head: tuple[str, ...] = ()
    numeric: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """The matrix of a model.

    Attributes:
        caption: The model and the frames that it maps between.
        rows: Its rows, aligned in columns.
        bent: Whether it is the affine part of a model that bends.
    """

    caption: str
    rows: str
    bent: bool


@dataclass(frozen=True)
class ModelSection:
    """The matrices of a model.

    Attributes:
        matrices: The matrices in file pixels and in map coordinates, if they exist.
        in_file_pixels: Whether there is one in file pixels.
    """

    matrices: tuple[Matrix, ...]
    in_file_pixels: bool


def page_header(result: PairResult, outcome: CorrectionOutcome | None) -> Header:
    """The outcome of a pair: of its correction where one was measured, or else the verdict."""
    verdict = in_words(result.verdict)
    if outcome is None or outcome.decision.code is DecisionCode.NOT_NEEDED or outcome.improvement is None:
        return Header(sentence(verdict), _file_lines(outcome), _MOODS[result.verdict.decision])
    improvement = outcome.improvement
    lines = f"{changes_text(improvement)}.", f"Before the correction: {verdict}.", *_file_lines(outcome)
    if improvement.better:
        return Header("The corrected image lies better on the reference than before.", lines, "good")
    if improvement.better is None:
        return Header(sentence(outcome.decision.reason), lines, "act")
    return Header("The correction did not make it better: keep the image as it was.", lines, "bad")


def _file_lines(outcome: CorrectionOutcome | None) -> tuple[str, ...]:
    """Sentence about the corrected files where they were not written, were forced, or could not be compared."""
    if outcome is None or outcome.decision.code is DecisionCode.BETTER:
        return ()
    decision = outcome.decision
    if not decision.kept:
        return (f"No corrected file was written: {decision.reason}.",)
    if decision.forced:
        return (f"The corrected file was written on --force: {decision.reason}.",)
    return (sentence(decision.reason),) if outcome.improvement is None else ()


def summary_table(result: PairResult) -> Table:
    """The rows of the summary without the verdict, which is the headline of the page."""
    return Table(tuple(row for row in summary_rows(result) if row[0] != "verdict"))


def errors_table(result: PairResult) -> Table | None:
    """Ground errors in metres and native pixels; None if there are none."""
    errors = ground_error_table(result)
    if errors is None:
        return None
    rows = tuple((name, *(f"{length} ({pixels})" for length, pixels in cells)) for name, cells in errors.rows)
    return Table(rows, ("ground errors", *errors.columns), numeric=True, notes=errors.notes)


def agreement_table(improvement: Improvement | None) -> Table | None:
    """The agreement with the reference before and after the correction; None without one."""
    if improvement is None:
        return None
    rows = tuple((row.name, row.before, row.after) for row in agreement_rows(improvement))
    notes = (sentence(evaluation_note(improvement)),)
    return Table(rows, ("against the reference", "before", "after"), numeric=True, notes=notes)


def images_table(result: PairResult) -> Table:
    """The files, sizes and georeferences of the two images."""
    reference, target = (
        image_facts(image, preview)
        for image, preview in zip((result.reference, result.target), result.previews, strict=True)
    )
    rows = ((name, _image_cell(reference, key), _image_cell(target, key)) for key, name in _IMAGE_ROWS.items())
    return Table(tuple(rows), ("", "reference", "target"))


def settings_table(settings: Settings) -> Table:
    """Every setting and its value."""
    values = asdict(settings).items()
    rows = ((_setting_name(key), "not set" if value is None else str(value)) for key, value in values)
    return Table(tuple(rows), ("parameter", "value"))


def versions_table(result: PairResult, versions: Mapping[str, str]) -> Table:
    """Weights, device, precision and versions."""
    origin = result.matches.origin
    precision = [("precision", origin.precision)] if origin.precision else []
    rows = [("weights", origin.weights), ("device", origin.device), *precision, *versions.items()]
    return Table(tuple(rows), ("made with", ""))


def model_section(result: PairResult) -> ModelSection | None:
    """The matrices of the model in file pixels and in map coordinates; None without a registration."""
    registration, model = result.registration, result.file_model
    if registration is None or model is None:
        return None
    matrices = []
    if model.file_px is not None:
        frame = "pixel (x, y, 1) of the reference's file to pixel of the target's, (0, 0) the upper left corner"
        matrices.append(_matrix(registration.model, frame, model.file_px))
    if model.on_map is not None:
        systems = (
            "which names no reference system" if crs is None else crs_text(crs)
            for crs in (model.reference_crs, model.target_crs)
        )
        frame = "map coordinates (x, y, 1) of the reference, {}, to those of the target, {}".format(*systems)
        matrices.append(_matrix(registration.model, frame, model.on_map))
    return ModelSection(tuple(matrices), model.file_px is not None)


def _matrix(name: str, frame: str, model: FrameModel) -> Matrix:
    cells = [[f"{value:.12g}" for value in row] for row in model.matrix]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = "\n".join("   ".join(map(str.rjust, row, widths)) for row in cells)
    return Matrix(f"{name}: {frame}.", rows, model.control is not None)


def sentence(text: str) -> str:
    """A phrase as a sentence, with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def _image_cell(image: dict[str, Any], key: str) -> str:
    match key:
        case "size":
            return f"{image['width_px']} × {image['height_px']} px"
        case "native":
            return f"{image['native_width_px']} × {image['native_height_px']} px"
        case "nodata_share" | "masked_share":
            return f"{image[key]:.1%}"
        case "masks":
            named = [*image["masks"], *(["clouds"] if image["mask_clouds"] else [])]
            return ", ".join(named) or "none"
        case "bands":
            return " ".join(image[key]) or "unknown"
        case "transform":
            return "none" if image[key] is None else ", ".join(f"{value:.10g}" for value in image[key])
    return "unknown" if image[key] is None else str(image[key])


def _setting_name(key: str) -> str:
    words = key.split("_")
    return f"{' '.join(words[:-1])} ({words[-1]})" if words[-1] in _UNITS else " ".join(words)
