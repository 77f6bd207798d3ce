"""What a container lets this process use, by the control groups of Linux, version 1 and 2."""

import math
from pathlib import Path

_ROOT = Path("/")


def free_memory(root: Path = _ROOT) -> int | None:
    """Bytes that the process may still take before the limit of its container; None without a limit.

    Memory that holds files and can be given up counts as free.

    Args:
        root: Where the file system begins.
    """
    free = []
    for folder in _folders("memory", root):
        for limit, usage, file in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, used = _number(folder / limit), _number(folder / usage)
            # without a limit version 1 says the largest number that it knows
            if most is not None and used is not None and most < 1 << 60:
                free.append(max(0, int(most - used + _statistic(folder / "memory.stat", file))))
    return min(free, default=None)


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Processors that the container lets the process use, perhaps a fraction; None without a limit.

    Args:
        root: Where the file system begins.
    """
    shares = []
    for folder in _folders("cpu", root):
        words = (_text(folder / "cpu.max") or "").split()
        if len(words) != 2:
            words = [_text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
        if all(word.isdigit() and int(word) for word in words):
            shares.append(int(words[0]) / int(words[1]))
    return min(shares, default=None)


def _folders(controller: str, root: Path) -> list[Path]:
    """The process's control group and those above it: each limits those below."""
    found = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controllers and controller)
        own = Path(path.lstrip("/"))
        # a container sees its own group as the root, whatever the path says
        found += [mount / part for part in (own, *own.parents)]
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    if text is None:
        return None
    return int(text) if text.isdigit() else math.inf


def _statistic(path: Path, name: str) -> int:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0
