"""Paths of images: files of the file system, and files that only GDAL reads, remote or inside of archives.

GDAL's names of such files are those of its virtual file systems: https://gdal.org/user/virtual_file_systems.html.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from s2match.errors import UnreadableImageError
from s2match.util.urls import shown_url

# Prefix of GDAL's name of a URL, by its scheme; a prefix ending in "/vsicurl/" is followed by the whole URL.
_PREFIXES = {
    "http": "/vsicurl/",
    "https": "/vsicurl/",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}

_VIRTUAL = "/vsi"
_ZIP = "/vsizip/"

# GDAL's name of a URL that is read with options; the URL is one of them.
_CURL_WITH_OPTIONS = "/vsicurl?"

_URL = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.+)$", re.IGNORECASE | re.DOTALL)


# A URL in a text, and in the names of GDAL that contain one.
_URL_IN_TEXT = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]+://)(?:[^/?#\s'\"]*@)?(?P<place>[^?#\s'\"]*)(?:[?#][^\s'\"]*)?", re.IGNORECASE
)

# A query without its URL, as GDAL writes it behind the name of a file.
_QUERY = re.compile(r"\?[\w.~%-]+=[^\s'\"]*")

# Parameters of the query of a signed URL, of Amazon, Google and Azure.
_SIGNATURE = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|sig|s[eptvrkipd]|spr|srt|ss|sk(oid|tid|t|e|s|v)|rscd|"
    r"(access_?)?token"
)


@dataclass(frozen=True, repr=False)
class VirtualFile:
    """A file that GDAL reads, and the file system does not have: a remote one, or a member of an archive.

    ``str()`` is for messages: it has no query and no user, which may be credentials.

    Attributes:
        dataset: GDAL's name, such as ``/vsicurl/https://host/a_TCI.tif`` or ``/vsizip/{a.zip}/b_TCI.jp2``.
    """

    dataset: str

    @property
    def name(self) -> str:
        """Name of the file, the last part of the path."""
        if self.in_zip is not None:
            return PurePosixPath(self.in_zip[1]).name
        return PurePosixPath(unquote(urlsplit(str(self)).path)).name

    @property
    def stem(self) -> str:
        """Name of the file without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Suffix of the file with its dot, such as ``.jp2``."""
        return PurePosixPath(self.name).suffix

    @property
    def in_zip(self) -> tuple[Path, str] | None:
        """The zip of this computer that the file lies in, and its name in the zip; None for other files."""
        if not self.dataset.startswith(_ZIP):
            return None
        inner = self.dataset.removeprefix(_ZIP)
        end = _end_of_archive(inner)
        archive, member = inner[:end].removeprefix("{").removesuffix("}"), inner[end:].strip("/")
        return None if archive.startswith(_VIRTUAL) else (Path(archive), member)

    def __repr__(self) -> str:
        """As ``str()``: without credentials."""
        return f"VirtualFile({str(self)!r})"

    def __str__(self) -> str:
        """The URL without query and user, or the path of the archive and of its member."""
        if self.in_zip is not None:
            return f"{self.in_zip[0]}/{self.in_zip[1]}"
        for scheme, prefix in _PREFIXES.items():
            if self.dataset.startswith(prefix):
                rest = self.dataset.removeprefix(prefix)
                return shown_url(rest if "://" in rest else f"{scheme}://{rest}")
        if self.dataset.startswith(_CURL_WITH_OPTIONS):
            return shown_url(dict(parse_qsl(self.dataset.removeprefix(_CURL_WITH_OPTIONS))).get("url", ""))
        _, _, inner = self.dataset.removeprefix("/").partition("/")
        return shown_url(inner.replace("{", "").replace("}", ""))


# A file to read: an image, a band, a mask.
ImagePath = Path | VirtualFile


def image_path(source: "str | os.PathLike[str] | VirtualFile") -> ImagePath:
    """Path of an image from what a user gives: a path, a URL, or a name of GDAL's virtual file systems.

    Args:
        source: Such as ``a_TCI.jp2``, ``https://host/a_TCI.tif``, ``s3://bucket/a_TCI.tif`` or ``/vsizip/a.zip/b.jp2``.

    Raises:
        UnreadableImageError: It is not a path, or a URL whose scheme is not read.
    """
    if isinstance(source, VirtualFile):
        return source
    if not isinstance(source, str | os.PathLike):
        raise UnreadableImageError(
            f"An image of type {type(source).__name__} is not a path: match_arrays matches images in memory."
        )
    text = os.fspath(source)
    if text.startswith(_VIRTUAL):
        return VirtualFile(text)
    url = url_of(text)
    if url is None:
        return Path(text)
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        # imports the libraries of HTTP, which take a fiftieth of a second
        from urllib.request import url2pathname

        return Path(url2pathname(urlsplit(text).path))
    if scheme not in _PREFIXES:
        raise UnreadableImageError(
            f"{shown_url(url)} cannot be read: a URL begins with {', '.join(_PREFIXES)} or file."
        )
    prefix = _PREFIXES[scheme]
    return VirtualFile(prefix + (url if prefix == "/vsicurl/" else rest))


def gdal_name(path: ImagePath) -> str:
    """Name that GDAL opens a file by."""
    return path.dataset if isinstance(path, VirtualFile) else str(path)


def zip_member(archive: Path, member: str) -> VirtualFile:
    """A file in a zip.

    Args:
        archive: The zip.
        member: Name of the file in the zip, with slashes.
    """
    # GDAL counts braces, which lets it find the end of a name that has braces itself
    name = str(archive)
    balanced = _end_of_archive(f"{{{name}}}/") == len(name) + 2
    return VirtualFile(f"{_ZIP}{{{name}}}/{member}" if balanced else f"{_ZIP}{name}/{member}")


def file_key(path: ImagePath) -> str:
    """Text that is the same for all paths of a file: through links, relative paths and signatures of URLs.

    It has no credentials: a query that is more than a signature is a hash.
    """
    if isinstance(path, Path):
        return str(path.resolve())
    if path.in_zip is not None:
        return zip_member(path.in_zip[0].resolve(), path.in_zip[1]).dataset
    query = [
        (name, value) for name, value in parse_qsl(urlsplit(path.dataset).query) if not _SIGNATURE.match(name.lower())
    ]
    if not query:
        return str(path)
    from hashlib import sha256

    return f"{path}?{sha256(urlencode(query).encode()).hexdigest()[:16]}"


def local_file(path: ImagePath) -> Path | None:
    """The file of the file system that holds an image: the file itself, or the zip around it; None for a remote one."""
    if isinstance(path, Path):
        return path
    return None if path.in_zip is None else path.in_zip[0]


def local_files(paths: Iterable[ImagePath]) -> list[Path]:
    """The paths that are files of the file system, and the zips of those that lie in one."""
    return [file for path in paths if (file := local_file(path)) is not None]


def path_parts(path: ImagePath) -> tuple[str, ...]:
    """Names of the folders and archives above a file, and of the file."""
    return PurePosixPath(str(path)).parts if isinstance(path, VirtualFile) else path.absolute().parts


def file_uri(path: ImagePath) -> str:
    """URI of a file without credentials: its URL, or ``file://`` and its absolute path."""
    return str(path) if isinstance(path, VirtualFile) else path.resolve().as_uri()


def url_of(text: str) -> str | None:
    """A URL with its scheme in lower case; the slash that :class:`pathlib.Path` drops is restored. None for a path."""
    match = _URL.match(text)
    # a scheme of one letter is a drive of Windows
    return None if match is None else f"{match['scheme'].lower()}://{match['rest']}"


def _end_of_archive(inner: str) -> int:
    """Length of the name of the archive, with its braces, at the beginning of a name behind ``/vsizip/``."""
    if inner.startswith("{"):
        depth = 0
        for position, character in enumerate(inner):
            depth += (character == "{") - (character == "}")
            if depth == 0:
                return position + 1
    ends = [match.end() - 1 for match in re.finditer(r"\.zip(/|$)", inner + "/", re.IGNORECASE)]
    # a folder may be named like an archive, too
    return next((end for end in ends if Path(inner[:end]).is_file()), ends[-1] if ends else len(inner))


def without_credentials(text: str) -> str:
    """A text whose URLs have no user, query and fragment."""
    return _QUERY.sub("", _URL_IN_TEXT.sub(lambda match: match["scheme"] + match["place"], text))
