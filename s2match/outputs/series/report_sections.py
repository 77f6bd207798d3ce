"""Texts and tables of the report of a series, as plain data that the template lays out and escapes."""

from collections import Counter
from collections.abc import Sequence

from s2match.outputs.report.cards import Card
from s2match.outputs.report.sections import Header, Table, sentence
from s2match.outputs.series.statistics import (
    Lengths,
    closure_lengths,
    image_counts,
    left_out_lengths,
    pair_counts,
    placements,
)
from s2match.outputs.series.summary import placed_text, summary_rows
from s2match.outputs.series.wording import axis_names, datum_text, number_text, shift_text
from s2match.registration.verdict import Decision
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, DateStatus, PairRow
from s2match.util.versions import versions

# The page names the versions of these packages.
_PACKAGES = ("torch", "kornia", "numpy", "scipy", "rasterio", "matplotlib")

_STATUS_TEXT = {
    DateStatus.PLACED: "placed",
    DateStatus.SEPARATE: "separate",
    DateStatus.NOT_SEEN: "not seen",
    DateStatus.UNREADABLE: "unreadable",
}

_INTERVAL = "± is the half width of the 95 % interval."

# Only these are known without a mask of clouds.
_CLEAR = "Clear is what is not nodata, not masked and not saturated. Cloud that is not saturated counts as clear."


def series_name(result: SeriesResult) -> str:
    """Tiles and first and last date, such as "T36UXA, T36UYA 2018-03-05 to 2018-12-15"."""
    tiles = sorted({image.tile for image in result.images if image.tile is not None})
    dates = sorted({image.date for image in result.images if image.date is not None})
    words = [", ".join(tiles), " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else ""]
    return " ".join(filter(None, words)) or "Series"


def counts_text(result: SeriesResult) -> str:
    """Number of images and pairs."""
    return f"{len(result.images)} images, {len(result.pairs)} pairs"


def page_header(result: SeriesResult) -> Header:
    """How many images are placed, and against what."""
    placed = image_counts(result)[DateStatus.PLACED]
    mood = "bad" if not placed else "good" if placed == len(result.images) else "act"
    lines = (f"Shifts are relative to {datum_text(result)}.",) if placed else ()
    return Header(sentence(placed_text(result)), lines, mood)


def cards(result: SeriesResult) -> tuple[Card, ...]:
    """Images placed, standard error, closure, left-out check and pairs kept."""
    images, pairs = image_counts(result), pair_counts(result)
    closure, left_out, error = closure_lengths(result), left_out_lengths(result), placements(result).median_std
    missing = ", ".join(
        f"{images[status]} {text}"
        for status, text in _STATUS_TEXT.items()
        if images[status] and status is not DateStatus.PLACED
    )
    others = ", ".join(
        f"{count} {status.replace('_', ' ')}" for status, count in pairs.items() if count and status != "kept"
    )
    return (
        Card("Images placed", f"{images[DateStatus.PLACED]} of {len(result.images)}", missing or "all"),
        Card("Standard error", _value(error, result), f"median{_pixels(error, result)}"),
        _length_card("Closure", closure, "triangles", result),
        _length_card("Left-out pairs", left_out, "pairs", result),
        Card("Pairs kept", f"{pairs['kept']} of {len(result.pairs)}", others or "all"),
    )


def _length_card(name: str, lengths: Lengths, things: str, result: SeriesResult) -> Card:
    """Median of lengths, and what 90 % of them do not exceed."""
    more = f"median of {lengths.count} {things}; 90 % below {_value(lengths.p90, result)}"
    return Card(name, _value(lengths.median, result), more if lengths.count else f"no {things}")


def summary_table(result: SeriesResult) -> Table:
    """The rows of the summary without the first, which is the headline of the page."""
    return Table(tuple(summary_rows(result)[1:]))


def missing_table(result: SeriesResult) -> Table | None:
    """The images that are not placed and why; None if all are."""
    rows = tuple(
        (_title(result, row.index), _STATUS_TEXT[row.status], row.reason)
        for row in result.dates
        if row.status is not DateStatus.PLACED
    )
    return Table(rows, ("image not placed", "status", "reason")) if rows else None


def rejected_table(result: SeriesResult) -> Table | None:
    """The pairs that the adjustment rejects and why; None if there are none."""
    rows = tuple(
        (_pair_title(result, row), number_text(row.residual_m, result), row.reason)
        for row in result.pairs
        if row.status == "rejected"
    )
    return Table(rows, ("pair rejected", f"residual ({result.unit})", "reason")) if rows else None


def unmeasured_table(result: SeriesResult) -> Table | None:
    """Reasons of the pairs that were not measured, with the number of pairs; None if all were."""
    reasons = Counter(row.reason for row in result.pairs if row.status in ("no_evidence", "failed"))
    rows = tuple((reason or "unknown", str(count)) for reason, count in reasons.most_common())
    return Table(rows, ("reason why pairs were not measured", "pairs"), numeric=True) if rows else None


def groups_table(result: SeriesResult) -> Table | None:
    """Median shift of each orbit and platform; None if there is only one of a kind."""
    rows = tuple(
        (
            term.name,
            str(term.images),
            *(shift_text(value, std, result) for value, std in zip(term.shift, term.std, strict=True)),
        )
        for term in result.group_terms
    )
    axes = (f"median {name} ({result.unit})" for name in axis_names(result.unit))
    head = ("orbit, platform or cycle day", "images", *axes)
    return Table(rows, head, numeric=True, notes=(_INTERVAL,)) if rows else None


def dates_table(result: SeriesResult) -> Table:
    """A row for each image."""
    shifts = _shift_texts(result)
    rows = tuple(
        (
            _title(result, row.index),
            _sensor(row),
            "" if row.clear_share is None else f"{row.clear_share:.0%}",
            str(row.pairs),
            str(row.points),
            *shifts.get(row.index, ("", "")),
            number_text(row.residual_m, result),
            # the status of a placed image is said by its verdict
            row.verdict or _STATUS_TEXT[row.status],
        )
        for row in result.dates
    )
    x, y, residual = (f"{name} ({result.unit})" for name in (*axis_names(result.unit), "residual"))
    head = ("image", "satellite", "clear", "pairs", "points", x, y, residual, "verdict")
    return Table(rows, head, numeric=True, notes=(_INTERVAL, _CLEAR))


def pairs_table(result: SeriesResult) -> Table:
    """A row for each pair."""
    rows = tuple(
        (
            _pair_title(result, row),
            "" if row.days_apart is None else str(row.days_apart),
            str(row.points),
            _component(row.dx_m, row.dx_std_m, result),
            _component(row.dy_m, row.dy_std_m, result),
            "" if row.weight is None else f"{row.weight:.2f}",
            number_text(row.residual_m, result),
            number_text(row.left_out_m, result),
            number_text(row.worst_closure_m, result),
            row.status.replace("_", " "),
        )
        for row in result.pairs
    )
    x, y = axis_names(result.unit)
    unit = result.unit
    lengths = (f"{name} ({unit})" for name in ("residual", "left out", "worst closure"))
    head = ("pair", "days", "points", f"{x} ({unit})", f"{y} ({unit})", "weight", *lengths, "status")
    return Table(rows, head, numeric=True, notes=(_INTERVAL,))


def options_table(result: SeriesResult) -> Table:
    """The options of the series, without those of the pairs."""
    options, masking = result.options, result.options.masking
    masks = [mask.path.name for mask in masking.masks] + (["clouds"] if masking.clouds else [])
    rows = (
        ("pairs", str(options.pairs)),
        ("partners", str(options.partners)),
        ("datum", str(options.datum)),
        ("reference", "not set" if options.reference is None else _title(result, options.reference)),
        ("masks", ", ".join(masks) or "none"),
    )
    return Table(rows, ("option", "value"))


def versions_table() -> Table:
    """Versions of the package and of its libraries."""
    return Table(tuple(versions(_PACKAGES).items()), ("made with", ""))


def reading(result: SeriesResult) -> tuple[tuple[str, str], ...]:
    """Terms of the page and their meaning."""
    x, y = axis_names(result.unit)
    return (
        (
            "Shift",
            f"Where the image shows the ground, minus where it is: {x} and {y}, relative to {datum_text(result)}. "
            "Moving the image by the opposite corrects it.",
        ),
        (
            "Standard error",
            "By the covariances of the pairs, propagated through the adjustment, and by the error that an image has in "
            "all of its pairs, from season and shadows.",
        ),
        (
            "Verdict",
            f'"{Decision.REGISTER}": the shift is significant at the level of 1 %, and corrected files remove it. '
            f'Others stay where they are. "{Decision.REGISTERED}": the shift is not significant, and its error is at '
            f'most half a native pixel (95 %). "{Decision.INDISTINCT}", or "{Decision.UNKNOWN}": the shift is not '
            "significant, but its error may be larger.",
        ),
        ("Residual", "Measured shift of a pair minus the difference of the shifts of its two images."),
        (
            "Closure",
            "Sum of the shifts A to B, B to C and C to A, which is 0 without errors of the pairs. "
            "An error of one image cancels in it.",
        ),
        ("Left-out pairs", "Measured shift of each pair minus the shift that all other pairs give for its images."),
        ("Separate", "The pairs that are kept do not connect the image to the largest part of the series."),
        ("Not seen", "No pair of the image shows enough ground to be measured or kept."),
    )


def _shift_texts(result: SeriesResult) -> dict[int, tuple[str, str]]:
    """Both components of the shift of each placed image, with 95 % intervals."""
    placed = placements(result)
    return {
        int(index): (shift_text(shift[0], std[0], result), shift_text(shift[1], std[1], result))
        for index, shift, std in zip(placed.indexes, placed.shifts, placed.std, strict=True)
    }


def _component(value: float | None, std: float | None, result: SeriesResult) -> str:
    return "" if value is None or std is None else shift_text(value, std, result)


def _value(length: float, result: SeriesResult) -> str:
    """A length with its unit; "unknown" if it is NaN."""
    text = number_text(length, result)
    return f"{text} {result.unit}" if text else "unknown"


def _pixels(length: float, result: SeriesResult) -> str:
    """Such as "; 0.055 px" after a length whose unit is another one; empty where there is no length."""
    return f"; {length / result.pixel:.3f} px" if number_text(length, result) and result.unit != "px" else ""


def _sensor(row: DateRow) -> str:
    orbit = "" if row.relative_orbit is None else f"R{row.relative_orbit:03d}"
    return " ".join(filter(None, (row.platform, orbit)))


def _title(result: SeriesResult, index: int) -> str:
    return result.images[index].title


def _pair_title(result: SeriesResult, row: PairRow) -> str:
    return " → ".join(_unique([_title(result, row.reference), _title(result, row.target)]))


def _unique(titles: Sequence[str]) -> list[str]:
    """Titles of two images; the tile of the second is left out where it is that of the first."""
    first, second = titles
    tile, _, rest = second.partition(" ")
    return [first, rest if rest and first.startswith(f"{tile} ") else second]
