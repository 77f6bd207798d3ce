"""Outcomes of a campaign in counts, kinds of findings and a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fuzz.cases import Kind, Outcome
from benchmarks.markdown import row

DEFAULT_JSON = Path(__file__).resolve().parents[1] / "results" / "fuzz.json"


def findings_of(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The findings by their signature, the most frequent first."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.is_finding:
            groups.setdefault(outcome.signature, []).append(outcome)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def summary_of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Counts, slowest case and largest memory of each reader, as JSON types."""
    rows = []
    for name in dict.fromkeys(outcome.reader for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.reader == name]
        kinds = Counter(outcome.kind for outcome in own)
        rows.append(
            {
                "reader": name,
                "cases": len(own),
                "accepted": kinds[Kind.ACCEPTED],
                "refused": kinds[Kind.REFUSED],
                "findings": sum(outcome.is_finding for outcome in own),
                "slowest_s": round(max(outcome.seconds for outcome in own), 1),
                "peak_mb": round(max(outcome.peak_mb for outcome in own)),
            }
        )
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table with a row for each reader, and one for all."""
    head = ["reader", "cases", "read", "refused", "findings", "slowest", "most memory"]
    counts = ("cases", "accepted", "refused", "findings")
    total = {"reader": "all", **{key: sum(one[key] for one in rows) for key in counts}}
    total |= {key: max(one[key] for one in rows) for key in ("slowest_s", "peak_mb")}
    lines = [
        row([one["reader"], *(str(one[key]) for key in counts), f"{one['slowest_s']:.1f} s", f"{one['peak_mb']} MiB"])
        for one in (*rows, total)
    ]
    return "\n".join([row(head), "|---|---:|---:|---:|---:|---:|---:|", *lines])
