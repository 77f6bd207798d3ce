"""Many pairs in one process leave memory, files and threads as they were."""

import pytest

from benchmarks.soak import Sample, Soak, facts_of, run_soak, table
from s2match.settings import Settings

# Memory that caches of libraries may still take after the first pairs.
CACHES_MB = 40


def test_growth_is_the_slope_of_the_memory_behind_the_first_pairs() -> None:
    # caches fill in the first fifth; then each pair keeps 100 kB
    memory = [50.0 * n for n in range(20)] + [1000 + n * 100 / 1024 for n in range(80)]
    soak = Soak(100, 90, 10, 5.0, tuple(Sample(m, 9, 7) for m in memory))
    assert soak.growth_kb[0] == pytest.approx(100) and soak.growth_kb[1] == pytest.approx(0, abs=1e-6)
    facts = facts_of(soak)
    assert facts["begin_mb"] == 1000 and facts["end_files"] == 9
    assert "| growth for each pair (± standard error) | 100.0 ± 0.0 kB |" in table(facts)


@pytest.mark.slow
def test_pairs_leave_nothing_open() -> None:
    soak = run_soak(16, 4, Settings(confidence=0.2, device="cpu"))
    assert (soak.registered, soak.corrected) == (16, 4)
    # the second correction and figure have opened all that stays open
    then, last = soak.samples[7], soak.samples[-1]
    assert (last.open_files, last.threads) == (then.open_files, then.threads)
    assert last.resident_mb < then.resident_mb + CACHES_MB
