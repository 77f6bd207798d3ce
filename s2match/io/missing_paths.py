"""Error messages for paths that are not an image file or a dataset: URLs, products, folders, missing files."""

from pathlib import Path

from s2match.core.image_path import VirtualFile, image_path

# Patterns of the true-colour image of a SAFE product, relative to the product or to a folder in or just above it.
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


def images_in_product(folder: Path) -> list[Path]:
    """True-colour images of the SAFE products in a folder, or of the product that it lies in; relative paths."""
    paths = (path for pattern in _IN_PRODUCT for path in folder.glob(pattern) if not path.name.startswith("."))
    return sorted({path.relative_to(folder) for path in paths})


def no_image_message(path: Path) -> str:
    """Error message for a path that is not an image file; names the image inside if it is a product folder."""
    if not path.is_dir():
        return f"There is no file {path}."
    images = images_in_product(path)
    if not images:
        return f"{path} is a folder, not an image."
    kind = "a SAFE product" if path.suffix.upper() == ".SAFE" else "a folder"
    more = f" (and {len(images) - 1} more)" if len(images) > 1 else ""
    return f"{path} is {kind}, not an image file: its image is {images[0].as_posix()}{more}. Give that file."


def no_dataset_message(folder: Path) -> str:
    """Error message for a folder that is not a dataset; names an image if there are SAFE products below it."""
    path = image_path(folder)
    if isinstance(path, VirtualFile):
        return f"{path} is not a folder of this computer: give its images by --images, or download them to a folder."
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        return f"The dataset folder {folder.resolve()} {state}."
    images = images_in_product(folder)
    if not images:
        return f"The dataset folder {folder} contains no *_TCI.jp2 image."
    return (
        f"The dataset folder {folder} contains no *_TCI.jp2 image itself. There are {len(images)} in SAFE products "
        f"below it, such as {images[0].as_posix()}: copy them into one folder, and give that."
    )
