"""Seeds, readers and outcomes: what the parts of the fuzzer exchange."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Seed:
    """A small valid input.

    Attributes:
        name: Its name among the seeds of a reader.
        files: Content of each file, by its path relative to the folder of the case.
        entry: The file or folder that the reader is given.
        mutable: Files that are mutated.
    """

    name: str
    files: Mapping[str, bytes]
    entry: str
    mutable: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """A reader of the package that mutated inputs are given to.

    Attributes:
        name: Its name in the report.
        seeds: Returns its seeds; the folder is empty, and is for files that libraries write.
        run: Reads the entry of a case; raises :class:`s2match.errors.S2MatchError` to refuse it. The random numbers
            choose among several ways to read.
        mutate: Returns the files of a case.
        share: Cases relative to other readers.
    """

    name: str
    seeds: Callable[[Path], list[Seed]]
    run: Callable[[Path, Random], None]
    mutate: Callable[[Random, Seed], Mapping[str, bytes]]
    share: float = 1.0


class Kind(StrEnum):
    """What became of a case; those from EXCEPTION on are findings."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXCEPTION = "exception"
    HANG = "hang"
    CRASH = "crash"
    MEMORY = "memory"


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        reader: Name of the reader.
        number: Number of the case.
        seed: Name of the seed.
        kind: What became of it.
        detail: Last lines of a traceback of a finding, or the message of an error.
        seconds: Time that it took.
        peak_mb: Largest resident memory of the process during the case, MiB.
    """

    reader: str
    number: int
    seed: str
    kind: Kind
    detail: str
    seconds: float
    peak_mb: float

    @property
    def is_finding(self) -> bool:
        """Whether the reader did neither accept nor refuse the input."""
        return self.kind not in (Kind.ACCEPTED, Kind.REFUSED)

    @property
    def signature(self) -> str:
        """Kind and place of a finding, by which equal ones are counted together."""
        lines = self.detail.strip().splitlines() or [""]
        places = [line.strip() for line in lines if "s2match/" in line]
        return f"{self.kind}: {lines[-1].partition(':')[0][:80]} at {places[-1] if places else '?'}"
