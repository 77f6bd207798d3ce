"""Run the tasks of a series: in this process, in several processes, or on an existing Dask cluster."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from s2match.errors import OptionError
from s2match.matching.caching_loader import default_memory, memory_text
from s2match.timeseries.observations import PairObservation
from s2match.timeseries.tasks import PairTask, matcher_loader, run_task
from s2match.util.optional import import_optional

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Execution:
    """Where the tasks of a series run.

    Attributes:
        workers: Number of processes with one thread each; 0: this process.
        scheduler: Address of the scheduler of an existing Dask cluster, such as ``tcp://host:8786``; None for none.
        memory_bytes: Most memory of each process. None: half of the free memory, shared by all processes.
    """

    workers: int = 0
    scheduler: str | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            OptionError: A value is out of range, or workers are not those of the cluster.
        """
        if self.workers < 0:
            raise OptionError(f"{self.workers} workers are out of range: it must be 0 or more.")
        if self.workers and self.scheduler is not None:
            raise OptionError("A scheduler has its own workers: give it without a number of workers.")
        if self.memory_bytes is not None and self.memory_bytes < 1:
            raise OptionError(f"{self.memory_bytes} bytes of memory are out of range: it must be 1 or more.")


def run_tasks(tasks: Sequence[PairTask], execution: Execution, on_done: Callable[[PairObservation], None]) -> None:
    """Run tasks; their observations depend neither on the number of processes nor on the order.

    A process computes the features of an image once if pairs of an image are near each other in the order.

    Args:
        tasks: The tasks in the order in which to run them; several processes run contiguous parts of it.
        execution: Where they run.
        on_done: Called in this process with each observation as soon as it is done.

    Raises:
        MissingExtraError: ``distributed`` is needed and not installed.
        ClusterError: The cluster cannot be reached or used, or ended.
        S2MatchError: The weights cannot be loaded, or the device does not exist.
    """
    if not tasks:
        return
    if execution.scheduler is None and execution.workers == 0:
        _run_here(tasks, execution, on_done)
        return
    import_optional("distributed", "Several processes", "requirements-series.txt")
    from s2match.timeseries import dask_cluster

    if execution.scheduler is None:
        memory_bytes = execution.memory_bytes or default_memory(execution.workers)
        dask_cluster.run_locally(tasks, min(execution.workers, len(tasks)), memory_bytes, on_done)
    else:
        dask_cluster.run_on_scheduler(tasks, execution.scheduler, execution.memory_bytes, on_done)


def _run_here(tasks: Sequence[PairTask], execution: Execution, on_done: Callable[[PairObservation], None]) -> None:
    """Run tasks one after the other in this process."""
    memory_bytes = execution.memory_bytes or default_memory(1)
    _LOG.info("this process: %s", memory_text(memory_bytes, tasks[0].settings))
    load_matcher = matcher_loader(memory_bytes)
    for task in tasks:
        on_done(run_task(task, load_matcher))
