"""docs/series_results.md describes the columns, keys and fields that are written."""

import re

import pytest
from conftest import ROOT
from series_results import series_result

from s2match.outputs.series.columns import COLUMNS
from s2match.outputs.series.facts import series_facts
from s2match.outputs.series.stac import stac_item

PAGE = ROOT / "docs" / "series_results.md"


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_is_described_as_in_the_package(table: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", section(table.capitalize()), re.MULTILINE)
    assert rows == [(name, column.unit, column.meaning) for name, column in COLUMNS[table].items()]


def test_every_key_of_the_json_is_described() -> None:
    keys = re.findall(r"^\| `(\w+)` \|", section("JSON"), re.MULTILINE)
    assert keys == list(series_facts(series_result()))


def test_every_field_of_the_accuracy_is_described() -> None:
    result = series_result()
    item = stac_item(result, result.dates[0])
    assert item is not None
    fields = re.findall(r"^\| `(accuracy:\w+)` \|", section("STAC Items"), re.MULTILINE)
    assert fields == [name for name in item["properties"] if name.startswith("accuracy:")]
