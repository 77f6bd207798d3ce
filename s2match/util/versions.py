"""Versions of the software that makes a result."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import cv2
import rasterio

from s2match.version import __version__


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Version by name: s2match, Python, the packages, GDAL and OpenCV.

    Args:
        packages: Names of distributions; one that is missing has the version "not installed".
    """
    return {
        "s2match": __version__,
        "Python": platform.python_version(),
        **{package: _version_of(package) for package in packages},
        "GDAL": rasterio.__gdal_version__,
        "OpenCV": cv2.__version__,
    }


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
