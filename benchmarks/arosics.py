"""AROSICS as a baseline, run by another interpreter: it needs GDAL's own Python bindings.

On Debian 12 with GDAL 3.6, these commands make an environment V with AROSICS:

    apt-get install libgdal-dev && python3 -m venv V
    V/bin/pip install "setuptools<70" wheel "numpy<2" && V/bin/pip install --no-build-isolation gdal==3.6.2
    V/bin/pip install arosics "numpy<2" gdal==3.6.2 && V/bin/pip install --no-deps arosics==1.13.2

AROSICS 1.13.2 and earlier versions have an error: where an earlier filter has flagged points, the flags of the RANSAC
filter are assigned to wrong points, because positions are used as labels of the table's index.
"""

import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.matches import Matches, Provenance
from s2match.core.raster import Raster

_SCRIPT = Path(__file__).with_name("arosics_points.py")

# The points are as dense as those of phase correlation; window and largest shift are the defaults of AROSICS.
_GRID_RES_PX, _WINDOW_PX, _MAX_SHIFT_PX = 32, 256, 5

# Georeference of images that have none.
_TRANSFORM, _CRS = Affine(10, 0, 500_000, 0, -10, 5_600_000), "EPSG:32631"


def match_arosics(python: Path, reference: Raster, target: Raster) -> Matches:
    """Match with local AROSICS: phase correlation in windows around a regular grid, with its outlier filters.

    Args:
        python: Interpreter with AROSICS.
        reference: The reference.
        target: The target, on the same pixel grid.

    Returns:
        The matches in the GDAL frame; none where AROSICS fails. The confidence is its reliability, 0 to 1.

    Raises:
        RuntimeError: The interpreter cannot run AROSICS.
    """
    georeference = (reference.transform, reference.crs) if reference.georeferenced else (_TRANSFORM, _CRS)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("reference.tif", "target.tif", "points.csv")]
        for path, raster in zip(paths, (reference, target), strict=False):
            _write_grey(path, raster, *georeference)
        numbers = (_GRID_RES_PX, _WINDOW_PX, _MAX_SHIFT_PX)
        # isolated: this module has the name of the package and lies beside the script
        command = [str(python), "-I", str(_SCRIPT), *map(str, paths), *map(str, numbers)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"AROSICS does not run in {python}:\n{done.stderr}")
        matches = read_points(paths[-1])
    # shifts may move points at the edges out of the image
    return matches.subset(_inside(matches.xy0, reference) & _inside(matches.xy1, target))


def version_of(python: Path) -> str:
    """Version of AROSICS of an interpreter.

    Raises:
        subprocess.CalledProcessError: The interpreter has no AROSICS.
    """
    command = [str(python), "-I", "-c", "from importlib.metadata import version; print(version('arosics'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def read_points(path: Path) -> Matches:
    """Read the matches that ``arosics_points.py`` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    x0, y0, x1, y1, reliability = (
        np.array([float(row[name]) for row in rows]) for name in ("x0", "y0", "x1", "y1", "reliability")
    )
    origin = Provenance("AROSICS local", "cpu", 0.0)
    return Matches(np.stack([x0, y0], axis=1), np.stack([x1, y1], axis=1), reliability / 100, origin)


def _inside(xy: NDArray[np.float64], raster: Raster) -> NDArray[np.bool_]:
    return np.asarray(((xy >= 0) & (xy < raster.size)).all(axis=1))


def _write_grey(path: Path, raster: Raster, transform: Affine | None, crs: CRS | str | None) -> None:
    """Write the mean of the bands; 0 is nodata, and valid pixels are at least 1."""
    width, height = raster.size
    grey = np.where(raster.valid, np.maximum(raster.image.mean(axis=2, dtype=np.float32), 1), 0)
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "nodata": 0}
    with rasterio.open(path, "w", **profile, transform=transform, crs=crs) as file:
        file.write(grey.astype(np.float32), 1)
