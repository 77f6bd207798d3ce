"""The threads of the libraries are limited while work lasts, and restored afterwards, for every caller."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.linalg  # noqa: F401, brings a BLAS of its own, which must not come in the middle of a test
import torch
from conftest import ROOT, Writer, texture
from threadpoolctl import OpenBLASController, threadpool_info, threadpool_limits

from s2match import match_files
from s2match.core.matches import Matches, Provenance
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.registration.options import FitOptions
from s2match.util import containers, threads
from s2match.util.threads import limit_threads, processors, torch_threads_apart


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def limits() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "s2match-limit"]


@pytest.fixture
def many_threads() -> Iterator[None]:
    """BLAS and PyTorch with two threads, whatever the number of processors."""
    threadpool_limits(2, user_api="blas")
    # no thread of the test's has the say: whoever limits next has it
    OpenBLASController.clear_controlling_thread(force=True)
    kept = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(kept)


def test_blas_has_one_thread_within_fits_alone(many_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    within: list[set[int]] = []
    kept = np.linalg.norm

    def norm(*given: object, **named: object) -> object:
        within.append(blas_threads())
        return kept(*given, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(np.linalg, "norm", norm)
    xy = np.random.default_rng(0).uniform(0, 500, (40, 2))
    assert isinstance(
        fit(Matches(xy, xy + 3, np.ones(40), Provenance("", "cpu", 0.0)), FitOptions("affine")), Registration
    )
    assert within and all(threads == {1} for threads in within)
    assert blas_threads() == {2}


def test_the_library_limits_as_the_command_does(
    many_threads: None, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's threads are limited as well."""
    from s2match.loftr.engine import Engine

    monkeypatch.setattr(threads, "processors", lambda: 1)
    within: list[tuple[set[int], int, int]] = []
    kept = Engine.extract

    def extract(self: Engine, *given: object) -> object:
        within.append((blas_threads(), torch.get_num_threads(), len(limits())))
        return kept(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "extract", extract)
    path = write_image("a.tif", texture(128, 128))
    other = write_image("b.tif", texture(128, 128, seed=2))
    match_files(path, other, image_size=None)
    assert within == [({1}, 1, 2)] * 2
    assert blas_threads() == {2} and torch.get_num_threads() == 2
    assert not limits()


def test_blocks_that_overlap_in_threads(many_threads: None) -> None:
    """The limits end with the last block, not with the one that began them."""
    begun, first_ended = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def second() -> None:
        with limit_threads():
            begun.set()
            first_ended.wait(60)
            seen.append(blas_threads())

    thread = threading.Thread(target=second)
    with limit_threads(), limit_threads():
        thread.start()
        begun.wait(60)
    first_ended.set()
    thread.join()
    assert seen == [{1}] and blas_threads() == {2}


def test_pytorch_has_no_more_threads_than_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        monkeypatch.setattr(threads, "processors", lambda: 3)
        with limit_threads():
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 5
        monkeypatch.setattr(threads, "processors", lambda: 8)
        with limit_threads():
            assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(kept)


def test_a_process_beside_others_may_have_fewer_threads(many_threads: None) -> None:
    """Blocks within do not raise the number, in other threads neither."""
    seen: list[tuple[int, int]] = []
    opencv = cv2.getNumThreads()

    def inner() -> None:
        with limit_threads():
            seen.append((torch.get_num_threads(), cv2.getNumThreads()))

    with limit_threads(most=1):
        inner()
        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()
    assert seen == [(1, 1)] * 2
    assert torch.get_num_threads() == 2 and cv2.getNumThreads() == opencv


def test_threads_may_run_pytorch_by_themselves(many_threads: None) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(torch.get_num_threads())

    def apart() -> None:
        begin()
        look()

    with torch_threads_apart() as (count, begin):
        for function in (apart, apart):
            thread = threading.Thread(target=function)
            thread.start()
            thread.join()
        look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert count == 2 and seen == [1, 1, 2, 2]


def openmp_teams() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "s2match-openmp"]


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether the condition came true within a minute."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_pytorch_s_threads_sleep_while_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second OpenMP team exists only while other processes run."""
    busy = threading.Event()
    monkeypatch.setattr(threads, "others_run", lambda allowed: busy.is_set())
    with limit_threads():
        time.sleep(0.3)
        assert not openmp_teams()
        busy.set()
        assert wait_for(lambda: len(openmp_teams()) == 1)
        busy.clear()
        assert wait_for(lambda: not openmp_teams())
        busy.set()
        assert wait_for(lambda: len(openmp_teams()) == 1)
    assert not openmp_teams()


@pytest.mark.parametrize(
    ("loadavg", "busy"),
    [
        ("0.44 1.07 1.46 5/80 24151\n", False),
        ("0.44 1.07 1.46 6/80 24151\n", True),
        ("0.00 0.00 0.00 0/0 0\n", True),
        ("0.44 1.07", True),
        ("a b c d/e f", True),
        (None, True),
    ],
)
def test_load_of_the_machine(loadavg: str | None, busy: bool, tmp_path: Path) -> None:
    """Runnable threads, the calling one not counted, against the number of processors."""
    if loadavg is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "loadavg").write_text(loadavg)
    assert threads.others_run(4, tmp_path) is busy


def test_an_error_ends_the_limits(many_threads: None) -> None:
    with pytest.raises(ZeroDivisionError), limit_threads():
        raise ZeroDivisionError
    assert blas_threads() == {2}


def test_the_command_sets_no_environment_variables() -> None:
    """Limits are applied where the work is, so that every caller has them."""
    code = (
        "import os; before = dict(os.environ)\nimport model_inference\n"
        "try: model_inference.main(['--version'])\nexcept SystemExit: pass\n"
        "import benchmarks, training\nassert dict(os.environ) == before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("chosen", [None, "2"])
def test_the_process_of_the_command_starts_blas_with_one_thread(chosen: str | None) -> None:
    """Its threads spin from the import of NumPy on; a user's own choice stays."""
    code = (
        "from s2match.cli.process import run_and_exit\n"
        "def command():\n"
        "    import numpy\n"
        "    from threadpoolctl import threadpool_info\n"
        "    print(*(pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'), flush=True)\n"
        "    return 0\n"
        "run_and_exit(command)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {} if chosen is None else {"OPENBLAS_NUM_THREADS": chosen}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stdout) == (0, f"{chosen or 1}\n"), done.stderr


V1 = "4:memory:/jobs/mine\n1:cpu,cpuacct:/jobs/mine\n0::/\n"
V2 = "0::/jobs/mine\n"
LIMITED = {
    "version 2": (
        V2,
        {
            "jobs/mine/memory.max": "max",
            "jobs/mine/memory.current": "50",
            "jobs/memory.max": "1000",
            "jobs/memory.current": "700",
            "jobs/memory.stat": "anon 5\ninactive_file 100\nactive_file 7",
            "jobs/mine/cpu.max": "150000 100000",
            "jobs/cpu.max": "max 100000",
        },
        400,
        1.5,
    ),
    "version 1, the container's own view": (
        V1,
        {
            "memory/memory.limit_in_bytes": "2000",
            "memory/memory.usage_in_bytes": "700",
            "memory/memory.stat": "total_inactive_file 200",
            "cpu/cpu.cfs_quota_us": "200000",
            "cpu/cpu.cfs_period_us": "100000",
        },
        1500,
        2.0,
    ),
    "version 1, no limit": (
        V1,
        {
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": "700",
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
        },
        None,
        None,
    ),
    "no control groups": ("", {}, None, None),
}


@pytest.mark.parametrize("case", LIMITED)
def test_limits_of_containers(case: str, tmp_path: Path) -> None:
    group, files, memory, processors_ = LIMITED[case]
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(group)
    for name, text in files.items():
        path = tmp_path / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    assert containers.free_memory(tmp_path) == memory
    assert containers.cpu_quota(tmp_path) == processors_


def test_processors_are_those_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    for quota, count in ((None, 8), (1.5, 2), (0.5, 1), (64.0, 8)):
        monkeypatch.setattr(threads, "cpu_quota", lambda quota=quota: quota)
        assert processors() == count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked processes")
def test_a_forked_process_does_not_wait_for_threads_of_a_pool() -> None:
    """The threads of GDAL's pool are those of the process that it was forked from."""
    words = "import os; from s2match.util.threads import pool_threads, processors; before = pool_threads()"
    words += (
        "; child = os.fork() or os._exit(pool_threads()); code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )
    done = subprocess.run([sys.executable, "-c", f"{words}; print(before == processors(), code)"], capture_output=True)
    assert done.stdout.split() == [b"True", b"1"], done.stderr
