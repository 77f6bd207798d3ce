"""Run the tasks of a series on a Dask cluster; needs ``distributed``."""

import itertools
import logging
import pickle
import secrets
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker
from distributed.comm import CommClosedError

from s2match.errors import ClusterError, S2MatchError
from s2match.matching.caching_loader import LoadCachingMatcher, memory_text
from s2match.timeseries.observations import PairObservation
from s2match.timeseries.tasks import PairTask, failed, matcher_loader, run_task
from s2match.util.containers import available_memory
from s2match.util.threads import limit_threads
from s2match.version import __version__

_LOG = logging.getLogger(__name__)

# Tasks that a worker has at a time: the one that runs, and the next.
_IN_FLIGHT = 2

# Seconds to wait for the scheduler, and for the first worker.
_CONNECT_S, _FIRST_WORKER_S = 30, 60

# Fraction of a worker's memory limit, or of the free memory, that is used without another bound. Dask pauses a worker
# above 0.8 of its limit.
_LIMIT_FRACTION, _FREE_FRACTION = 0.7, 0.25

# Options of a cluster of this machine. Workers have one heap from their start, see s2match.util.allocator.
_LOCAL_OPTIONS = {
    "distributed.nanny.pre-spawn-environ": {"MALLOC_ARENA_MAX": "1"},
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
}


def run_locally(
    tasks: Sequence[PairTask], workers: int, memory_bytes: int, on_done: Callable[[PairObservation], None]
) -> None:
    """Run tasks in several processes of this machine, with one thread each.

    Args:
        tasks: The tasks in the order in which to run them.
        workers: Number of processes.
        memory_bytes: Most memory of each process.
        on_done: Called with each observation.
    """
    with (
        _quiet(),
        dask.config.set(_LOCAL_OPTIONS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Dask would pause a worker for ever: features of images are no data that it can move
            memory_limit=0,
            # a free port, and no dashboard on it
            dashboard_address=":0",
            scheduler_kwargs={"dashboard": False},
            # of the workers
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        _run(client, tasks, memory_bytes, on_done)


def run_on_scheduler(
    tasks: Sequence[PairTask], address: str, memory_bytes: int | None, on_done: Callable[[PairObservation], None]
) -> None:
    """Run tasks on the workers of an existing cluster, and leave nothing behind on them.

    Args:
        tasks: The tasks in the order in which to run them.
        address: Address of its scheduler.
        memory_bytes: Most memory of each worker; None: a part of its limit or of what is free.
        on_done: Called with each observation.

    Raises:
        ClusterError: The scheduler cannot be reached, has no workers, or ended; or a worker cannot run the tasks.
    """
    try:
        with _quiet(), _connected(address) as client:
            _run(client, tasks, memory_bytes, on_done)
    except (CommClosedError, CancelledError) as error:
        raise ClusterError(f"The Dask cluster at {address} ended before all pairs were matched.") from error


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Client of an existing cluster that has a worker.

    Raises:
        ClusterError: The scheduler cannot be reached, or has no workers.
    """
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"No Dask scheduler answers at {address}: {error}.") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except TimeoutError as error:
            raise ClusterError(f"The Dask scheduler at {address} has no workers.") from error
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's loggers in this process: what concerns the user becomes a log of this package or an error."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class PairPlugin(WorkerPlugin):  # type: ignore[misc]
    """What a worker keeps for the tasks of a series: the matcher, with its weights and the features of images."""

    def __init__(self, memory_bytes: int | None, local: bool) -> None:
        """Take the bound of a worker's memory, whether it runs for this run alone, and the version of this package."""
        self._memory_bytes, self._local, self._version = memory_bytes, local, __version__
        self._load_matcher: LoadCachingMatcher | None = None

    def setup(self, worker: Worker) -> None:
        """Prepare a worker; weights are loaded by its first task.

        Raises:
            ClusterError: The worker has another version of the package.
        """
        if self._version != __version__:
            raise ClusterError(
                f"The worker {worker.address} has s2match {__version__}, and this is {self._version}: install the same "
                "version."
            )
        if self._local:
            # Ctrl-C in a terminal reaches all processes, and this one then closes its workers itself
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # a worker may have several threads, and a matcher serves one at a time
        self._lock = threading.Lock()
        self._load_matcher = matcher_loader(self._memory_bytes or _memory_of(worker))

    def teardown(self, worker: Worker) -> None:
        """Discard the matcher."""
        self._load_matcher = None

    def run(self, task: PairTask) -> PairObservation:
        """Run a task with one thread."""
        assert self._load_matcher is not None, "a worker is set up before its first task"
        with self._lock, limit_threads(most=1):
            return run_task(task, self._load_matcher)


def _memory_of(worker: Worker) -> int:
    """Most memory of a worker of an existing cluster."""
    limit = worker.memory_manager.memory_limit
    return int(limit * _LIMIT_FRACTION if limit else available_memory() * _FREE_FRACTION)


def _function_of_workers(plugin: str) -> Callable[[bytes], Any]:
    """Function that runs a pickled task on a worker.

    The scheduler unpickles functions and their arguments, and need not have this package. A function within a function
    is pickled with its code, and without its module.

    Args:
        plugin: Name of the workers' plugin.
    """

    def run(task: bytes) -> Any:
        return get_worker().plugins[plugin].run(pickle.loads(task))

    return run


def _run(
    client: Client, tasks: Sequence[PairTask], memory_bytes: int | None, on_done: Callable[[PairObservation], None]
) -> None:
    """Run tasks, and once more by itself each one whose workers died."""
    with _plugin(client, memory_bytes) as plugin:
        workers = client.nthreads()
        memory = "memory by its own limit" if memory_bytes is None else memory_text(memory_bytes, tasks[0].settings)
        _LOG.info("%d workers, each with one thread and %s", len(workers), memory)
        submit = partial(client.submit, _function_of_workers(plugin), pure=False)
        suspects = _Round(client, submit, on_done).run(tasks, _IN_FLIGHT)
        for task in suspects:
            # the tasks that wait on a dying worker count as its victims, too
            if _Round(client, submit, on_done).run([task], 1):
                on_done(failed(task, "Every process that matched the pair died: it may have too little memory."))


@contextmanager
def _plugin(client: Client, memory_bytes: int | None) -> Iterator[str]:
    """Register the plugin of the workers within the block, under a name of its own.

    Raises:
        ClusterError: A worker has not the package, or another version of it.
    """
    name = f"s2match-{secrets.token_hex(4)}"
    try:
        client.register_plugin(PairPlugin(memory_bytes, local=client.cluster is not None), name=name)
    except ImportError as error:
        raise ClusterError(f"A worker cannot import s2match {__version__}: install it there ({error}).") from error
    try:
        yield name
    finally:
        if client.status == "running":
            # a scheduler that has just died refuses the connection, or does not answer
            with suppress(OSError):
                client.unregister_worker_plugin(name)


class _Round:
    """Tasks that run at the same time, each worker with a contiguous part of them.

    Args:
        client: Client of the cluster.
        submit: Submits a pickled task, with the ``workers`` that should run it.
        on_done: Called with each observation.
    """

    def __init__(
        self, client: Client, submit: Callable[..., Future], on_done: Callable[[PairObservation], None]
    ) -> None:
        self._client, self._submit, self._on_done = client, submit, on_done
        self._running: dict[Future, tuple[PairTask, int]] = {}

    def run(self, tasks: Sequence[PairTask], in_flight: int) -> list[PairTask]:
        """Run tasks.

        Args:
            tasks: The tasks.
            in_flight: Tasks that a worker has at a time.

        Returns:
            Tasks without an observation, because workers died while they had them.

        Raises:
            CancelledError: The cluster ended.
        """
        addresses = list(self._client.nthreads()) or [""]
        parts = _Parts(tasks, len(addresses))
        suspects: list[PairTask] = []
        completed: Any = as_completed(loop=self._client.loop)
        try:
            for part in [*range(len(addresses))] * in_flight:
                self._start_next(parts, part, addresses, completed)
            for future in completed:
                task, part = self._running.pop(future)
                observation = _result_of(future, task)
                if observation is None:
                    suspects.append(task)
                else:
                    self._on_done(observation)
                self._start_next(parts, part, addresses, completed)
        finally:
            # after an interrupt or an error; a cluster that ended has nothing to cancel
            if self._running and self._client.status == "running":
                with suppress(CommClosedError):
                    self._client.cancel(list(self._running), force=True)
        return suspects

    def _start_next(self, parts: "_Parts", part: int, addresses: list[str], completed: Any) -> None:
        """Submit the next task of a part to its worker, if there is one."""
        task = parts.take(part)
        if task is None:
            return
        alive = self._client.nthreads()
        if addresses[part] not in alive:
            # a process that died is replaced by one at another address
            replacements = [address for address in alive if address not in addresses]
            addresses[part] = replacements[0] if replacements else ""
        # without a living worker the task waits for any
        place = {"workers": [addresses[part]], "allow_other_workers": True} if addresses[part] else {}
        future = self._submit(pickle.dumps(task), **place)
        self._running[future] = task, part
        completed.add(future)


class _Parts:
    """Tasks in contiguous parts; a part that is done goes on with the end of the longest one."""

    def __init__(self, tasks: Sequence[PairTask], count: int) -> None:
        ends = [len(tasks) * part // count for part in range(count + 1)]
        self._parts = [deque(tasks[begin:end]) for begin, end in itertools.pairwise(ends)]

    def take(self, part: int) -> PairTask | None:
        """The next task of a part; None if none is left in any."""
        if self._parts[part]:
            return self._parts[part].popleft()
        longest = max(self._parts, key=len)
        return longest.pop() if longest else None


def _result_of(future: Future, task: PairTask) -> PairObservation | None:
    """The observation of a task that is done; None if its workers died.

    Raises:
        CancelledError: The cluster ended.
        S2MatchError: The matcher cannot be loaded.
    """
    try:
        observation: PairObservation = future.result()
    except KilledWorker:
        return None
    except (CancelledError, S2MatchError):
        raise
    except Exception as error:
        return failed(task, f"The worker failed with {type(error).__name__}: {error}.")
    return observation
