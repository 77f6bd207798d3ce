"""Readers that do what their file says, in a module that a process imports without any reader of the library."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

from benchmarks.fuzz.cases import Seed
from s2match.errors import S2MatchError

WAYS = ("accept", "refuse", "raise", "crash", "hang", "memory")


def behave(path: Path, rng: Random) -> None:
    """Behave in the way that the file says."""
    way = path.read_text()
    if way == "refuse":
        raise S2MatchError("no")
    if way == "raise":
        raise ZeroDivisionError("unforeseen")
    if way == "crash":
        os.abort()
    if way == "hang":
        time.sleep(60)
    if way == "memory":
        bytearray(1 << 33)


def unchanged(rng: Random, seed: Seed) -> Mapping[str, bytes]:
    return seed.files


def seed_of(way: str, folder: Path) -> list[Seed]:
    return [Seed(way, {"way.txt": way.encode()}, "way.txt", ())]
