"""What a run leaves behind on disks of many sizes, most of them too small.

Each command runs on a disk of its own, in memory, with an old file in the place of its output. It must end with 0 and
the file of a run with space enough, or with 22, one sentence and the old file.

python -m benchmarks.faults        (needs the right to mount; a user other than root may have it by: unshare -Urm)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.markdown import row
from s2match.cli.main import main as s2match
from s2match.errors import OutputError
from s2match.util.atomic_write import write_text

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_JSON = ROOT / "benchmarks" / "results" / "faults.json"

# Pages of a disk in memory.
_PAGE_BYTES = 4096

# Free sizes of each command; half of them lie in the last tenth, where a file is closed and checked.
_SIZES, _LAST = 40, 0.1

# A disk that has space enough for each command.
_MOST_BYTES = 64 << 20

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
        sentence: Whether the standard error has one line of an error, and no traceback.
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


def sizes_of(largest: int) -> list[int]:
    """Sizes of disks up to one that has space enough, bytes."""
    first = [largest * (1 - _LAST) * number / (_SIZES // 2) for number in range(1, _SIZES // 2 + 1)]
    last = [largest * (1 - _LAST + _LAST * number / (_SIZES // 2)) for number in range(1, _SIZES // 2 + 1)]
    return sorted({max(1, round(size / _PAGE_BYTES)) * _PAGE_BYTES for size in (*first, *last)})


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of a size, bytes, at a folder within the block."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a disk."""
    words = ["mount", "-t", "tmpfs", "-o", "size=4096", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True).returncode:
        return False
    subprocess.run(["umount", folder], check=True)
    return True


def run(words: Sequence[str], folder: Path, errors: Path) -> int:
    """Run a command line in a folder, in a copy of this process that has the imports already; return the exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        os.chdir(folder)
        for number, path in ((1, Path(os.devnull)), (2, errors)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        code = s2match(words)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def outcome_of(command: str, inputs: Path, size: int, expected: Mapping[str, bytes]) -> Outcome:
    """Run a command on a disk of a size, bytes; ``expected`` has its files by their names."""
    disk, errors = inputs / "disk", inputs / "errors.txt"
    with small_disk(disk, size):
        first = disk / FILES[command][0]
        if command != "report":
            first.write_text(_OLD)
        code = run([*_words(inputs), *COMMANDS[command], "--overwrite"], disk, errors)
        files = {name: _content(disk / name) for name in FILES[command]}
        names = [path for path in disk.rglob("*") if path.is_file()]
        left = [str(path.relative_to(disk)) for path in names if path.name.startswith(".")]
    lines = errors.read_text(errors="replace").splitlines()
    sentence = sum(line.startswith("error: ") for line in lines) == 1 and "Traceback" not in "".join(lines)
    whole = sum(_same(content, expected[name]) for name, content in files.items())
    old = sum(content in (None, _OLD.encode()) for content in files.values())
    return Outcome(command, size >> 10, code, sentence, whole, old, tuple(left))


def measure(inputs: Path) -> list[Outcome]:
    """Run every command on disks of all sizes.

    Args:
        inputs: Folder of the images, the band and the tie points, and of the disk.
    """
    outcomes = []
    for command in COMMANDS:
        expected, largest = _expected(command, inputs)
        for size in sizes_of(largest):
            outcomes.append(outcome_of(command, inputs, size, expected))
            print(f"\r{command} {size >> 10} kB: {outcomes[-1].kind}    ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each command: how many of its runs end in which way."""
    kinds = ("whole", "refused", "damaged", "traceback", "left")
    lines = [row(["output", "disks", *kinds]), row(["---", *["---:"] * (1 + len(kinds))])]
    for command in COMMANDS:
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

    (inputs / "disk").mkdir()
    for name, date in zip(_IMAGES, ("20240510", "20220829"), strict=True):
        (path,) = (ROOT / "dataset" / "sample").glob(f"SYNTHETIC-B_{date}*_TCI.jp2")
        with rasterio.open(path) as file:
            pixels = file.read(window=((0, _SIDE_PX), (0, _SIDE_PX)))
            profile = {"driver": "GTiff", "dtype": "uint8", "crs": file.crs, "transform": file.transform}
        profile |= {"width": _SIDE_PX, "height": _SIDE_PX}
        for out, bands in ((name, pixels), ("band.tif", pixels[:1])):
            with rasterio.open(inputs / out, "w", count=len(bands), **profile) as file:
                file.write(bands)
    words = ["match", "--images", *_images(inputs), "--preset", "fast", "--no-figure", "--no-show"]
    if run([*words, "--tie_points", "points.csv"], inputs, inputs / "errors.txt"):
        raise RuntimeError((inputs / "errors.txt").read_text())


def _expected(command: str, inputs: Path) -> tuple[dict[str, bytes], int]:
    """The files of a run with space enough, and the size of a disk that has it, bytes."""
    disk, size = inputs / "disk", 64 * _PAGE_BYTES
    while size < _MOST_BYTES:
        with small_disk(disk, size):
            code = run([*_words(inputs), *COMMANDS[command]], disk, inputs / "errors.txt")
            if code == 0:
                return {name: (disk / name).read_bytes() for name in FILES[command]}, size
        size = size * 5 // 4
    raise RuntimeError((inputs / "errors.txt").read_text())


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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        if not can_mount(Path(folder) / "disk"):
            raise SystemExit("This process may not mount disks: run it as root, or by unshare -Urm.")
        # copies of the process share them
        import s2match.batch.correct_and_write
        import s2match.correction.request
        import s2match.outputs.report.writing  # noqa: F401

        outcomes = measure(Path(folder))
    print(table(outcomes))
    write_text(arguments.json, json.dumps({"outcomes": list(map(asdict, outcomes))}, indent=1) + "\n")


if __name__ == "__main__":
    main()
