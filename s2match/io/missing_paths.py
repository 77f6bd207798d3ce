"""Error messages for paths that are not an image file or a dataset: folders, missing files, several images."""

from collections.abc import Sequence
from pathlib import Path

from s2match.core.image_path import ImagePath, VirtualFile, image_path
from s2match.io.products import Granule

# Most tiles that a message lists.
_LISTED = 12


def no_image_message(path: ImagePath) -> str:
    """Error message for a path that is not an image file."""
    if isinstance(path, VirtualFile) or path.is_file():
        return f"{path} holds no image."
    if not path.is_dir():
        return f"There is no file {path}."
    return f"{path} is a folder, not an image: it holds neither a product of Sentinel-2 nor bands of one."


def several_images_message(path: ImagePath, granules: Sequence[Granule]) -> str:
    """Error message for a folder or a zip that holds several granules."""
    titles = [granule.title for granule in granules]
    more = ", …" if len(titles) > _LISTED else ""
    separate = len({granule.path for granule in granules}) == len(granules)
    place = granules[0].path if separate else granules[0].first_file
    return (
        f"{path} holds {len(granules)} images ({', '.join(titles[:_LISTED])}{more}): give one of them, such as {place}."
    )


def several_products_message(folder: Path, products: Sequence[Path]) -> str:
    """Error message for a folder of products that is given as an image."""
    return (
        f"{folder} is a folder of {len(products)} products, not an image: give one of them, such as {products[0]}, or "
        "choose two by --dataset_path and --indexes_of_images."
    )


def no_dataset_message(folder: Path) -> str:
    """Error message for a folder that is not a dataset."""
    path = image_path(folder)
    if isinstance(path, VirtualFile):
        return f"{path} is not a folder of this computer: give its images by --images, or download them to a folder."
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        return f"The dataset folder {folder.resolve()} {state}."
    return f"The dataset folder {folder} contains no *_TCI.jp2 image, and no product of Sentinel-2."
