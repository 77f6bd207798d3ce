"""Sources that are damaged or hostile bring one sentence for each file, and never cost the user's own files."""

import os
import stat
import struct
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_prepare import NAMES, files_in, jp2, safe_path, write, write_zip

from s2match.dataset.kaggle import Kaggle, KagglePage
from s2match.dataset.placing import Prepared
from s2match.dataset.prepare import prepare
from s2match.errors import PreparationError
from s2match.io.request_limits import Limits

METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def patched(path: Path, signature: bytes, offset: int, value: bytes) -> None:
    """Change bytes behind the first local header or directory entry of a zip."""
    data = bytearray(path.read_bytes())
    start = data.index(signature) + offset
    data[start : start + len(value)] = value
    path.write_bytes(data)


LOCAL, ENTRY = b"PK\x03\x04", b"PK\x01\x02"


def one_rejected(result: Prepared, said: str) -> None:
    """The second image was copied, and the first rejected with a sentence."""
    assert result.copied == (NAMES[1],)
    (rejected,) = result.rejected
    assert said in rejected.reason and rejected.reason.endswith(".") and "\n" not in rejected.reason
    assert "write" not in rejected.reason


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_zips(tmp_path: Path, dataset: Path, method: str) -> None:
    source = zip_of(tmp_path / "a.zip", {NAMES[0]: jp2(), NAMES[1]: jp2(1)}, METHODS[method])
    assert prepare(source, dataset, progress=False).copied == NAMES[:2]
    assert (dataset / NAMES[0]).read_bytes() == jp2()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("place", [0.0, 0.5, 0.95])
def test_damage_is_called_damage(tmp_path: Path, dataset: Path, method: str, place: float) -> None:
    source = zip_of(tmp_path / "a.zip", {NAMES[0]: jp2(), NAMES[1]: jp2(1)}, METHODS[method])
    with zipfile.ZipFile(source) as archive:
        size = archive.infolist()[0].compress_size
    begin = 30 + len(NAMES[0])
    patched(source, LOCAL, begin + int(size * place), b"\x55\xaa" * 20)
    one_rejected(prepare(source, dataset, progress=False), "damaged")
    assert files_in(dataset) == [NAMES[1]]


def entry_patch(offset: int, value: bytes) -> Callable[[Path], None]:
    return lambda path: patched(path, ENTRY, offset, value)


MEMBERS = {
    "unknown method": (entry_patch(10, struct.pack("<H", 99)), "a method that is not known (99)"),
    "encrypted": (entry_patch(8, struct.pack("<H", 1)), "it is encrypted"),
    "larger than any image": (entry_patch(24, struct.pack("<I", 3_000_000_000)), "would unpack to 3.0 GB"),
    "a ratio of no image": (entry_patch(24, struct.pack("<I", 500_000_000)), "would unpack to more than 100 times"),
    "larger than it says": (entry_patch(24, struct.pack("<I", 1000)), "it is damaged: Bad CRC-32"),
    "smaller than it says": (entry_patch(24, struct.pack("<I", 90_000)), "instead of 90000"),
    "a link": (entry_patch(38, struct.pack("<I", (stat.S_IFLNK | 0o777) << 16)), "it is a link"),
    "another name inside": (lambda path: patched(path, LOCAL, 30, b"X"), "damaged: File name in directory"),
    "no header": (lambda path: patched(path, LOCAL, 0, b"XXXX"), "damaged: Bad magic number"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_members_of_zips(tmp_path: Path, dataset: Path, case: str) -> None:
    change, said = MEMBERS[case]
    source = zip_of(tmp_path / "a.zip", {NAMES[0]: jp2(), NAMES[1]: jp2(1)})
    change(source)
    one_rejected(prepare(source, dataset, progress=False), said)
    assert files_in(dataset) == [NAMES[1]]


@pytest.mark.parametrize(
    "name", [f"../../{NAMES[0]}", f"/tmp/{NAMES[0]}", f"..\\{NAMES[0]}", f"C:\\{NAMES[0]}", f"a/../../{NAMES[0]}"]
)
def test_paths_that_lead_out(tmp_path: Path, dataset: Path, name: str) -> None:
    source = zip_of(tmp_path / "a.zip", {name: jp2(), NAMES[1]: jp2(1)})
    one_rejected(prepare(source, dataset, progress=False), "leads out of the zip")
    assert files_in(tmp_path) == ["a.zip", "dataset", f"dataset/{NAMES[1]}"]


def test_names_with_control_characters(tmp_path: Path, dataset: Path) -> None:
    source = zip_of(tmp_path / "a.zip", {"a\n\x1b[31m_TCI.jp2": jp2(), NAMES[1]: jp2(1)})
    result = prepare(source, dataset, progress=False)
    one_rejected(result, "control characters")
    assert result.rejected[0].origin == f"{source}:a\\n\\x1b[31m_TCI.jp2"


def test_a_member_without_a_name(tmp_path: Path, dataset: Path) -> None:
    source = zip_of(tmp_path / "a.zip", {"x": b"", NAMES[1]: jp2(1)})
    # the directory says that the name has no letters, and that the letter is a comment
    patched(source, ENTRY, 28, struct.pack("<HHH", 0, 0, 1))
    assert prepare(source, dataset, progress=False).copied == NAMES[1:2]


def test_separators_of_windows(tmp_path: Path, dataset: Path) -> None:
    source = zip_of(tmp_path / "a.zip", {f"A.SAFE\\GRANULE\\{NAMES[0]}": jp2()})
    assert prepare(source, dataset, progress=False).copied == NAMES[:1]
    assert files_in(dataset) == [NAMES[0]]


ARCHIVES = {
    "a name that is not UTF-8": (lambda path: unreadable_name(path), "a name in it is not UTF-8"),
    "a newer format": (entry_patch(6, struct.pack("<H", 99)), "its format is not known"),
    "a damaged directory": (entry_patch(0, b"XXXX"), "is damaged: Bad magic number for central directory"),
}


def unreadable_name(path: Path) -> None:
    patched(path, ENTRY, 8, struct.pack("<H", 0x800))
    patched(path, ENTRY, 46, b"\xff\xfe")


@pytest.mark.parametrize("case", ARCHIVES)
def test_zips_that_cannot_be_listed(tmp_path: Path, dataset: Path, case: str) -> None:
    change, said = ARCHIVES[case]
    source = write_zip(tmp_path / "a.zip", {NAMES[0]: jp2()})
    change(source)
    with pytest.raises(PreparationError, match=said) as caught:
        prepare(source, dataset, progress=False)
    assert str(source) in str(caught.value) and not dataset.exists()


@pytest.mark.parametrize("method", METHODS)
def test_a_bomb_takes_no_memory(tmp_path: Path, dataset: Path, method: str) -> None:
    """The directory of the zip says that the bomb is small; bzip2 packs 45 MB to 40 bytes."""
    size = 120_000_000
    source = zip_of(tmp_path / "a.zip", {NAMES[0]: bytes(size), NAMES[1]: jp2(1)}, METHODS[method])
    patched(source, ENTRY, 24, struct.pack("<I", 5_000_000))
    tracemalloc.start()
    one_rejected(prepare(source, dataset, progress=False), "damaged")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # a piece of LZMA unpacks to 28 MB at most, of which there are copies
    assert peak < (90e6 if method == "lzma" else 12e6)
    assert files_in(dataset) == [NAMES[1]]


def test_more_than_the_disk_has(tmp_path: Path, dataset: Path) -> None:
    source = tmp_path / "source"
    write(source, {NAMES[0]: jp2()})
    with (source / NAMES[1]).open("wb") as sparse:
        sparse.truncate(1 << 43)
    with pytest.raises(PreparationError, match=r"The 2 images need 8796.1 GB, and .* GB are free in "):
        prepare(source, dataset, progress=False)
    assert files_in(dataset) == []


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_zips_in_a_source(tmp_path: Path, dataset: Path, kind: str) -> None:
    inner = write_zip(tmp_path / "inner.zip", {NAMES[0]: jp2()}).read_bytes()
    files = {"a.ZIP": inner, "b.zip": inner}
    make = write if kind == "folder" else write_zip
    with pytest.raises(PreparationError, match=r"None of the 1 images .*a\.ZIP: it is a zip inside the source"):
        prepare(make(tmp_path / "one", files), dataset, progress=False)
    result = prepare(make(tmp_path / "two", {**files, NAMES[1]: jp2(1)}), dataset, progress=False)
    one_rejected(result, "give it as a source of its own. So are 1 others.")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_upper_case_suffixes(tmp_path: Path, dataset: Path, kind: str) -> None:
    name = NAMES[0].upper()
    make = write if kind == "folder" else write_zip
    assert prepare(make(tmp_path / "source", {safe_path(name): jp2()}), dataset, progress=False).copied == (name,)


def test_a_zip_is_opened_once(tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory is read each time, so that the time would grow with the square of the members."""
    opened: list[object] = []
    original = zipfile.ZipFile.__init__

    def counted(self: zipfile.ZipFile, *arguments: object, **options: object) -> None:
        opened.append(arguments[0])
        original(self, *arguments, **options)  # type: ignore[arg-type]

    files = {f"T36UXA_2018{k:04}T083601_TCI.jp2": jp2() for k in range(20)}
    source = write_zip(tmp_path / "a.zip", files)
    monkeypatch.setattr(zipfile.ZipFile, "__init__", counted)
    assert len(prepare(source, dataset, progress=False).copied) == 20
    assert opened == [source]


OWN = {
    "a text": b"my notes",
    "an image cut short, of another place": jp2(5)[:1000],
    "more than the image": jp2() + b"more",
    "the begin of the image, and then others": jp2()[:1000] + b"others",
}


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("kind", ["folder", "zip", "kaggle"])
def test_files_of_the_user_are_kept(tmp_path: Path, dataset: Path, own: str, kind: str) -> None:
    files = {NAMES[0]: jp2(), NAMES[1]: jp2(1)}
    write(dataset, {NAMES[0]: OWN[own]})
    kaggle = None
    if kind == "kaggle":
        source: str | Path = "kaggle"
        kaggle = Kaggle(
            lambda token: KagglePage(tuple(files), ""),
            lambda name, folder: write(folder, {name: files[name]}) / name,
        )
    else:
        source = (write if kind == "folder" else write_zip)(tmp_path / "source", files)
    one_rejected(prepare(source, dataset, progress=False, kaggle=kaggle), "another file has its name, and is kept")
    assert (dataset / NAMES[0]).read_bytes() == OWN[own]
    assert files_in(dataset) == list(NAMES[:2])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_with_the_name_of_an_image(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", {NAMES[0]: jp2(), NAMES[1]: jp2(1)})
    dataset.mkdir()
    os.mkfifo(dataset / NAMES[0])
    one_rejected(prepare(source, dataset, progress=False), "is no regular file")
    os.mkfifo(source / NAMES[2])
    assert [one.reason for one in prepare(source, dataset, progress=False).rejected] == [
        "it is no file, or a link to nothing.",
        f"{dataset / NAMES[0]} is no regular file.",
    ]


def test_links_in_a_folder(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", {f"a/{NAMES[1]}": jp2(1)})
    (source / NAMES[0]).symlink_to(tmp_path / "nowhere")
    (source / "a" / "loop").symlink_to(source)
    one_rejected(prepare(source, dataset, progress=False), "a link to nothing")
    (source / NAMES[0]).unlink()
    (source / NAMES[0]).symlink_to(write(tmp_path / "other", {"image": jp2()}) / "image")
    assert prepare(source, dataset, progress=False).copied == NAMES[:1]
    assert not (dataset / NAMES[0]).is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="names of Windows are text")
def test_names_of_files_that_are_not_utf_8(tmp_path: Path, dataset: Path) -> None:
    source = write(tmp_path / "source", {NAMES[1]: jp2(1)})
    Path(os.fsdecode(os.fsencode(source) + b"/\xe9_TCI.jp2")).write_bytes(jp2())
    result = prepare(source, dataset, progress=False)
    one_rejected(result, "its name is not UTF-8")
    assert "\\udce9_TCI.jp2" in result.summary and result.summary.isascii()


QUICK = Limits(connect_s=0.2, window_s=0.3, least_speed=10_000, patience_s=0.6)


def silent(*_: object) -> KagglePage:
    threading.Event().wait(30)
    raise AssertionError("it was waited for")


def test_a_silent_kaggle_is_left(dataset: Path) -> None:
    with pytest.raises(PreparationError, match=r"could not list the files .*\(the server has sent nothing for"):
        prepare("kaggle", dataset, progress=False, kaggle=Kaggle(silent, limits=QUICK))
    kaggle = Kaggle(lambda token: KagglePage(NAMES[:1], ""), silent, limits=QUICK)  # type: ignore[arg-type]
    with pytest.raises(PreparationError, match=r"could not download .*\(the server has sent nothing for"):
        prepare("kaggle", dataset, progress=False, kaggle=kaggle)
    assert files_in(dataset) == []


def test_a_slow_kaggle_is_waited_for(dataset: Path) -> None:
    """A file that grows at the least speed takes longer than any limit on silence."""

    def fetch(name: str, folder: Path) -> Path:
        path = write(folder, {name: b""}) / name
        pieces = [jp2()[k : k + 2000] for k in range(0, len(jp2()), 2000)]
        for piece in pieces:
            with path.open("ab") as file:
                file.write(piece)
            time.sleep(1.5 / len(pieces))
        return path

    limits = replace(QUICK, least_speed=100)
    kaggle = Kaggle(lambda token: KagglePage(NAMES[:1], ""), fetch, limits=limits)
    assert prepare("kaggle", dataset, progress=False, kaggle=kaggle).copied == NAMES[:1]
