"""Tasks give the same observations in this process, in several, and on a Dask cluster of separate processes."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Writer
from small_series import OPTIONS, assert_right, image_path, results, tasks_of, write_series

from s2match.errors import ClusterError, MissingExtraError, OptionError, UnknownWeightsError
from s2match.timeseries import dask_cluster
from s2match.timeseries.executor import Execution, run_tasks
from s2match.timeseries.observations import PairObservation, PairStatus
from s2match.timeseries.tasks import PairTask


def run(tasks: list[PairTask], execution: Execution | None = None) -> list[PairObservation]:
    done: list[PairObservation] = []
    run_tasks(tasks, execution or Execution(), done.append)
    return done


@contextlib.contextmanager
def cluster(
    folder: Path, workers: int = 2, preload: str | None = None
) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """Address and processes of a scheduler and its workers, started from the command line.

    The scheduler cannot import the package.
    """
    file = folder / "scheduler.json"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error",
    }
    dask = [sys.executable, "-m", "dask"]
    options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    loaded = []
    if preload is not None:
        (folder / "preloaded.py").write_text(preload, encoding="utf-8")
        loaded = ["--preload", str(folder / "preloaded.py")]
    log = (folder / "dask.log").open("w")
    processes = [
        subprocess.Popen(
            [*dask, "scheduler", "--port", "0", *options], env=environment, cwd=folder, stdout=log, stderr=log
        ),
        subprocess.Popen(
            [*dask, "worker", "--nworkers", str(workers), "--nthreads", "1", *options, *loaded],
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=folder,
            stdout=log,
            stderr=log,
        ),
    ]
    try:
        end = time.monotonic() + 60
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"], processes
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)
        log.close()


def worker_processes() -> list[psutil.Process]:
    """Workers that this process has started."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_observations_do_not_depend_on_where_pairs_are_matched(
    tmp_path: Path, write_image: Writer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_of(write_series(write_image))
    with caplog.at_level(logging.INFO, "s2match"):
        here = run(tasks)
        one, two = run(tasks, Execution(workers=1)), run(tasks[::-1], Execution(workers=2, memory_bytes=4 << 30))
    assert_right(here)
    assert len(one) == len(two) == 6
    assert results(here) == results(one) == results(two)
    assert not worker_processes()
    # features are computed once in each process
    assert sum(done.encoded for done in here) == sum(done.encoded for done in one) == 4
    assert 4 <= sum(done.encoded for done in two) <= 8
    assert "2 workers, each with one thread and up to 4.0 GB of memory, 1.4 GB of it for features" in caplog.text
    assert not [record for record in caplog.records if record.name.startswith(("distributed", "tornado", "asyncio"))]
    with cluster(tmp_path, workers=1) as (address, _):
        assert results(run(tasks, Execution(scheduler=address))) == results(here)
        # the features left the workers with the run
        (again,) = run(tasks[:1], Execution(scheduler=address, memory_bytes=4 << 30))
        assert results([again]) == results(here)[:1] and again.encoded == 2
        unknown = [replace(task, settings=task.settings.but(weights="none")) for task in tasks]
        with pytest.raises(UnknownWeightsError):
            run(unknown, Execution(scheduler=address))
        with monkeypatch.context() as patched, pytest.raises(ClusterError, match=r"has s2match .* and this is 0\.0\.1"):
            patched.setattr(dask_cluster, "__version__", "0.0.1")
            run(tasks, Execution(scheduler=address))


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(write_image: Writer) -> None:
    tasks = tasks_of(write_series(write_image))
    done: list[PairObservation] = []
    killed: list[int] = []

    def on_done(observation: PairObservation) -> None:
        done.append(observation)
        if not killed:
            # it has a task, as there are four more
            victim = worker_processes()[0]
            victim.kill()
            killed.append(victim.pid)

    run_tasks(tasks, Execution(workers=2), on_done)
    assert killed and len(done) == 6
    assert_right(done)


DEADLY = """
import os
from s2match.pipeline import match_scenes as matched
from s2match.timeseries import tasks


def match_scenes(reference, target, *given, **named):
    if target.path.name.startswith("deadly"):
        os.kill(os.getpid(), 9)
    return matched(reference, target, *given, **named)


tasks.match_scenes = match_scenes
"""


@pytest.mark.slow
def test_a_pair_that_kills_its_workers_fails_alone(tmp_path: Path, write_image: Writer) -> None:
    images = write_series(write_image)[:3]
    path = image_path(images, 2)
    deadly = path.rename(path.with_name("deadly.tif"))
    images[2] = replace(images[2], scene=replace(images[2].scene, path=deadly))
    # the other task waits on the same worker when it dies
    with cluster(tmp_path, 1, DEADLY) as (address, processes):
        done = run(tasks_of(images)[1::-1], Execution(scheduler=address))
        with pytest.raises(ClusterError, match="ended before all pairs were matched"):
            run_tasks(tasks_of(images)[:1] * 6, Execution(scheduler=address), lambda observation: processes[0].kill())
    status = {(one.reference, one.target): one for one in done}
    assert status[0, 2].status is PairStatus.FAILED and "died" in status[0, 2].reason
    assert_right([status[0, 1]])


def test_weights_that_cannot_be_loaded_end_the_run(write_image: Writer) -> None:
    options = replace(OPTIONS, settings=OPTIONS.settings.but(weights="none"))
    with pytest.raises(UnknownWeightsError):
        run(tasks_of(write_series(write_image), options))


def test_a_process_takes_a_contiguous_part_and_then_helps_the_slowest(write_image: Writer) -> None:
    tasks = tasks_of(write_series(write_image))
    parts = dask_cluster._Parts(tasks, 2)
    first = [parts.take(0) for _ in range(3)]
    assert (first, parts.take(1)) == (tasks[:3], tasks[3])
    # the last one of the other part, whose features are needed latest
    assert (parts.take(0), parts.take(1), parts.take(0), parts.take(1)) == (tasks[5], tasks[4], None, None)


def test_nothing_to_do_starts_nothing() -> None:
    assert run([], Execution(scheduler="tcp://127.0.0.1:1")) == []


def test_a_scheduler_that_does_not_answer(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "_CONNECT_S", 1)
    tasks = tasks_of(write_series(write_image))
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(ClusterError, match="No Dask scheduler answers at"):
            run(tasks, Execution(scheduler=address))


def test_without_dask_the_message_says_how_to_install_it(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        MissingExtraError, match=r"Several processes need distributed: pip install -r requirements-series\.txt"
    ):
        run(tasks_of(write_series(write_image)), Execution(workers=2))


@pytest.mark.parametrize(
    "given", [{"workers": -1}, {"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, {"memory_bytes": 0}]
)
def test_execution_that_makes_no_sense_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Execution(**given)  # type: ignore[arg-type]
