"""Fill the dataset folder from Kaggle, from a folder or zip of SAFE products, or with the bundled sample."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from s2match.dataset.catalog import SAMPLE_FOLDER, open_dataset
from s2match.dataset.folder_source import folder_offers
from s2match.dataset.kaggle import (
    KAGGLE_HANDLE,
    Kaggle,
    KaggleError,
    download_kaggle_set,
    list_kaggle_images,
    read_kaggle_image,
)
from s2match.dataset.offers import Offer, Offers
from s2match.dataset.placing import Prepared, place_offers
from s2match.dataset.zip_source import zip_offers
from s2match.errors import DatasetError, PreparationError
from s2match.io.scene_files import FINEST_PATTERNS, list_scenes

KAGGLE_SOURCE = "kaggle"


def prepare(
    source: str | Path | None,
    folder: Path,
    *,
    full_download: bool = False,
    progress: bool = True,
    kaggle: Kaggle | None = None,
) -> Prepared:
    """Copy the true-colour images of a source to the dataset folder.

    A second run copies only the images that are missing or incomplete.

    Args:
        source: ``"kaggle"``, or a folder or zip of SAFE products, nested in any way. None uses the images of
            ``folder``, or the synthetic sample if it has none.
        folder: The dataset folder; created if it is missing.
        full_download: Download the whole Kaggle dataset (more than 30 GB, kept in kagglehub's cache) where its images
            cannot be downloaded one by one.
        progress: Show a progress bar.
        kaggle: The calls to Kaggle; None for the real ones.

    Returns:
        The images that were copied, skipped and rejected.

    Raises:
        PreparationError: The source cannot be used, or contains different files of the same name.
        OutputError: The dataset folder cannot be written to.
    """
    if source is None:
        return use_present(folder)
    if str(source) == KAGGLE_SOURCE:
        return _prepare_kaggle(folder, kaggle or Kaggle(), full_download=full_download, progress=progress)
    return _prepare_files(Path(source).expanduser(), folder, progress=progress)


def use_present(folder: Path) -> Prepared:
    """Use the images of the dataset folder; where it has none, those of the sample, which is written where missing."""
    try:
        present = _present(folder)
    except DatasetError:
        # imported only where the sample is missing
        from s2match.synthetic import write_sample

        write_sample(folder / SAMPLE_FOLDER)
        present = _present(folder)
        present = replace(present, copied=present.skipped, skipped=())
    kind = "images already there" if present.folder == folder else "bundled synthetic images"
    return replace(present, note=f"No source is set, so nothing was downloaded: these are the {kind}.")


@contextmanager
def found_offers(source: Path, folder: Path) -> Iterator[Offers]:
    """The true-colour images of a folder or a zip, which can be read within the block.

    Args:
        source: A folder, searched with its subfolders, or a zip.
        folder: The dataset folder; its own images are left out if it lies in ``source``.

    Raises:
        PreparationError: ``source`` is missing or damaged, or is neither a folder nor a zip.
    """
    if source.is_dir():
        yield folder_offers(source, folder)
    elif source.is_file() and zipfile.is_zipfile(source):
        with zip_offers(source) as offers:
            yield offers
    elif source.is_file():
        raise PreparationError(f"The source {source} is neither a folder nor a complete zip.")
    else:
        raise PreparationError(f"The source {source} does not exist.")


def _prepare_files(source: Path, folder: Path, *, progress: bool) -> Prepared:
    with found_offers(source, folder) as offers:
        if not offers.images and source.resolve() == folder.resolve() and list_scenes(folder):
            return _present(folder)
        if offers.images or offers.rejected:
            return place_offers(offers, folder, progress=progress)
    raise PreparationError(f"There is no {' or '.join(FINEST_PATTERNS)} image in {source}.")


def _prepare_kaggle(folder: Path, kaggle: Kaggle, *, full_download: bool, progress: bool) -> Prepared:
    try:
        return place_offers(_kaggle_offers(folder, kaggle), folder, progress=progress)
    except KaggleError:
        if not full_download:
            raise
    return _prepare_files(download_kaggle_set(kaggle), folder, progress=progress)


def _present(folder: Path) -> Prepared:
    opened, scenes = open_dataset(folder)
    return Prepared(opened, skipped=tuple(scene.path.name for scene in scenes))


def _kaggle_offers(folder: Path, kaggle: Kaggle) -> Offers:
    # no size: kagglehub checks the length against the headers of the download
    return Offers(
        tuple(
            Offer(
                PurePosixPath(name).name,
                f"{KAGGLE_HANDLE}/{name}",
                None,
                partial(read_kaggle_image, name, folder, kaggle),
            )
            for name in list_kaggle_images(kaggle)
        )
    )
