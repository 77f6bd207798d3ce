"""Tables and sentences of the series that were measured."""

from typing import Any

import numpy as np

from benchmarks.markdown import row

# Dates of a tile in ten years, with two satellites and one orbit.
_DATES_OF_TEN_YEARS = 730

# Tiles of archives: a country of 350 000 km² needs about 50, and Sentinel-2 has about 18 000 tiles of land.
_ARCHIVES = (("one tile, ten years", 1), ("a country, ten years", 50), ("all land, ten years", 18_000))

_CORE_HOUR_USD = 0.04

# Facts of a series, by name.
Facts = dict[str, Any]


def table(result: Facts) -> str:
    """Markdown table of the series, and sentences about errors and time."""
    head = ["series", "placed", "pairs kept", "closure, median and 90 %", "left out, median and 90 %", "standard error"]
    lines = [row(head), "|---|---|---|---|---|---|"]
    for name in ("ukraine", "slovenia", "months"):
        if name not in result:
            continue
        facts = result[name]
        closure, left_out = (" and ".join(f"{v:.2f} px" for v in facts[key]) for key in ("closure_px", "left_out_px"))
        lines.append(
            row(
                [
                    name,
                    f"{facts['placed']} of {facts['images']}",
                    f"{facts['kept']} of {facts['pairs']}",
                    closure,
                    left_out,
                    f"{facts['std_px']:.3f} px",
                ]
            )
        )
    return "\n".join([*lines, "", *_sentences(result)])


def _sentences(result: Facts) -> list[str]:
    sentences = []
    if "ukraine" in result:
        facts = result["ukraine"]
        sentences.append(
            f"- ukraine (the georeference is right): {facts['within_0.1_px']} of {facts['placed']} placed dates lie "
            f"within 0.1 px of it, the largest error is {max(facts['errors_px']):.2f} px. The 95 % region holds the "
            f"truth for {facts['inside_95']} of {facts['placed']}."
        )
    if "slovenia" in result:
        (before, after), shift = result["slovenia"]["scatter"], result["slovenia"]["shift_px"]
        sentences.append(
            f"- slovenia: shifts of {shift[0]:.2f} px in the median, 95 % below {shift[1]:.2f} px. The standard "
            f"deviation over time of a pixel falls from {before:.4f} to {after:.4f} (median of "
            f"{result['slovenia']['pixels']} pixels); it falls in {result['slovenia']['falling']:.0%} of them. "
            f"Resampled by the same shifts in the wrong direction it is {result['slovenia']['scatter_reversed']:.4f}."
        )
    if "months" in result:
        differences = result["months"]["differences_px"]
        sentences.append(f"- months: the offsets are those of all 66 pairs within {np.nanmax(differences):.2f} px.")
    if "speed" in result:
        facts = result["speed"]
        one, many, each = (facts[name] for name in ("one_worker", "workers", "features_for_each_pair"))
        sentences.append(
            f"- time of {facts['pairs']} pairs: {one['wall_s']:.0f} s on one worker, {many['wall_s']:.0f} s on two "
            f"(ratio {one['wall_s'] / many['wall_s']:.2f}). Features are computed {one['encoded']} times instead of "
            f"{each['encoded']}; a pair takes {one['pair_s']:.1f} s instead of {each['pair_s']:.1f} s in the median. A "
            f"worker takes at most {many['worker_gb']:.1f} GB."
        )
    if "dates" in result:
        sentences.append(_by_dates(result["dates"]))
    return sentences


def _by_dates(facts: Facts) -> str:
    """Item on the time of series by their number of dates."""
    counted = facts["by_dates"]
    times = ", ".join(
        f"{count} dates ({each['pairs']} pairs) {each['wall_s']:.0f} s" for count, each in counted.items()
    )
    memory = ", ".join(f"{each['worker_gb']:.2f} GB" for each in counted.values())
    return f"- time of whole series on {facts['workers']} workers: {times}; a worker takes at most {memory}."


def archive_table(result: Facts) -> str:
    """Markdown table of the time of larger archives, from the time of a pair and the pairs of a plan."""
    pairs = result["plan"]["pairs"]
    per_date, pair_s = pairs["50"] / 50, result["speed"]["one_worker"]["pair_s"]
    lines = [
        f"Plans of 10, 25 and 50 dates have {pairs['10']}, {pairs['25']} and {pairs['50']} pairs. With {per_date:.1f} "
        f"pairs for each date and {pair_s:.1f} s for a pair on one core:",
        "",
        row(["archive", "tiles", "dates", "pairs", "core hours", f"cost at {_CORE_HOUR_USD} USD for a core hour"]),
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, tiles in _ARCHIVES:
        dates = tiles * _DATES_OF_TEN_YEARS
        hours = dates * per_date * pair_s / 3600
        amounts = [f"{value:,.0f}" for value in (tiles, dates, dates * per_date, hours)]
        cost = hours * _CORE_HOUR_USD
        lines.append(row([name, *amounts, f"{cost:,.0f} USD" if cost >= 1 else f"{cost:.2f} USD"]))
    return "\n".join(lines)
