"""Summary of a series as a short table of text."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from s2match.outputs.series.statistics import (
    Lengths,
    closure_lengths,
    image_counts,
    left_out_lengths,
    pair_counts,
    placements,
    verdict_counts,
)
from s2match.outputs.series.wording import axis_names, datum_text, length_text, shift_text
from s2match.registration.verdict import Decision
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus

# Group terms that have a line, and images that a line names.
_MOST_TERMS, _MOST_NAMES = 4, 3

# Fewest characters of the names, with the blanks behind them.
_NAME_WIDTH = 14

# Above this, the residuals are larger than the pairs' covariances say.
_LARGE_FACTOR = 2.0

_STATUS_NAMES = {
    DateStatus.SEPARATE: "separate",
    DateStatus.NOT_SEEN: "not seen",
    DateStatus.UNREADABLE: "unreadable",
}


def series_summary(result: SeriesResult, more: Sequence[tuple[str, str]] = ()) -> str:
    """Summary of a series as at most 20 lines with aligned names, without a final newline.

    Args:
        result: The series.
        more: Names and values of further lines.
    """
    rows = [*summary_rows(result), *more]
    width = max(_NAME_WIDTH, *(len(name) + 2 for name, _ in rows))
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows)


def summary_rows(result: SeriesResult) -> list[tuple[str, str]]:
    """Names and values of the summary; a name is empty where its row continues the last one."""
    return [
        *_image_rows(result),
        ("pairs", _counts_text(pair_counts(result).items(), "kept", len(result.pairs))),
        *_verdict_rows(result),
        *_accuracy_rows(result),
        *_group_rows(result),
        *_next_rows(result),
    ]


def placed_text(result: SeriesResult) -> str:
    """How many images are placed, and how well: "19 of 24 images are placed, with a median standard error of …"."""
    placed = placements(result)
    text = f"{len(placed.indexes)} of {len(result.images)} images are placed"
    if not len(placed.indexes):
        return text
    return f"{text}, with a median standard error of {length_text(placed.median_std, result)}"


def lengths_text(lengths: Lengths, result: SeriesResult) -> str:
    """Median and 90 % of lengths: "median 0.50 m (0.050 px), 90 % below 1.28 m (0.128 px)"."""
    return f"median {length_text(lengths.median, result)}, 90 % below {length_text(lengths.p90, result)}"


def _image_rows(result: SeriesResult) -> list[tuple[str, str]]:
    counts = image_counts(result)
    rows = [("images", placed_text(result))]
    for status, name in _STATUS_NAMES.items():
        if counts[status]:
            reasons = Counter(row.reason for row in result.dates if row.status is status)
            reason = _reason_text(reasons)
            named = [result.images[row.index].title for row in result.dates if row.status is status]
            rows.append((name, f"{counts[status]}: {_list_text(named)}{reason}"))
    return rows


def _verdict_rows(result: SeriesResult) -> list[tuple[str, str]]:
    """How many placed images have each verdict, with the names of those that are to be registered."""
    parts = []
    for decision, count in verdict_counts(result).items():
        if decision is Decision.REGISTER and count:
            named = [result.images[row.index].title for row in result.dates if row.verdict is decision]
            parts.append(f"{decision} {count} ({_list_text(named)})")
        elif count:
            parts.append(f"{count} {decision}")
    return [("verdict", ", ".join(parts))] if parts else []


def _accuracy_rows(result: SeriesResult) -> list[tuple[str, str]]:
    placed, closure, left_out = placements(result), closure_lengths(result), left_out_lengths(result)
    rows = []
    if len(placed.indexes):
        shifts = np.hypot(*placed.shifts.T)
        median, largest = (length_text(float(value), result) for value in (np.median(shifts), shifts.max()))
        title = result.images[placed.indexes[int(shifts.argmax())]].title
        rows.append(("datum", datum_text(result)))
        rows.append(("shifts", f"median {median}, largest {largest}: {title}"))
    if closure.count:
        rows.append(("closure", f"{lengths_text(closure, result)}, of {closure.count} triangles"))
    if left_out.count:
        rows.append(("left out", f"{lengths_text(left_out, result)}, each kept pair against all others"))
    return rows


def _group_rows(result: SeriesResult) -> list[tuple[str, str]]:
    """Median shift of each orbit and platform."""
    rows = []
    for term in result.group_terms[:_MOST_TERMS]:
        components = (
            f"{shift_text(value, std, result)} {result.unit} {name}"
            for value, std, name in zip(term.shift, term.std, axis_names(result.unit), strict=True)
        )
        rows.append((term.name, f"{', '.join(components)} (95 %), median of {term.images} images"))
    more = len(result.group_terms) - _MOST_TERMS
    return [*rows, *([("", f"and {more} more orbits or platforms")] if more > 0 else [])]


def _next_rows(result: SeriesResult) -> list[tuple[str, str]]:
    """What to look at next."""
    advice = []
    if not len(placements(result).indexes):
        advice.append("the reasons of the pairs: no image is placed")
    elif image_counts(result)[DateStatus.SEPARATE]:
        advice.append("more partners for each image, which may connect the separate ones")
    if pair_counts(result)["rejected"]:
        advice.append("the rejected pairs and their reasons, in the table of pairs")
    if result.adjustment.variance_factor > _LARGE_FACTOR:
        advice.append(
            f"the residuals: their variance is {result.adjustment.variance_factor:.1f} times what the pairs predict"
        )
    return list(zip(["look at", *[""] * len(advice)], advice, strict=False))


def _counts_text(counts: Iterable[tuple[str, int]], first: str, total: int) -> str:
    """Counts as "56 of 80 kept, 5 rejected, 19 without evidence"."""
    words = {"no_evidence": "without evidence"}
    parts = []
    for name, count in counts:
        if name == first:
            parts.append(f"{count} of {total} {name}")
        elif count:
            parts.append(f"{count} {words.get(name, name)}")
    return ", ".join(parts)


def _reason_text(reasons: Counter[str]) -> str:
    """The reason in brackets; of several reasons the most frequent one."""
    reason, _ = reasons.most_common(1)[0]
    if not reason:
        return ""
    return f" ({reason})" if len(reasons) == 1 else f" (mostly: {reason})"


def _list_text(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
