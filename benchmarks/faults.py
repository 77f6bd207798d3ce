"""What a run leaves behind on disks of many sizes, most of them too small.

Each command runs on a disk of its own, in memory, with an old file in the place of its output. It must end with 0 and
the file of a run with space enough, or with 22, one sentence and the old file. Disks need the right to mount, which
`unshare -Urm` gives to a user other than root. With --limit the size of a file is limited instead.

python -m benchmarks.faults
"""

import argparse
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.markdown import row
from s2match.cli.main import main as s2match
from s2match.errors import OutputError
from s2match.util.atomic_write import write_text
from s2match.util.standard_streams import use_safe_streams

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_JSON = ROOT / "benchmarks" / "results" / "faults.json"

# Pages of a disk in memory.
_PAGE_BYTES = 4096

# Half of the sizes lie in the last tenth, where files are closed and checked.
_LAST = 0.1

# Space enough for each command.
_MOST_BYTES = 64 << 20

# Points along a side of the images.
_POINTS = 12

_OLD = "old"

# Two dates of the sample, and the part of them that is matched.
_IMAGES, _SIDE_PX = ("reference_TCI.tif", "target_TCI.tif"), 600

# Outputs by their options; the first file has the old content before. Reports have the time of their run in the page.
COMMANDS: Mapping[str, Sequence[str]] = {
    "coregister": ("--no-figure", "--coregister", "corrected.tif", "--apply_to", "../band.tif", "--force"),
    "tie_points": ("--no-figure", "--tie_points", "points.gpkg"),
    "report": ("--no-figure", "--report", "report"),
    "json": ("--no-figure", "--json", "result.json"),
    "output": ("--output", "result.png"),
}

# The files that are compared.
FILES: Mapping[str, Sequence[str]] = {
    "coregister": ("corrected.tif", "band_coregistered.tif"),
    "tie_points": ("points.gpkg",),
    "report": ("report/vectors.png", "report/index.html"),
    "json": ("result.json",),
    "output": ("result.png",),
}


@dataclass(frozen=True)
class Outcome:
    """What a run on a small disk left behind.

    Attributes:
        command: One of :data:`COMMANDS`.
        disk_kb: Size of the disk, kilobytes.
        code: Exit code.
        sentence: Whether the standard error ends with the one line of an error, and has no traceback.
        whole: Files that are those of a run with space enough.
        old: Files that are the old ones, or are missing as before.
        left: Names of other files.
    """

    command: str
    disk_kb: int
    code: int
    sentence: bool
    whole: int
    old: int
    left: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``whole``, ``refused``, or what is wrong."""
        files = len(FILES[self.command])
        if self.left:
            return "left"
        if self.code == 0:
            return "whole" if self.whole == files else "damaged"
        if self.whole + self.old < files:
            return "damaged"
        return "refused" if self.code == OutputError.exit_code and self.sentence else "traceback"


@dataclass(frozen=True)
class Setting:
    """Where commands run.

    Attributes:
        inputs: Folder of the images, the band and the tie points, and of the disk.
        limit: Whether the size of a file is limited, rather than that of the disk.
    """

    inputs: Path
    limit: bool

    @property
    def disk(self) -> Path:
        """Folder that the commands write to."""
        return self.inputs / "disk"

    @contextmanager
    def space(self, size: int) -> Iterator[None]:
        """An empty disk within the block; it has ``size`` bytes, unless the size of a file is limited."""
        self.disk.mkdir()
        with nullcontext() if self.limit else small_disk(self.disk, size):
            yield
        shutil.rmtree(self.disk)

    def run(self, words: Sequence[str], size: int) -> int:
        """Run a command line with that space; return the exit code."""
        return run([*_words(self.inputs), *words, "--overwrite"], self.disk, self.errors, size if self.limit else None)

    def run_over_old(self, command: str, size: int) -> int:
        """Run one of :data:`COMMANDS` where its first file exists, unless that lies in a folder of its own."""
        if command != "report":
            (self.disk / FILES[command][0]).write_text(_OLD)
        return self.run(COMMANDS[command], size)

    @property
    def errors(self) -> Path:
        """File of the standard error of the last command."""
        return self.inputs / "errors.txt"


def sizes_of(largest: int, count: int) -> list[int]:
    """Sizes of disks up to one that has space enough, bytes."""
    half = max(1, count // 2)
    first = [largest * (1 - _LAST) * number / half for number in range(1, half + 1)]
    last = [largest * (1 - _LAST + _LAST * number / half) for number in range(1, half + 1)]
    return sorted({math.ceil(size / _PAGE_BYTES) * _PAGE_BYTES for size in (*first, *last)})


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of a size, bytes, at a folder within the block."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a disk at a folder."""
    words = ["mount", "-t", "tmpfs", "-o", "size=4096", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True).returncode:
        return False
    subprocess.run(["umount", folder], check=True)
    return True


def run(words: Sequence[str], folder: Path, errors: Path, limit: int | None) -> int:
    """Run a command line in a copy of this process, which has the imports already; return the exit code.

    Args:
        words: The command line.
        folder: Folder that it runs in.
        errors: File of its standard error.
        limit: Size of the largest file that it may write, bytes; None for any.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        os.chdir(folder)
        for number, path in ((1, Path(os.devnull)), (2, errors)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        use_safe_streams()
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        code = s2match(words)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def outcome_of(command: str, setting: Setting, size: int, expected: Mapping[str, bytes]) -> Outcome:
    """Run a command with a space, bytes; ``expected`` has its files by their names."""
    disk = setting.disk
    with setting.space(size):
        code = setting.run_over_old(command, size)
        files = {name: _content(disk / name) for name in FILES[command]}
        left = [str(path.relative_to(disk)) for path in disk.rglob(".*")]
    lines = setting.errors.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith(("error: ", "Traceback"))]
    sentence = bool(errors) and errors == lines[-1:] and errors[0].startswith("error: ")
    whole = sum(_same(content, expected[name]) for name, content in files.items())
    old = sum(content in (None, _OLD.encode()) for content in files.values())
    return Outcome(command, size >> 10, code, sentence, whole, old, tuple(left))


def measure(setting: Setting, commands: Sequence[str], count: int) -> list[Outcome]:
    """Run commands with spaces of ``count`` sizes each."""
    outcomes = []
    for command in commands:
        expected, largest = _expected(command, setting)
        for size in sizes_of(largest, count):
            outcomes.append(outcome_of(command, setting, size, expected))
            print(f"\r{command} {size >> 10} kB: {outcomes[-1].kind}    ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each command: how many of its runs end in which way."""
    kinds = ("whole", "refused", "damaged", "traceback", "left")
    lines = [row(["output", "disks", *kinds]), row(["---", *["---:"] * (1 + len(kinds))])]
    for command in dict.fromkeys(outcome.command for outcome in outcomes):
        counts = Counter(outcome.kind for outcome in outcomes if outcome.command == command)
        numbers = [counts.total(), *(counts[kind] for kind in kinds)]
        lines.append(row([f"`--{command}`", *map(str, numbers)]))
    return "\n".join(lines)


def _words(inputs: Path) -> list[str]:
    return ["apply", str(inputs / "points.csv"), *_images(inputs), "--no-show"]


def _images(inputs: Path) -> list[str]:
    return [str(inputs / name) for name in _IMAGES]


def _prepare(inputs: Path) -> None:
    """Write two images, a band with the footprint of the target, and the tie points of the images."""
    import rasterio

    for name, date in zip(_IMAGES, ("20240510", "20220829"), strict=True):
        (path,) = (ROOT / "dataset" / "sample").glob(f"SYNTHETIC-B_{date}*_TCI.jp2")
        with rasterio.open(path) as file:
            pixels = file.read(window=((0, _SIDE_PX), (0, _SIDE_PX)))
            profile = {"driver": "GTiff", "dtype": "uint8", "crs": file.crs, "transform": file.transform}
        profile |= {"width": _SIDE_PX, "height": _SIDE_PX}
        for out, bands in ((name, pixels), ("band.tif", pixels[:1])):
            with rasterio.open(inputs / out, "w", count=len(bands), **profile) as file:
                file.write(bands)
    # the pixels of both images agree
    places = [_SIDE_PX * (number + 0.5) / _POINTS for number in range(_POINTS)]
    rows = [f"{x},{y},{x},{y}" for x in places for y in places]
    write_text(inputs / "points.csv", "\n".join(["X_IM_REF,Y_IM_REF,X_IM,Y_IM", *rows]))


def _expected(command: str, setting: Setting) -> tuple[dict[str, bytes], int]:
    """The files of a run with space enough, and a size that is enough, bytes.

    Raises:
        RuntimeError: The command fails.
    """
    with setting.space(_MOST_BYTES):
        if setting.run(COMMANDS[command], _MOST_BYTES):
            raise RuntimeError(setting.errors.read_text())
        files = {name: (setting.disk / name).read_bytes() for name in FILES[command]}
    size = max(_PAGE_BYTES, max(map(len, files.values())))
    while True:
        size = size * 9 // 8
        with setting.space(size):
            if setting.run_over_old(command, size) == 0:
                return files, size


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _same(content: bytes | None, expected: bytes) -> bool:
    """Whether files are equal; of pages only the ends are compared, because they have the time of their run."""
    if content is None or not expected.startswith(b"<!"):
        return content == expected
    return len(content) == len(expected) and content.endswith(b"</html>\n") == expected.endswith(b"</html>\n")


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, help="default: %(default)s")
    parser.add_argument("--limit", action="store_true", help="limit the size of a file, rather than of the disk")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="default: all")
    parser.add_argument("--sizes", type=int, default=40, help="sizes for each command, default: %(default)s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        _prepare(inputs)
        if not arguments.limit and not can_mount(inputs):
            raise SystemExit("This process may not mount disks: run it as root, by unshare -Urm, or with --limit.")
        # copies of the process share them
        import s2match.batch.correct_and_write
        import s2match.correction.request
        import s2match.outputs.report.writing  # noqa: F401

        outcomes = measure(Setting(inputs, arguments.limit), arguments.commands, arguments.sizes)
    print(table(outcomes))
    content = {"limit": arguments.limit, "outcomes": [asdict(one) | {"kind": one.kind} for one in outcomes]}
    write_text(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
