"""Markdown tables from the JSON of :mod:`benchmarks.accuracy`."""

from typing import Any

import numpy as np

from benchmarks.markdown import row
from benchmarks.scoring import CONFIDENCE_STEPS, Score
from benchmarks.trust import Trust, interval_sentence, verdict_table

Run = dict[str, Any]


def scores_of(run: Run) -> list[Score]:
    """The scores of a method at one offset."""
    return [
        Score(**{**each, "trust": None if each.get("trust") is None else Trust(**each["trust"])})
        for each in run["scores"]
    ]


def offsets_of(result: dict[str, Any]) -> list[tuple[float, float]]:
    """The offsets that were measured, in order."""
    return list(dict.fromkeys((run["offset_px"][0], run["offset_px"][1]) for run in result["runs"]))


def totals(result: dict[str, Any]) -> str:
    """Markdown table with a row for each offset and method, over all pairs."""
    head = ["target moved by", "method", "registered", "right of all", "right of those above 0.8", "median", "slope"]
    lines = [row(head), "|---|---|---:|---:|---:|---:|---:|"]
    for offset in offsets_of(result):
        for run in _runs_at(result, offset):
            scores = scores_of(run)
            right, matches, right_above, above = _sums(scores)
            lines.append(
                row(
                    [
                        _offset(offset),
                        run["matcher"],
                        f"{sum(s.registered for s in scores)} of {len(scores)}",
                        f"{right} of {matches}" if matches else "–",
                        f"{right_above} of {above}" if has_confidence(run) else "–",
                        _median([s.median_px for s in scores], " px"),
                        _median([s.slope for s in scores], ""),
                    ]
                )
            )
    return "\n".join(lines)


def per_pair(result: dict[str, Any], offset: tuple[float, float]) -> str:
    """Markdown table with a row for each pair and the columns of every method, at one offset."""
    runs = _runs_at(result, offset)
    head = [f"target moved by {_offset(offset)}", *(title for run in runs for title in _titles(run))]
    lines = [row(head), "|---|" + "---:|" * (len(head) - 1)]
    for scores in zip(*(scores_of(run) for run in runs), strict=True):
        pair = " – ".join(name[:15].replace("_", " ") for name in (scores[0].reference, scores[0].target))
        measured = [_cells(each, run) for each, run in zip(scores, runs, strict=True)]
        lines.append(row([pair, *(cell for cells in measured for cell in cells)]))
    lines.append(row(["**all**", *(cell for run in runs for cell in _total_cells(run))]))
    return "\n".join(lines)


def verdicts(result: dict[str, Any]) -> str:
    """Sentence and Markdown table on the intervals and verdicts of refined matches, over all offsets and pairs."""
    runs = [run for run in result["runs"] if str(run["matcher"]).endswith("refined")]
    trusts = [score.trust for run in runs for score in scores_of(run) if score.trust is not None]
    return f"{interval_sentence(trusts)}\n\n{verdict_table(trusts)}"


def calibration(result: dict[str, Any]) -> str:
    """Sentences on the share of right matches by confidence, over all offsets and pairs."""
    runs = [run for run in result["runs"] if has_confidence(run)]
    refined = [run for run in runs if str(run["matcher"]).endswith("refined")]
    lines = []
    for who, of in (("the network", [run for run in runs if run not in refined]), ("refinement", refined)):
        matches, right = np.sum([s.by_confidence for run in of for s in scores_of(run)], axis=0)
        parts = [
            f"{100 * right[i] / matches[i]:.0f} % of those from {CONFIDENCE_STEPS[i]:g} to {CONFIDENCE_STEPS[i + 1]:g}"
            for i in (2, 4, 6)
            if matches[i]
        ]
        parts.append(f"{100 * right[9] / matches[9]:.2f} % of those above {CONFIDENCE_STEPS[9]:g}")
        above = f"{100 * matches[9] / matches.sum():.1f} % of the points"
        lines.append(f"- Points of {who}: {', '.join(parts)} are right. {above} are above {CONFIDENCE_STEPS[9]:g}.")
    return "\n".join(lines)


def has_confidence(run: Run) -> bool:
    """Whether the matches of a method have LoFTR's confidence."""
    return str(run["matcher"]).startswith("LoFTR")


def _runs_at(result: dict[str, Any], offset: tuple[float, float]) -> list[Run]:
    return [run for run in result["runs"] if tuple(run["offset_px"]) == offset]


def _gives_matches(run: Run) -> bool:
    return any(s.matches for s in scores_of(run))


def _offset(offset: tuple[float, float]) -> str:
    return f"{offset[0]:g}, {offset[1]:g} px"


def _sums(scores: list[Score]) -> list[int]:
    return [sum(getattr(s, name) for s in scores) for name in ("right", "matches", "right_above_08", "above_08")]


def _median(values: list[float | None], unit: str) -> str:
    numbers = [value for value in values if value is not None]
    return f"{np.median(numbers):.2f}{unit}" if numbers else "–"


def _titles(run: Run) -> list[str]:
    if not _gives_matches(run):
        return [f"{run['matcher']}: worst corner"]
    sure = ["right of those above 0.8"] if has_confidence(run) else []
    return [f"{run['matcher']}: right of all", *sure, "median", "worst corner"]


def _cells(s: Score, run: Run) -> list[str]:
    corner = "–" if s.corner_px is None else f"{s.corner_px:.2f}" if s.corner_px < 100 else "> 100"
    corner = f"**{corner}**" if s.registered else corner
    if not _gives_matches(run):
        return [corner]
    median = "–" if s.median_px is None else f"{s.median_px:.2f}"
    sure = [f"{s.right_above_08} of {s.above_08}"] if has_confidence(run) else []
    return [f"{s.right} of {s.matches}", *sure, median, corner]


def _total_cells(run: Run) -> list[str]:
    scores = scores_of(run)
    registered = f"**{sum(s.registered for s in scores)} registered**"
    if not _gives_matches(run):
        return [registered]
    right, matches, right_above, above = _sums(scores)
    sure = [f"{right_above} of {above}"] if has_confidence(run) else []
    return [f"{right} of {matches}", *sure, "", registered]
