"""What to say of a path that is no image file: an address, a product, a folder, an archive, or nothing at all."""

import re
from pathlib import Path

# Where the true-colour image of a SAFE product lies, from the product or from a folder in or just above it.
_IN_PRODUCT = (
    "*_TCI.jp2",
    "*_TCI_10m.jp2",
    "R10m/*_TCI_10m.jp2",
    "IMG_DATA/*_TCI.jp2",
    "IMG_DATA/R10m/*_TCI_10m.jp2",
    "*/IMG_DATA/*_TCI.jp2",
    "*/IMG_DATA/R10m/*_TCI_10m.jp2",
    "GRANULE/*/IMG_DATA/*_TCI.jp2",
    "GRANULE/*/IMG_DATA/R10m/*_TCI_10m.jp2",
    "*.SAFE/GRANULE/*/IMG_DATA/*_TCI.jp2",
    "*.SAFE/GRANULE/*/IMG_DATA/R10m/*_TCI_10m.jp2",
)

_URL = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.+)$", re.IGNORECASE)


def images_in_product(folder: Path) -> list[Path]:
    """The true-colour images of the SAFE products that a folder is, holds, or is a part of, relative to it."""
    found = (path for pattern in _IN_PRODUCT for path in folder.glob(pattern) if not path.name.startswith("."))
    return sorted({path.relative_to(folder) for path in found})


def url_of(path: Path) -> str | None:
    """The address that a path was made of, with both of its slashes; None where it is none."""
    found = _URL.match(str(path))
    # one letter is a drive of Windows
    return None if found is None else f"{found['scheme']}://{found['rest']}"


def why_no_image(path: Path) -> str:
    """Why a path that is no file cannot be read as an image, and what to do: a sentence."""
    url = url_of(path)
    if url is not None:
        return f"{url} is an address, and URLs are not read yet: download the file, and give its path."
    if not path.is_dir():
        return f"There is no file {path}."
    images = images_in_product(path)
    if not images:
        return f"{path} is a folder, not an image."
    what = "a SAFE product" if path.suffix.upper() == ".SAFE" else "a folder"
    more = f" (and {len(images) - 1} more)" if len(images) > 1 else ""
    return f"{path} is {what}, not an image file: its image is {images[0].as_posix()}{more}. Give that file."


def why_no_dataset(folder: Path) -> str:
    """Why a folder is no dataset, and what to do: a sentence."""
    url = url_of(folder)
    if url is not None:
        return f"{url} is an address, and URLs are not read yet: download the images to a folder, and give that."
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        return f"The dataset folder {folder.resolve()} {state}."
    images = images_in_product(folder)
    if not images:
        return f"The dataset folder {folder} holds no *_TCI.jp2 image."
    return (
        f"The dataset folder {folder} holds no *_TCI.jp2 image itself. There are {len(images)} in SAFE products below "
        f"it, such as {images[0].as_posix()}: copy them into one folder, and give that."
    )
