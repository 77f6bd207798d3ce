"""Give mutated inputs to every reader, and report what became of them.

python -m benchmarks.fuzz [--cases 10000] [--seed 0] [--workers 2] [--only TIFF weights] [--case 17] [--findings DIR]

Each case is a small valid file with a few changes, known by its reader, its number and the seed. It is read in a
process with limits on time and memory. A reader accepts it, or refuses it with one of the package's errors; anything
else (another exception, a crash, more than 20 s, more than 2 GiB) is a finding. The exit code is 1 if there are
findings.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.environment import environment
from benchmarks.fuzz.campaign import jobs_of, run_jobs
from benchmarks.fuzz.cases import Outcome
from benchmarks.fuzz.readers import READERS, reader_named
from benchmarks.fuzz.report import DEFAULT_JSON, findings_of, summary_of, table
from benchmarks.fuzz.worker import Cases, plan_of, write_files
from benchmarks.networks import ROOT
from benchmarks.result_file import write_result

# Findings of a kind whose files are kept.
_KEPT = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign that the arguments choose, and return the exit code."""
    arguments = _parser().parse_args(argv)
    readers = [reader_named(name) for name in arguments.only]
    begun = time.perf_counter()
    plan = plan_of(readers, arguments.seed)
    jobs = jobs_of(readers, arguments.cases)
    if arguments.case is not None:
        jobs = [(reader.name, arguments.case) for reader in readers]
    outcomes = run_jobs(jobs, plan, arguments.workers)
    seconds = time.perf_counter() - begun
    rows = summary_of(outcomes)
    print(table(rows))
    print(f"\n{len(outcomes)} cases in {seconds:.0f} s on {arguments.workers} processes, seed {arguments.seed}")
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    print(f"the slowest is case {slowest.number} of {slowest.reader}")
    groups = findings_of(outcomes)
    for signature, group in groups.items():
        first = group[0]
        print(f"\n{len(group)} × {signature}\n  {first.reader}, case {first.number}, {first.seed}\n{first.detail}")
    if arguments.findings is not None:
        _keep(list(groups.values()), Cases(plan, Path()), arguments.findings)
    if arguments.json is not None:
        result = {"seed": arguments.seed, "cases": len(outcomes), "seconds": round(seconds), "readers": rows}
        result |= {"workers": arguments.workers, "environment": environment(torch.device("cpu"))}
        write_result(arguments.json, result)
    return 1 if groups else 0


def _keep(groups: Sequence[Sequence[Outcome]], cases: Cases, folder: Path) -> None:
    """Write the files of some findings of each kind, with what they did."""
    for outcome in (outcome for group in groups for outcome in group[:_KEPT]):
        place = folder / f"{outcome.reader.replace(' ', '_')}-{outcome.number}"
        shutil.rmtree(place, ignore_errors=True)
        write_files(place, cases.files_of(outcome.reader, outcome.number)[1])
        (place / "finding.txt").write_text(f"{outcome.signature}\n{outcome.detail}\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [reader.name for reader in READERS]
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these readers alone")
    parser.add_argument("--case", type=int, help="run one case of each reader again")
    parser.add_argument("--findings", type=Path, help="folder for the files of findings")
    parser.add_argument("--json", type=Path, help=f"write the counts, such as to {DEFAULT_JSON.relative_to(ROOT)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
