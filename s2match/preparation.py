"""Fill the dataset folder: from Kaggle, from a folder or a zip of SAFE products, or with the bundled sample.

A source is first turned into offers (a name and a way to open the bytes). Placing them is the same for all sources:
what is there and whole is skipped, the rest is copied beside its place, checked, and only then moved into it.
"""

import hashlib
import re
import shutil
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from tqdm import tqdm

from s2match.catalog import SAMPLE_FOLDER, Scene, list_scenes
from s2match.errors import PreparationError, UnreadableImageError
from s2match.files import written_whole

KAGGLE_SOURCE = "kaggle"
KAGGLE_HANDLE = "isaienkov/deforestation-in-ukraine"
KAGGLE_PAGE = f"https://www.kaggle.com/datasets/{KAGGLE_HANDLE}"

# 10 m only: the 20 m and 60 m images of a Level-2A product are the same scene again, coarser
_IMAGE_NAME = re.compile(r"^[^.].*_TCI(_10m)?\.jp2$")
_PATTERNS_TEXT = "*_TCI.jp2 or *_TCI_10m.jp2"
_KAGGLE_PAGE_SIZE = 200
_CHUNK_BYTES = 1 << 20
_CHECK_SIDE_PX = 64
_END_OF_CODESTREAM = b"\xff\xd9"


@dataclass(frozen=True)
class Offer:
    """An image that a source offers.

    Attributes:
        name: File name, also in the dataset folder.
        origin: Where it comes from, for people.
        size: Bytes; None where the source does not know.
        open: Opens the bytes to read; raises UnreadableImageError when the source cannot give them.
    """

    name: str
    origin: str
    size: int | None
    open: Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Rejected:
    """An image that was not placed in the dataset folder, and why."""

    origin: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """What a preparation did.

    Attributes:
        folder: The folder that holds the images: the dataset folder, or the sample below it.
        copied: Names of the images placed now.
        skipped: Names of the images that were there already.
        rejected: Images that are damaged in the source and were not placed.
        note: A sentence on the source for people; empty when it went as asked.
    """

    folder: Path
    copied: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    note: str = ""

    @property
    def summary(self) -> str:
        """The result in a few lines."""
        count = len(self.copied) + len(self.skipped)
        lines = [self.note] if self.note else []
        lines.append(
            f"{self.folder.as_posix()}: {count} images, {len(self.copied)} copied now and "
            f"{len(self.skipped)} there already."
        )
        lines += [f"Not placed: {each.origin}: {each.reason}" for each in self.rejected]
        return "\n".join(lines)


@dataclass(frozen=True)
class KagglePage:
    """One page of a Kaggle file listing: paths inside the set, and the token of the next page or ``""``."""

    files: tuple[str, ...]
    next_token: str


@dataclass(frozen=True)
class IndexRow:
    """One line of the index table."""

    index: int
    file: str
    tile: str
    date: str
    width: int
    height: int
    megabytes: float


class _KaggleError(PreparationError):
    """Kaggle could not be asked, or did not give what was asked for."""


def prepare(
    source: str | Path | None,
    folder: Path,
    *,
    full_download: bool = False,
    progress: bool = True,
    kaggle: "Kaggle | None" = None,
) -> Prepared:
    """Bring the true-colour images of a source into the dataset folder.

    It can be run again at any time: images that are there and whole are skipped.

    Args:
        source: ``"kaggle"``, a folder or a zip of SAFE products (however nested), or None to use what is in ``folder``
            and, where that is nothing, the synthetic sample.
        folder: The dataset folder; made when missing.
        full_download: Allow downloading the whole Kaggle set (more than 30 GB, kept in kagglehub's cache) when its
            images cannot be had one by one.
        progress: Show a progress bar.
        kaggle: The calls to Kaggle; None means the real ones.

    Returns:
        What was copied, skipped and rejected.

    Raises:
        PreparationError: The source cannot be used, or offers different files of the same name.
        OutputError: The dataset folder cannot be written to.
    """
    if source is None:
        return use_present(folder)
    if str(source) == KAGGLE_SOURCE:
        return _prepare_kaggle(folder, kaggle or Kaggle(), full_download=full_download, progress=progress)
    path = Path(source).expanduser()
    offers = find_offers(path, folder)
    if not offers and path.resolve() == folder.resolve() and list_scenes(folder):
        return Prepared(folder, skipped=_names(list_scenes(folder)))
    if not offers:
        raise PreparationError(f"There is no {_PATTERNS_TEXT} image in {path}.")
    return place_offers(offers, folder, progress=progress)


def use_present(folder: Path) -> Prepared:
    """Use the images of the dataset folder as they are; where there is none, the sample, written when missing."""
    told = "No source is set, so nothing was downloaded"
    scenes = list_scenes(folder) if folder.is_dir() else ()
    if scenes:
        return Prepared(folder, skipped=_names(scenes), note=f"{told}: these are the images already there.")
    sample = folder / SAMPLE_FOLDER
    scenes = list_scenes(sample) if sample.is_dir() else ()
    note = f"{told}: these are the bundled synthetic images."
    if scenes:
        return Prepared(sample, skipped=_names(scenes), note=note)
    # only this case needs what draws the scenes
    from s2match.sample import write_sample

    _make_folder(sample)
    write_sample(sample)
    return Prepared(sample, copied=_names(list_scenes(sample)), note=note)


def find_offers(source: Path, folder: Path) -> tuple[Offer, ...]:
    """Find the true-colour images of a folder or a zip, sorted by name.

    Args:
        source: Folder (searched with its subfolders) or zip.
        folder: The dataset folder; when it lies in ``source``, what it holds itself is no offer.

    Raises:
        PreparationError: ``source`` is missing or is neither a folder nor a zip.
    """
    if source.is_dir():
        offers = _folder_offers(source, folder)
    elif source.is_file() and zipfile.is_zipfile(source):
        offers = _zip_offers(source)
    elif source.is_file():
        raise PreparationError(f"The source {source} is neither a folder nor a whole zip.")
    else:
        raise PreparationError(f"The source {source} does not exist.")
    return tuple(sorted(offers, key=lambda offer: (offer.name, offer.origin)))


def place_offers(offers: tuple[Offer, ...], folder: Path, *, progress: bool = True) -> Prepared:
    """Copy the offers that the folder lacks; each is checked before it gets its name.

    Raises:
        PreparationError: Two different files share a name, a download failed, or every image is damaged.
        OutputError: The folder cannot be written to.
    """
    _make_folder(folder)
    offers = merge_duplicates(offers)
    present = {offer.name for offer in offers if _is_present(offer, folder / offer.name)}
    missing = [offer for offer in offers if offer.name not in present]
    copied, rejected = [], []
    for offer in tqdm(missing, desc="Preparing", unit="image", disable=not progress or not missing):
        reason = _place(offer, folder / offer.name)
        if reason is None:
            copied.append(offer.name)
        else:
            rejected.append(Rejected(offer.origin, reason))
    if offers and len(rejected) == len(offers):
        first = rejected[0]
        raise PreparationError(
            f"None of the {len(offers)} images can be used; the first, {first.origin}: {first.reason}"
        )
    return Prepared(folder, tuple(copied), tuple(sorted(present)), tuple(rejected))


def merge_duplicates(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Keep one of the offers that share a name, which must have the same content.

    Raises:
        PreparationError: Two offers of one name differ, or cannot be read to compare them.
    """
    kept: dict[str, Offer] = {}
    for offer in offers:
        first = kept.setdefault(offer.name, offer)
        if first is offer:
            continue
        try:
            same = first.size == offer.size and _digest(first) == _digest(offer)
        except UnreadableImageError as error:
            raise PreparationError(f"Cannot compare {first.origin} and {offer.origin}: {error}") from error
        if not same:
            raise PreparationError(f"Two different files share a name: {first.origin} and {offer.origin}.")
    return tuple(kept.values())


def image_damage(path: Path) -> str | None:
    """Say what is wrong with a JPEG 2000 file, or None when it is whole and can be decoded.

    The decoder alone does not tell: GDAL reads a tiled image that ends half-way without complaint.
    """
    if not is_whole(path):
        return "it is cut short or is no JPEG 2000 file."
    try:
        # one decoding thread: GDAL loses the errors of damaged tiles met in others
        with rasterio.Env(GDAL_NUM_THREADS="1"), _open_quietly(path) as file:
            shape = (min(file.height, _CHECK_SIDE_PX), min(file.width, _CHECK_SIDE_PX))
            file.read(1, out_shape=shape)
    except RasterioError:
        return "it cannot be decoded."
    return None


def is_whole(path: Path) -> bool:
    """Whether the boxes of a JPEG 2000 file fill it exactly and its codestream has its end (nothing is decoded)."""
    size = path.stat().st_size
    position, ended = 0, False
    with path.open("rb") as stream:
        while position < size:
            stream.seek(position)
            header = stream.read(16)
            if len(header) < 8:
                return False
            length, kind = struct.unpack(">I4s", header[:8])
            if (position == 0) != (kind == b"jP  "):
                return False
            if length == 1 and len(header) == 16:
                (length,) = struct.unpack(">Q", header[8:])
            elif length == 0:
                # ISO/IEC 15444-1, annex I: the last box may leave its length to the end of the file
                length = size - position
            if length < 8 or position + length > size:
                return False
            position += length
            if kind == b"jp2c":
                stream.seek(position - len(_END_OF_CODESTREAM))
                ended = stream.read(len(_END_OF_CODESTREAM)) == _END_OF_CODESTREAM
    return ended


def image_size(scene: Scene) -> tuple[int, int]:
    """Width and height of an image in pixels, from its header alone.

    Raises:
        UnreadableImageError: The file is missing or is not an image.
    """
    try:
        with _open_quietly(scene.path) as file:
            return file.width, file.height
    except RasterioError as error:
        raise UnreadableImageError(f"Cannot read {scene.path}: it is not an image.") from error


def index_rows(scenes: tuple[Scene, ...]) -> tuple[IndexRow, ...]:
    """Describe scenes by the index that picks them.

    Raises:
        UnreadableImageError: A file is not an image.
    """
    return tuple(_index_row(index, scene) for index, scene in enumerate(scenes))


def index_table(rows: tuple[IndexRow, ...]) -> str:
    """Lay rows out as a table of plain text."""
    header = ("index", "file", "tile", "date", "size in pixels", "MB")
    cells = [
        (str(row.index), row.file, row.tile, row.date, f"{row.width} × {row.height}", f"{row.megabytes:.1f}")
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (header, *cells)) for column in range(len(header))]
    # text to the left, numbers to the right
    sides = (">", "<", "<", "<", ">", ">")
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        for line in (header, *cells)
    )


def list_kaggle_images(kaggle: "Kaggle") -> tuple[str, ...]:
    """List the true-colour images of the Kaggle set, page by page; sorted by file name.

    Raises:
        PreparationError: Kaggle cannot be asked.
    """
    names: list[str] = []
    token = ""
    while True:
        with _kaggle_attempt(f"list the files of {KAGGLE_HANDLE}"):
            page = kaggle.list_page(token)
        names += [name for name in page.files if _is_image(name)]
        # a server that repeats its token would be asked for ever
        if page.next_token in ("", token):
            return tuple(sorted(names, key=lambda name: (PurePosixPath(name).name, name)))
        token = page.next_token


def fetch_kaggle_page(token: str) -> KagglePage:
    """Ask Kaggle for one page of the file listing; ``""`` asks for the first."""
    from kagglehub.clients import build_kaggle_client
    from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

    request = ApiListDatasetFilesRequest()
    request.owner_slug, request.dataset_slug = KAGGLE_HANDLE.split("/")
    request.page_size = _KAGGLE_PAGE_SIZE
    if token:
        request.page_token = token
    with build_kaggle_client() as client:
        answer = client.datasets.dataset_api_client.list_dataset_files(request)
    if answer.error_message:
        raise RuntimeError(answer.error_message)
    return KagglePage(tuple(file.name for file in answer.dataset_files), answer.next_page_token)


def fetch_kaggle_file(name: str, folder: Path) -> Path:
    """Download one file of the Kaggle set into a folder; kagglehub checks its length and MD5."""
    import kagglehub

    return Path(kagglehub.dataset_download(KAGGLE_HANDLE, path=name, output_dir=str(folder)))


def fetch_kaggle_set() -> Path:
    """Download and unpack the whole Kaggle set into kagglehub's cache; return the folder."""
    import kagglehub

    return Path(kagglehub.dataset_download(KAGGLE_HANDLE))


@dataclass(frozen=True)
class Kaggle:
    """The calls that reach Kaggle, gathered so that they can be replaced.

    Attributes:
        list_page: Token to page of the file listing.
        fetch_file: Path inside the set and a folder to write below, to the file downloaded.
        fetch_set: Downloads everything; returns the folder.
    """

    list_page: Callable[[str], KagglePage] = fetch_kaggle_page
    fetch_file: Callable[[str, Path], Path] = fetch_kaggle_file
    fetch_set: Callable[[], Path] = fetch_kaggle_set


def _prepare_kaggle(folder: Path, kaggle: Kaggle, *, full_download: bool, progress: bool) -> Prepared:
    try:
        return place_offers(_kaggle_offers(folder, kaggle), folder, progress=progress)
    except _KaggleError:
        if not full_download:
            raise
    with _kaggle_attempt(f"download the whole of {KAGGLE_HANDLE}"):
        unpacked = kaggle.fetch_set()
    offers = find_offers(unpacked, folder)
    if not offers:
        raise PreparationError(f"There is no {_PATTERNS_TEXT} image in {unpacked}.")
    return place_offers(offers, folder, progress=progress)


def _kaggle_offers(folder: Path, kaggle: Kaggle) -> tuple[Offer, ...]:
    names = list_kaggle_images(kaggle)
    if not names:
        raise _kaggle_error(f"find a {_PATTERNS_TEXT} image in {KAGGLE_HANDLE}", "the listing names none")
    # Kaggle's sizes are not compared: kagglehub checks what arrives against the headers of the download itself
    return tuple(
        Offer(PurePosixPath(name).name, f"{KAGGLE_HANDLE}/{name}", None, partial(_open_kaggle, name, folder, kaggle))
        for name in names
    )


@contextmanager
def _open_kaggle(name: str, folder: Path, kaggle: Kaggle) -> Iterator[BinaryIO]:
    # the download goes to a folder of its own, gone whatever happens
    with tempfile.TemporaryDirectory(dir=folder, prefix=".kaggle-") as staging:
        with _kaggle_attempt(f"download {name} of {KAGGLE_HANDLE}"):
            path = kaggle.fetch_file(name, Path(staging))
        with path.open("rb") as stream:
            yield stream


@contextmanager
def _kaggle_attempt(what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise _kaggle_error(what, "kagglehub is not installed; run: pip install kagglehub") from error
    except Exception as error:
        # kagglehub and its transport raise a dozen unrelated classes, bare Exception among them
        detail = (str(error).splitlines() or [""])[0][:200]
        raise _kaggle_error(what, f"{type(error).__name__}: {detail}") from error


def _kaggle_error(what: str, why: str) -> _KaggleError:
    return _KaggleError(
        f"Kaggle: could not {what} ({why}). What is in the dataset folder stays: run it again to go on. Check the "
        "network and the Kaggle credentials (KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY), allow the full "
        f"download, or download the set by hand from {KAGGLE_PAGE} and give the zip or the unpacked folder as source."
    )


def _folder_offers(source: Path, folder: Path) -> list[Offer]:
    held = _held_already(source.resolve(), folder.resolve())
    return [
        Offer(path.name, str(path), path.stat().st_size, partial(_open_file, path))
        for path in source.rglob("*.jp2")
        if _is_image(path.name)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
        and path.resolve().parent not in held
    ]


def _held_already(source: Path, folder: Path) -> tuple[Path, ...]:
    """The folders whose images are in the dataset, and so no offer, when a search of ``source`` comes across them."""
    sample = folder / SAMPLE_FOLDER
    return (folder,) if source == sample else (folder, sample)


def _zip_offers(archive: Path) -> list[Offer]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise PreparationError(f"Cannot read the zip {archive}: {error}.") from error
    return [
        Offer(
            PurePosixPath(member.filename).name,
            f"{archive}:{member.filename}",
            member.file_size,
            partial(_open_member, archive, member),
        )
        for member in members
        if not member.is_dir() and _is_image(member.filename)
    ]


def _is_image(path: str) -> bool:
    return _IMAGE_NAME.match(PurePosixPath(path).name) is not None


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UnreadableImageError(f"it cannot be opened ({error.strerror}).") from error
    with stream:
        yield stream


@contextmanager
def _open_member(archive: Path, member: zipfile.ZipInfo) -> Iterator[BinaryIO]:
    """Open a file of a zip; reading it to its end checks the CRC."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
            yield cast(BinaryIO, stream)
    # RuntimeError: a password or an unknown compression
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UnreadableImageError(f"the zip is damaged or cannot be unpacked ({error}).") from error


def _digest(offer: Offer) -> bytes:
    hasher = hashlib.sha256()
    with offer.open() as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.digest()


def _is_present(offer: Offer, target: Path) -> bool:
    """Whether the dataset holds the offered image; a file cut short does not count and will be replaced."""
    if not target.is_file() or not is_whole(target):
        return False
    size = target.stat().st_size
    if offer.size is not None and offer.size != size:
        raise PreparationError(
            f"Two different files share a name: {target} ({size} bytes) and {offer.origin} ({offer.size} bytes)."
        )
    return True


def _place(offer: Offer, target: Path) -> str | None:
    """Copy and check an offer; return why it was refused, or None."""
    try:
        with written_whole(target) as copy:
            with offer.open() as stream, copy.open("wb") as out:
                shutil.copyfileobj(stream, out, _CHUNK_BYTES)
            size = copy.stat().st_size
            if offer.size is not None and size != offer.size:
                raise UnreadableImageError(f"{size} bytes arrived instead of {offer.size}.")
            damage = image_damage(copy)
            if damage is not None:
                raise UnreadableImageError(damage)
    except UnreadableImageError as error:
        return str(error)
    return None


def _open_quietly(path: Path) -> rasterio.DatasetReader:
    with warnings.catch_warnings():
        # an image without a georeference can be matched too
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreparationError(f"Cannot make the folder {folder}: {error.strerror}.") from error


def _index_row(index: int, scene: Scene) -> IndexRow:
    width, height = image_size(scene)
    date = "–" if scene.sensed is None else f"{scene.sensed:%Y-%m-%d}"
    megabytes = scene.path.stat().st_size / 1e6
    return IndexRow(index, scene.path.name, scene.tile or "–", date, width, height, megabytes)


def _names(scenes: tuple[Scene, ...]) -> tuple[str, ...]:
    return tuple(scene.path.name for scene in scenes)
