"""Memory and CPU limits of this process, and of its container, from Linux control groups v1 and v2."""

import math
from pathlib import Path

_ROOT = Path("/")

# Memory that a command takes after a pass of the network: refinement, fits, figures.
_AFTERWARDS_BYTES = 256 << 20


def available_memory() -> int:
    """Bytes that the process may allocate: those that are free, within the limits of its container and its own."""
    # most images are small, and their readers never ask
    import psutil

    limits = (int(psutil.virtual_memory().available), free_memory(), free_of_process())
    return min(free for free in limits if free is not None)


def free_of_process() -> int | None:
    """Bytes that a pass may allocate below the process's own limits, as set by ``ulimit``; None without a limit.

    256 MiB are left for what follows: above such a limit libraries end the process without a word.
    """
    try:
        import resource
    except ImportError:
        # Windows
        return None
    sizes = {line.split(":")[0]: line.split() for line in (_text(Path("/proc/self/status")) or "").splitlines()}
    free = []
    for limit, size in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY and size in sizes:
            free.append(max(0, most - int(sizes[size][1]) * 1024 - _AFTERWARDS_BYTES))
    return min(free, default=None)


def free_memory(root: Path = _ROOT) -> int | None:
    """Bytes that the process may allocate below the memory limit of its container; None without a limit.

    Reclaimable page cache counts as free.

    Args:
        root: Root of the file system.
    """
    free = []
    for folder in _folders("memory", root):
        for limit, usage, file in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit_bytes, used_bytes = _number(folder / limit), _number(folder / usage)
            # version 1 reports no limit as a huge number
            if limit_bytes is not None and used_bytes is not None and limit_bytes < 1 << 60:
                free.append(max(0, int(limit_bytes - used_bytes + _statistic(folder / "memory.stat", file))))
    return min(free, default=None)


def cpu_quota(root: Path = _ROOT) -> float | None:
    """CPU quota of the container in processors, possibly fractional; None without a limit.

    Args:
        root: Root of the file system.
    """
    quotas = []
    for folder in _folders("cpu", root):
        words = (_text(folder / "cpu.max") or "").split()
        if len(words) != 2:
            words = [_text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
        if all(word.isdigit() and int(word) for word in words):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def _folders(controller: str, root: Path) -> list[Path]:
    """Folders of the process's control group and of its ancestors; each limits its descendants."""
    folders = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controllers and controller)
        own = Path(path.lstrip("/"))
        # inside a container its own group may be mounted as the root, whatever the path says
        folders += [mount / part for part in (own, *own.parents)]
    return folders


def _text(path: Path) -> str | None:
    """Text of a file; None if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    """Number in a file, infinity for words such as "max"; None if the file cannot be read."""
    text = _text(path)
    if text is None:
        return None
    return int(text) if text.isdigit() else math.inf


def _statistic(path: Path, name: str) -> int:
    """Value of an entry in a ``memory.stat`` file; 0 if there is none."""
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0
