"""A series as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from s2match.outputs.csv_table import cell
from s2match.outputs.facts import unit_key, without_nan, write_json_content
from s2match.outputs.series.statistics import (
    Lengths,
    closure_lengths,
    image_counts,
    left_out_lengths,
    pair_counts,
    placements,
    verdict_counts,
)
from s2match.outputs.series.wording import axis_names
from s2match.timeseries.group_terms import GroupTerm
from s2match.timeseries.options import SeriesOptions
from s2match.timeseries.result import SeriesResult
from s2match.version import __version__


def series_facts(result: SeriesResult) -> dict[str, Any]:
    """The series as JSON types: counts, closure, standard errors, group terms, dates and settings.

    Lengths of ``closure``, ``left_out`` and ``placement`` are in ``unit``. Equal results give equal facts, so times are
    left out.
    """
    images, pairs, placed = image_counts(result), pair_counts(result), placements(result)
    x, y = axis_names(result.unit)
    content = {
        "s2match_version": __version__,
        "unit": result.unit,
        "pixel": result.pixel,
        "datum": str(result.options.datum),
        "images": {"total": len(result.images), **{str(status): count for status, count in images.items()}},
        "verdicts": {str(decision): count for decision, count in verdict_counts(result).items()},
        "pairs": {
            "planned": len(result.plan),
            "measured": sum(observation.measured for observation in result.observations),
            **pairs,
        },
        "closure": {"triangles": len(result.closure.lengths), **_length_facts(closure_lengths(result))},
        "left_out": {"pairs": left_out_lengths(result).count, **_length_facts(left_out_lengths(result))},
        "variance_factor": result.adjustment.variance_factor,
        "placement": {
            "median_standard_error": placed.median_std,
            **{f"standard_deviation_{name}": value for name, value in zip((x, y), placed.spread, strict=True)},
        },
        "group_terms": [_group_facts(term, result.unit) for term in result.group_terms],
        "dates": [{name: cell(value) for name, value in asdict(row).items()} for row in result.dates],
        "settings": _setting_facts(result.options),
    }
    facts: dict[str, Any] = without_nan(content)
    return facts


def write_series_json(result: SeriesResult, path: str | Path, options: Mapping[str, Any] | None = None) -> None:
    """Write the series to a JSON file.

    Args:
        result: The series.
        path: The file.
        options: The options of the command line by their names; None for none.

    Raises:
        OutputError: The file cannot be written.
    """
    write_json_content(series_facts(result) | ({"options": dict(options)} if options else {}), path)


def _length_facts(lengths: Lengths) -> dict[str, float]:
    return {"median": lengths.median, "p90": lengths.p90, "largest": lengths.largest}


def _group_facts(term: GroupTerm, unit: str) -> dict[str, Any]:
    ending = unit_key(unit)
    names = axis_names(unit)
    return {
        "kind": term.kind,
        "name": term.name,
        "images": term.images,
        **{f"{name}_{ending}": value for name, value in zip(names, term.shift, strict=True)},
        **{f"{name}_std_{ending}": value for name, value in zip(names, term.std, strict=True)},
    }


def _setting_facts(options: SeriesOptions) -> dict[str, Any]:
    masking = options.masking
    return {
        "pairs": str(options.pairs),
        "partners": options.partners,
        "datum": str(options.datum),
        "reference": options.reference,
        "masks": [mask.path.name for mask in masking.masks],
        "mask_clouds": masking.clouds,
        **asdict(options.settings),
    }
