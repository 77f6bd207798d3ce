"""The weights that are known by a name and lie in PyTorch's cache, where they are downloaded to."""

import logging
from collections.abc import Callable
from pathlib import Path

import torch
from kornia.feature.loftr.loftr import urls as kornia_urls

from s2match.errors import OutputError, WeightsDownloadError
from s2match.io.download import DownloadError, download
from s2match.io.request_limits import LIMITS, Limits
from s2match.settings import BUNDLED
from s2match.util.atomic_write import create_folder

_LOG = logging.getLogger(__name__)


# What PyTorch's files begin with: a zip, or a pickle before version 1.6.
_BEGINNINGS = (b"PK\x03\x04", b"\x80")


def cached_weights(name: str, report: Callable[[float, str], object] | None = None, limits: Limits = LIMITS) -> Path:
    """File of weights in the cache; they are downloaded to it first if they are not there.

    Args:
        name: One of :data:`s2match.settings.DOWNLOADED`, whose addresses kornia knows.
        report: Is told the fraction of a download, and the megabytes as text; None for nobody.
        limits: Limits on the time.

    Raises:
        WeightsDownloadError: They are not in the cache and cannot be downloaded.
    """
    path = _cache_path(name)
    if path.is_file():
        return path
    _LOG.info("downloading the weights %s to %s", name, path)

    def tell(received: int, size: int | None) -> None:
        if report is not None and size:
            report(received / size, f"{name}, {received / 1e6:.1f} of {size / 1e6:.1f} MB")

    try:
        create_folder(path.parent)
        download(_urls(name), path, tell, limits)
        # such as the page of a network that asks for a password
        if not path.read_bytes().startswith(_BEGINNINGS):
            path.unlink()
            raise DownloadError("what the server sent is no checkpoint")
    except (DownloadError, OutputError) as error:
        raise WeightsDownloadError(
            f"Cannot download the weights {name!r}: {str(error).rstrip('.')}. "
            f"Put the file at {path}, or use --model_pretrained {BUNDLED}, which needs no download."
        ) from error
    return path


def _cache_path(name: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(_urls(name)[0]).name


def _urls(name: str) -> list[str]:
    """Addresses of weights, in the order in which they are tried."""
    urls = kornia_urls[name]
    return [urls] if isinstance(urls, str) else urls
