"""Parts of the page that are text and tables, as HTML; everything that comes from files and options is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from s2match.correction.evaluation import Improvement
from s2match.outputs.correction_text import in_units, measured_by, number_text
from s2match.outputs.facts import facts
from s2match.outputs.ground_text import error_rows, ground_notes, unit_key, why_no_errors
from s2match.outputs.summary import summary_rows
from s2match.registration.file_model import FrameModel
from s2match.registration.verdict import Decision, in_words
from s2match.result import PairResult

# What the name of a setting ends with where it has a unit.
_UNITS = ("px", "m")

_MOODS = {Decision.REGISTERED: "good", Decision.REGISTER: "act", Decision.UNKNOWN: "bad"}

_AGREEMENT = (
    ("matches", "matches", "{:d}"),
    ("east_m", "median shift east", "{:+.1f} m"),
    ("north_m", "median shift north", "{:+.1f} m"),
    ("rmse_m", "RMSE", "{:.1f} m"),
    ("ce90_m", "CE90", "{:.1f} m"),
    ("similarity", "structural similarity", "{:.3f}"),
    ("mutual_information", "mutual information", "{:.3f} bit"),
)


def outcome(result: PairResult, improvement: Improvement | None) -> tuple[str, list[str], str]:
    """The outcome in the first line, what else there is to say of it, and its mood: good, act or bad.

    A correction that made nothing better comes before everything else.
    """
    verdict = in_words(result.verdict)
    if improvement is None:
        return _sentence(verdict), [], _MOODS[result.verdict.decision]
    before, after = improvement.before, improvement.after
    ce90, similarity = (
        " before, ".join(number_text(getattr(one, key), form) for one in (before, after))
        for key, form in (("ce90_m", in_units("{:.1f} m", improvement.axes)), ("similarity", "{:.2f}"))
    )
    change = f"CE90 {ce90} after; structural similarity {similarity} after."
    more = [change, f"Before the correction: {verdict}."]
    if improvement.better:
        return "The corrected image lies better on the reference than before.", more, "good"
    if improvement.better is None:
        return "Whether the correction made it better is unknown: too little common ground to compare.", more, "act"
    return "The correction did not make it better: keep the image as it was.", more, "bad"


def summary_table(result: PairResult) -> str:
    """The rows of the summary, without the verdict, which the page begins with."""
    rows = [(name, value) for name, value in summary_rows(result) if name != "verdict"]
    return _table((), rows)


def errors_table(result: PairResult) -> str:
    """Ground errors in metres and native pixels, or why there are none."""
    if result.errors is None:
        return f"<p>Ground errors are unknown: {why_no_errors(result)}.</p>"
    found = facts(result)["ground_errors"]
    kinds = [
        (title, found[key]) for title, key in (("all matches", "all_matches"), ("inliers", "inliers")) if found[key]
    ]
    if not kinds:
        why = f"Ground errors are unknown: {why_no_errors(result)}" if len(result.matches) else "There are no matches"
        return f"<p>{why}.</p>"
    axes = result.errors.axes
    rows = [
        (
            name,
            *(
                f"{cell[f'{key}_{unit_key(axes.unit)}']:.1f} {axes.unit} ({cell[key + '_native_px']:.2f} px)"
                for _, cell in kinds
            ),
        )
        for name, key in error_rows(axes.in_metres)
    ]
    note = "".join(f"<p class=note>{escape(told)}</p>" for told in ground_notes(result.errors))
    return _table(("ground errors", *(title for title, _ in kinds)), rows, numbers=True) + note


def improvement_section(improvement: Improvement | None) -> str:
    """The target before and after, side by side; nothing without a correction."""
    if improvement is None:
        return ""
    rows = [
        (in_units(name, improvement.axes), *_cells(improvement, key, in_units(form, improvement.axes)))
        for key, name, form in _AGREEMENT
    ]
    table = _table(("against the reference", "before", "after"), rows, numbers=True)
    note = f"<p class=note>{escape(_sentence(measured_by(improvement)))}</p>"
    return f'<section id="improvement"><h2>Before and after</h2>{table}{note}</section>'


def _cells(improvement: Improvement, key: str, form: str) -> list[str]:
    return [number_text(getattr(agreement, key), form) for agreement in (improvement.before, improvement.after)]


def images_table(result: PairResult) -> str:
    """What the two images are."""
    known = facts(result)
    reference, target = known["reference"], known["target"]
    names = {
        "file": "file",
        "tile": "tile",
        "sensed": "sensed (UTC)",
        "size": "matched size",
        "native": "native size",
        "crs": "reference system",
        "transform": "transform",
        "nodata_share": "no data",
        "masked_share": "masked",
        "masks": "masks",
    }
    rows = [(name, _image_cell(reference, key), _image_cell(target, key)) for key, name in names.items()]
    return _table(("", "reference", "target"), rows)


def settings_table(result: PairResult) -> str:
    """Every parameter."""
    rows = [
        (_setting_name(key), "not set" if value is None else str(value))
        for key, value in asdict(result.settings).items()
    ]
    return _table(("parameter", "value"), rows)


def versions_table(result: PairResult, versions: dict[str, str]) -> str:
    """Weights, device, precision and versions."""
    origin = result.matches.origin
    precision = [("precision", origin.precision)] if origin.precision else []
    rows = [("weights", origin.weights), ("device", origin.device), *precision, *versions.items()]
    return _table(("made with", ""), rows)


def model_section(result: PairResult) -> str:
    """The model in pixels of the files and on the map; why there is none where there is none."""
    registration, model = result.registration, result.file_model
    if registration is None or model is None:
        refusal = result.refusal
        if refusal is None:
            return "<p>There is no registration.</p>"
        tries = "".join(f"<li>{escape(advice)}</li>" for advice in refusal.advice)
        return f"<p>There is no registration: {escape(refusal.cause)}.</p><p>To try:</p><ul>{tries}</ul>"
    parts = []
    if model.file_px is None:
        parts.append(
            "<p>In pixels of the files there is no matrix: the target's file has another reference system than the "
            "reference, and was matched on the reference's pixels.</p>"
        )
    else:
        frame = "pixel (x, y, 1) of the reference's file to pixel of the target's, (0, 0) the upper left corner"
        parts.append(_matrix(registration.model, frame, model.file_px))
    if model.on_map is not None:
        named = (model.reference_crs, model.target_crs)
        systems = ("which names no reference system" if crs is None else crs.to_string() for crs in named)
        frame = "map coordinates (x, y, 1) of the reference, {}, to those of the target, {}".format(*systems)
        parts.append(_matrix(registration.model, frame, model.on_map))
    return "".join(parts)


def _matrix(name: str, frame: str, model: FrameModel) -> str:
    cells = [[f"{value:.12g}" for value in row] for row in model.matrix]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = "\n".join("   ".join(map(str.rjust, row, widths)) for row in cells)
    bends = "" if model.control is None else " This is its affine part; the JSON holds what bends beside it."
    return f"<p>{escape(f'{name}: {frame}.')}{bends}</p><pre>{rows}</pre>"


def _sentence(text: str) -> str:
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
        case "transform":
            return "none" if image[key] is None else ", ".join(f"{value:.10g}" for value in image[key])
    return "unknown" if image[key] is None else str(image[key])


def _setting_name(key: str) -> str:
    words = key.split("_")
    return f"{' '.join(words[:-1])} ({words[-1]})" if words[-1] in _UNITS else " ".join(words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """A table of text, its first column headers; it scrolls by itself where it is wider than the page."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    body = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
    kind = ' class="numbers"' if numbers else ""
    return f'<div class="wide"><table{kind}>{top}<tbody>{body}</tbody></table></div>'


def _row(cells: Sequence[str]) -> str:
    return f'<th scope="row">{escape(cells[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])
