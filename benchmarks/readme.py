"""Redraw what the README shows: its picture and summary, by running the command, and its tables, from the JSON.

python -m benchmarks.readme
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.accuracy import DEFAULT_JSON
from benchmarks.deformations import field
from benchmarks.figures import plot_accuracy
from benchmarks.months import DEFAULT_JSON as MONTHS_JSON
from benchmarks.months import Offsets
from benchmarks.months import table as months_table
from benchmarks.native import DEFAULT_JSON as NATIVE_JSON
from benchmarks.native import Native
from benchmarks.native import table as native_table
from benchmarks.networks import ROOT
from benchmarks.registration import DEFAULT_JSON as REGISTRATION_JSON
from benchmarks.registration import Outcome, correlated, overview
from benchmarks.registration import table as registration_table
from benchmarks.speed_tables import table
from benchmarks.tables import offsets_of, per_pair, totals
from s2match.outputs.figures.saving import save_figure
from s2match.util.atomic_write import atomic_write

README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "result.jpg"
CURVES = ROOT / "docs" / "accuracy.png"
SPEED_JSON = DEFAULT_JSON.with_name("speed.json")
ALL_TABLES = DEFAULT_JSON.with_suffix(".md")
ALL_DEFORMATIONS = REGISTRATION_JSON.with_suffix(".md")
# The offset whose pairs the README shows one by one.
SHOWN = (3.0, 5.0)


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    replaced, count = pattern.subn(lambda found: f"{found[1]}{content}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"the README has {count} blocks named {name}")
    return replaced


def accuracy_tables() -> str:
    """What the README shows of the last measurement."""
    result = json.loads(DEFAULT_JSON.read_text())
    return f"{totals(result)}\n\n{per_pair(result, SHOWN)}"


def all_tables() -> str:
    """Every pair at every offset."""
    result = json.loads(DEFAULT_JSON.read_text())
    tables = [per_pair(result, offset) for offset in offsets_of(result)]
    return "\n\n".join(["# Every test pair at every offset", *tables]) + "\n"


def speed_tables() -> str:
    """Time and memory of the last measurement."""
    return table(json.loads(SPEED_JSON.read_text()))


def native_tables() -> str:
    """Full tiles with a known field, as last measured."""
    return native_table([Native(**found) for found in json.loads(NATIVE_JSON.read_text())["found"]])


def registration_tables() -> str:
    """Every method over all known deformations, and pair by pair for the field."""
    outcomes = _outcomes()
    fields = [o for o in outcomes if o.deformation == field().name]
    return f"{overview(outcomes)}\n\n{correlated(outcomes)}\n\n{registration_table(fields)}"


def all_deformations() -> str:
    """Every deformation of every pair."""
    return f"# Root mean square error of the model, px\n\n{registration_table(_outcomes())}\n"


def months_tables() -> str:
    """What the months of one place are off each other, as last measured."""
    result = json.loads(MONTHS_JSON.read_text())
    return months_table(result["months"], [Offsets(**found) for found in result["found"]])


def _outcomes() -> list[Outcome]:
    return [Outcome(**outcome) for outcome in json.loads(REGISTRATION_JSON.read_text())["outcomes"]]


def sample_summary(picture: Path) -> str:
    """What the command prints for the sample, as a Markdown block; the picture is drawn on the way."""
    done = subprocess.run(
        [sys.executable, "model_inference.py", "--no-show", "--output", str(picture)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [f"    {line}".rstrip() for line in done.stdout.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("    written"))


def main() -> None:
    """Redraw everything."""
    text = README.read_text(encoding="utf-8")
    text = replace_block(text, "accuracy", accuracy_tables())
    text = replace_block(text, "speed", speed_tables())
    text = replace_block(text, "native", native_tables())
    text = replace_block(text, "registration", registration_tables())
    text = replace_block(text, "months", months_tables())
    text = replace_block(text, "summary", sample_summary(PICTURE))
    for path, content in ((README, text), (ALL_TABLES, all_tables()), (ALL_DEFORMATIONS, all_deformations())):
        with atomic_write(path) as partial:
            partial.write_text(content, encoding="utf-8")
    save_figure(plot_accuracy(json.loads(DEFAULT_JSON.read_text())), CURVES)


if __name__ == "__main__":
    main()
