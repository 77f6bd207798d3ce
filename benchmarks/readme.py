"""Fill README.md and docs/ with measured results: the summary of the sample, its figures, and the tables.

The summary and the pictures come from runs of the command, the tables from the JSON of the benchmarks.

python -m benchmarks.readme
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import evidence, faults, lying_sizes, unseen, untrusted_inputs
from benchmarks.accuracy import DEFAULT_JSON
from benchmarks.chips import DEFAULT_JSON as CHIPS_JSON
from benchmarks.chips import Outcome as ChipOutcome
from benchmarks.chips import table as chips_table
from benchmarks.correction import DEFAULT_JSON as CORRECTION_JSON
from benchmarks.correction import Rates
from benchmarks.correction import table as correction_table
from benchmarks.deformations import field
from benchmarks.figures import plot_accuracy, plot_series, plot_stages
from benchmarks.fuzz.report import DEFAULT_JSON as FUZZ_JSON
from benchmarks.fuzz.report import table as fuzz_table
from benchmarks.highlights import highlights
from benchmarks.losses import losses
from benchmarks.months import DEFAULT_JSON as MONTHS_JSON
from benchmarks.months import Offsets
from benchmarks.months import table as months_table
from benchmarks.native import DEFAULT_JSON as NATIVE_JSON
from benchmarks.native import Native
from benchmarks.native import table as native_table
from benchmarks.networks import ROOT
from benchmarks.profile import DEFAULT_JSON as PROFILE_JSON
from benchmarks.profile import table as profile_table
from benchmarks.registration import DEFAULT_JSON as REGISTRATION_JSON
from benchmarks.registration import Outcome, correlated, overview
from benchmarks.registration import table as registration_table
from benchmarks.series import DEFAULT_JSON as SERIES_JSON
from benchmarks.series_tables import archive_table
from benchmarks.series_tables import table as series_table
from benchmarks.soak import DEFAULT_JSON as SOAK_JSON
from benchmarks.soak import table as soak_table
from benchmarks.speed_tables import table
from benchmarks.start import DEFAULT_JSON as START_JSON
from benchmarks.start import table as start_table
from benchmarks.tables import calibration, offsets_of, per_pair, totals, verdicts
from benchmarks.warps import DEFAULT_JSON as WARPS_JSON
from benchmarks.warps import Row
from benchmarks.warps import table as warps_table
from s2match.outputs.figures.saving import save_figure
from s2match.util.atomic_write import atomic_write

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PICTURE = ROOT / "docs" / "result.jpg"
BLINK = ROOT / "docs" / "before_after.gif"
CURVES = ROOT / "docs" / "accuracy.png"
SERIES_FIGURE = ROOT / "docs" / "series.png"
STAGES_FIGURE = ROOT / "docs" / "stages.png"
SPEED_JSON = DEFAULT_JSON.with_name("speed.json")
SPEED_AVX2_JSON = DEFAULT_JSON.with_name("speed_avx2.json")
SPEED_GPU_JSON = DEFAULT_JSON.with_name("speed_gpu.json")
ALL_TABLES = DEFAULT_JSON.with_suffix(".md")
ALL_DEFORMATIONS = REGISTRATION_JSON.with_suffix(".md")
# The offset whose pairs docs/accuracy.md shows one by one.
SHOWN = (3.0, 5.0)
# The lines of the sample's summary that README.md explains, by their first word or words.
FIRST_LINES = ("verdict", "matches", "registration", "uncertainty", "ground errors", "shift", "CE90")

_BLOCK = re.compile(r"^<!-- (?P<name>\w+) -->\n(?P<content>.*?)^<!-- /(?P=name) -->$", re.DOTALL | re.MULTILINE)


def blocks_of(text: str) -> dict[str, str]:
    """Contents of the blocks of a page, each between ``<!-- name -->`` and ``<!-- /name -->``, by name."""
    return {block["name"]: block["content"].rstrip("\n") for block in _BLOCK.finditer(text)}


def fill_blocks(text: str, contents: Mapping[str, str]) -> str:
    """Replace the contents of every block of a page.

    Raises:
        ValueError: A block has no content.
    """
    unknown = blocks_of(text).keys() - contents.keys()
    if unknown:
        raise ValueError(f"no content for blocks named {', '.join(sorted(unknown))}")
    return _BLOCK.sub(
        lambda block: f"<!-- {block['name']} -->\n{contents[block['name']]}\n<!-- /{block['name']} -->", text
    )


def accuracy_tables() -> str:
    """Markdown tables of the accuracy on the 16 test pairs, as last measured."""
    result = json.loads(DEFAULT_JSON.read_text())
    return f"{totals(result)}\n\n{per_pair(result, SHOWN)}"


def verdict_tables() -> str:
    """Sentence and Markdown table on intervals and verdicts on the 16 test pairs, as last measured."""
    return verdicts(json.loads(DEFAULT_JSON.read_text()))


def calibration_sentences() -> str:
    """Markdown list of the share of right matches by confidence, as last measured."""
    return calibration(json.loads(DEFAULT_JSON.read_text()))


def losses_table() -> str:
    """Sentence and Markdown table of the cases that another method wins, as last measured."""
    return losses(_outcomes())


def all_tables() -> str:
    """Page with the accuracy of every pair at every offset."""
    result = json.loads(DEFAULT_JSON.read_text())
    tables = [per_pair(result, offset) for offset in offsets_of(result)]
    return "\n\n".join(["# Every test pair at every offset", *tables]) + "\n"


def speed_tables(path: Path) -> str:
    """Markdown tables of time and memory, as last measured into a JSON file."""
    return table(json.loads(path.read_text()))


def profile_tables() -> str:
    """Markdown table of whole commands, as last measured."""
    return profile_table(json.loads(PROFILE_JSON.read_text()))


def start_tables() -> str:
    """Markdown table of the start of processes, as last measured."""
    return start_table(json.loads(START_JSON.read_text()))


def native_tables() -> str:
    """Markdown table of full tiles with a known displacement field, as last measured."""
    return native_table(_tiles())


def registration_tables() -> str:
    """Markdown tables of every method: over all deformations, and for each pair with the field."""
    outcomes = _outcomes()
    fields = [o for o in outcomes if o.deformation == field().name]
    return f"{overview(outcomes)}\n\n{correlated(outcomes)}\n\n{registration_table(fields)}"


def all_deformations() -> str:
    """Page with the errors of every method for every pair and deformation."""
    return f"# Root mean square error of the model, px\n\n{registration_table(_outcomes())}\n"


def highlight_table() -> str:
    """Markdown table of six measurements for the README, as last measured."""
    return highlights(json.loads(DEFAULT_JSON.read_text()), _outcomes(), _tiles())


def months_tables() -> str:
    """Markdown table of the offsets between months of one place, as last measured."""
    result = json.loads(MONTHS_JSON.read_text())
    return months_table(result["months"], [Offsets(**offsets) for offsets in result["found"]])


def correction_tables() -> str:
    """Markdown table of how often measures call a correction better, as last measured."""
    return correction_table([Rates(**rates) for rates in json.loads(CORRECTION_JSON.read_text())["rates"]])


def chips_tables() -> str:
    """Markdown table of small images with a known movement, as last measured."""
    return chips_table([ChipOutcome(**outcome) for outcome in json.loads(CHIPS_JSON.read_text())["chips"]])


def unseen_tables() -> str:
    """Table and sentences on places that no weights were trained on, as last measured."""
    return unseen.table(json.loads(unseen.DEFAULT_JSON.read_text()))


def evidence_sentence() -> str:
    """Sentence on the pairs of different places, as last measured."""
    return evidence.sentence(json.loads(evidence.DEFAULT_JSON.read_text()))


def warps_tables() -> str:
    """Markdown table of known turns and scales, as last measured."""
    return warps_table([Row(**one) for one in json.loads(WARPS_JSON.read_text())["warps"]])


def series_tables() -> str:
    """Markdown table of whole series, and sentences, as last measured."""
    return series_table(json.loads(SERIES_JSON.read_text()))


def fuzz_tables() -> str:
    """The table of the mutated inputs, by the last measurement."""
    result = json.loads(FUZZ_JSON.read_text(encoding="utf-8"))
    measured = f"{result['cases']} cases in {result['seconds']} s, in {result['workers']} processes."
    return f"{fuzz_table(result['readers'])}\n\n{measured}"


def soak_tables() -> str:
    """The table of many pairs in one process, by the last measurement."""
    return soak_table(json.loads(SOAK_JSON.read_text(encoding="utf-8")))


def faults_table() -> str:
    """Markdown table of outputs on full disks, as last measured."""
    outcomes = json.loads(faults.DEFAULT_JSON.read_text(encoding="utf-8"))["outcomes"]
    return faults.table([faults.Outcome(**{**one, "left": tuple(one["left"])}) for one in map(_without_kind, outcomes)])


def _without_kind(outcome: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an outcome; the JSON has its kind, too."""
    return {name: value for name, value in outcome.items() if name != "kind"}


def lying_sizes_table() -> str:
    """Markdown table of files that claim to be very large, as last measured."""
    costs = json.loads(lying_sizes.DEFAULT_JSON.read_text(encoding="utf-8"))["costs"]
    return lying_sizes.table([lying_sizes.Cost(**cost) for cost in costs])


def untrusted_tables() -> str:
    """Markdown tables of servers that hardly answer and of zips of many images, as last measured."""
    result = json.loads(untrusted_inputs.DEFAULT_JSON.read_text(encoding="utf-8"))
    left = [untrusted_inputs.Left(**one) for one in result["requests"]]
    return untrusted_inputs.table(left, [untrusted_inputs.Preparation(**one) for one in result["preparation"]])


def archive_tables() -> str:
    """Markdown table of the time of larger archives, from what was last measured."""
    return archive_table(json.loads(SERIES_JSON.read_text()))


def _outcomes() -> list[Outcome]:
    return [Outcome(**outcome) for outcome in json.loads(REGISTRATION_JSON.read_text())["outcomes"]]


def _tiles() -> list[Native]:
    return [Native(**result) for result in json.loads(NATIVE_JSON.read_text())["found"]]


def sample_summary(picture: Path) -> str:
    """Summary that the command prints for the sample, as a Markdown block.

    Args:
        picture: File that the command draws the matches into.
    """
    lines = [f"    {line}".rstrip() for line in _run("--output", picture).splitlines()]
    return "\n".join(line for line in lines if not line.startswith("    written"))


def main_lines(summary: str) -> str:
    """The lines of a summary that README.md explains."""
    return "\n".join(line for line in summary.splitlines() if line.lstrip().startswith(FIRST_LINES))


def draw_correction(picture: Path) -> None:
    """Draw the sample's pair before and after its correction, as a GIF."""
    with tempfile.TemporaryDirectory() as folder:
        _run("--no-figure", "--coregister", Path(folder) / "corrected.tif", "--blink", picture)


def _run(*options: str | Path) -> str:
    """What the command prints for the sample."""
    command = [sys.executable, "model_inference.py", "--no-show", "--overwrite", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


TABLES: Mapping[str, Callable[[], str]] = {
    "accuracy": accuracy_tables,
    "verdicts": verdict_tables,
    "calibration": calibration_sentences,
    "speed": partial(speed_tables, SPEED_JSON),
    "speed_avx2": partial(speed_tables, SPEED_AVX2_JSON),
    "speed_gpu": partial(speed_tables, SPEED_GPU_JSON),
    "profile": profile_tables,
    "start": start_tables,
    "native": native_tables,
    "highlights": highlight_table,
    "registration": registration_tables,
    "losses": losses_table,
    "months": months_tables,
    "chips": chips_tables,
    "unseen": unseen_tables,
    "evidence": evidence_sentence,
    "warps": warps_tables,
    "correction": correction_tables,
    "series": series_tables,
    "archives": archive_tables,
    "fuzz": fuzz_tables,
    "lying_sizes": lying_sizes_table,
    "faults": faults_table,
    "untrusted": untrusted_tables,
    "soak": soak_tables,
}


def main() -> None:
    """Fill the pages, and write the pages of all pairs and the figures."""
    summary = sample_summary(PICTURE)
    contents = {name: tables() for name, tables in TABLES.items()}
    contents |= {"summary": summary, "first_run": main_lines(summary)}
    draw_correction(BLINK)
    pages = {page: fill_blocks(page.read_text(encoding="utf-8"), contents) for page in PAGES}
    for path, content in (pages | {ALL_TABLES: all_tables(), ALL_DEFORMATIONS: all_deformations()}).items():
        with atomic_write(path) as partial:
            partial.write_text(content, encoding="utf-8")
    save_figure(plot_accuracy(json.loads(DEFAULT_JSON.read_text())), CURVES)
    save_figure(plot_series(json.loads(SERIES_JSON.read_text())), SERIES_FIGURE)
    save_figure(plot_stages(json.loads(PROFILE_JSON.read_text())), STAGES_FIGURE)


if __name__ == "__main__":
    main()
