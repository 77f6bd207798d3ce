"""Mutated inputs are read or refused, in bounded time and memory; the fuzzer notices what is neither."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
from behaviours import WAYS, behave, seed_of, unchanged

from benchmarks.fuzz.campaign import jobs_of, run_jobs
from benchmarks.fuzz.cases import Kind, Reader
from benchmarks.fuzz.container_mutations import mutate_named
from benchmarks.fuzz.readers import READERS
from benchmarks.fuzz.report import findings_of, summary_of
from benchmarks.fuzz.worker import Cases, Plan, plan_of, write_files
from s2match.errors import S2MatchError

# Cases of all readers together; python -m benchmarks.fuzz runs more.
CASES = 300


@pytest.fixture(scope="module")
def plan() -> Plan:
    # a slow machine is no finding
    return plan_of(READERS, limit_s=120.0)


def test_mutated_inputs_are_read_or_refused(plan: Plan) -> None:
    jobs = jobs_of(READERS, CASES)
    outcomes = run_jobs(jobs, plan, 1)
    assert len(outcomes) == len(jobs)
    assert [(name, group[0].number, group[0].detail) for name, group in findings_of(outcomes).items()] == []
    rows = summary_of(outcomes)
    # mutations that nothing survives, or that nothing notices, would test little
    assert sum(row["accepted"] for row in rows) > CASES / 5 and all(row["refused"] for row in rows)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_seeds_are_valid(reader: Reader, plan: Plan, tmp_path: Path) -> None:
    """Each of them is read in one of the ways, so that what is refused is refused for its mutation."""
    for number, seed in enumerate(plan.seeds[reader.name]):
        read = False
        for way in range(6):
            folder = tmp_path / f"{number}-{way}" / "here"
            write_files(folder, dict(seed.files))
            try:
                reader.run(folder / seed.entry, Random(way))
                read = True
                break
            except S2MatchError:
                continue
        assert read, seed.name


def test_a_case_is_the_same_in_every_run(plan: Plan, tmp_path: Path) -> None:
    for reader in READERS:
        for number in (0, 1, 2):
            first, again, other = (
                Cases(replace(plan, seed=seed), tmp_path).files_of(reader.name, number)[1] for seed in (7, 7, 8)
            )
            assert first == again != other


def test_deep_nesting_lone_surrogates_and_huge_numbers_are_among_the_mutations() -> None:
    texts = [mutate_named(Random(number), "a.json", b'{"a": [1, 2], "b": {"c": "d"}}') for number in range(400)]
    assert any(b"[" * 1000 in text for text in texts)
    assert any(b"\\ud800" in text for text in texts)
    assert any(b"NaN" in text for text in texts) and any(b"9" * 5000 in text for text in texts)


def test_tags_of_tiff_and_boxes_of_jp2_are_changed(plan: Plan) -> None:
    for name in ("TIFF", "JPEG 2000"):
        seed = plan.seeds[name][0]
        content = seed.files[seed.entry]
        mutated = [mutate_named(Random(number), seed.entry, content) for number in range(200)]
        # one changed integer, and everything else as it was
        small = [text for text in mutated if len(text) == len(content) and 0 < _differing(text, content) <= 8]
        assert len(small) > 50, name


def _differing(first: bytes, second: bytes) -> int:
    return sum(one != other for one, other in zip(first, second, strict=True))


def test_the_fuzzer_notices_what_it_looks_for() -> None:
    readers = [Reader(way, partial(seed_of, way), behave, unchanged) for way in WAYS]
    outcomes = run_jobs(jobs_of(readers, len(WAYS)), plan_of(readers, limit_s=2.0), 1)
    # those behind a crash are run by another process
    assert {outcome.reader: outcome.kind for outcome in outcomes} == {
        "accept": Kind.ACCEPTED,
        "refuse": Kind.REFUSED,
        "raise": Kind.EXCEPTION,
        "crash": Kind.CRASH,
        "hang": Kind.HANG,
        "memory": Kind.MEMORY,
    }
    assert len(findings_of(outcomes)) == 4
    details = {outcome.reader: outcome.detail for outcome in outcomes}
    assert "unforeseen" in details["raise"]
    assert " in behave" in details["hang"] and "exit code -6" in details["crash"]
