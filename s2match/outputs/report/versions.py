"""Versions of the software that made a result."""

import platform
from importlib.metadata import version

import cv2
import rasterio

from s2match.version import __version__


def versions() -> dict[str, str]:
    """Version by name: s2match, Python, and the libraries that the numbers depend on."""
    packages = {name: version(name) for name in ("torch", "kornia", "numpy", "rasterio", "matplotlib")}
    return {
        "s2match": __version__,
        "Python": platform.python_version(),
        **packages,
        "GDAL": rasterio.__gdal_version__,
        "OpenCV": cv2.__version__,
    }
