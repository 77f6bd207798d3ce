"""Settings of pyogrio's GDAL, which is not that of rasterio, for remote vector files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rasterio.env import getenv, hasenv

from s2match.core.image_path import ImagePath, gdal_name
from s2match.io.quiet import without_warnings
from s2match.io.remote import PROBE_SETTINGS, is_remote, remote_settings

# Settings of a user's ``rasterio.Env`` that concern remote files; the environment is seen by both.
_NETWORK = re.compile(r"(AWS|GS|AZURE|GOOGLE|OSS|SWIFT|GDAL_HTTP|GDAL_DISABLE|GDAL_INGESTED|CPL_|VSI)")


@contextmanager
def vector_settings(path: ImagePath) -> Iterator[None]:
    """Read a remote vector file within the block with the settings of remote images; they belong to the process."""
    if not is_remote(path):
        yield
        return
    import pyogrio

    of_user = {name: value for name, value in (getenv() if hasenv() else {}).items() if _NETWORK.match(name)}
    settings = remote_settings(path) | of_user
    if "GDAL_DISABLE_READDIR_ON_OPEN" not in of_user:
        # a Shapefile is several files, which GDAL then asks for by name
        settings["GDAL_DISABLE_READDIR_ON_OPEN"] = "TRUE"
    before = {name: pyogrio.get_gdal_config_option(name) for name in settings}
    pyogrio.set_gdal_config_options(settings)
    try:
        # warnings contain URLs with their credentials
        with without_warnings(RuntimeWarning):
            yield
    finally:
        pyogrio.set_gdal_config_options(before)


def forget_vectors(path: ImagePath) -> None:
    """Discard what pyogrio's GDAL has cached of a remote vector file."""
    import pyogrio

    # GDAL discards the cache of a file when it is closed
    settings = {"CPL_VSIL_CURL_NON_CACHED": "/vsi", **PROBE_SETTINGS}
    before = {name: pyogrio.get_gdal_config_option(name) for name in settings}
    pyogrio.set_gdal_config_options(settings)
    try:
        with suppress(RuntimeError):
            pyogrio.list_layers(gdal_name(path))
    finally:
        pyogrio.set_gdal_config_options(before)
