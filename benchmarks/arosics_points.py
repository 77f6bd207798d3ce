"""Tie points of AROSICS between two GeoTIFFs on one grid, as CSV: run by an interpreter that has AROSICS.

PYTHON -I benchmarks/arosics_points.py REFERENCE.tif TARGET.tif OUT.csv GRID_RES_PX WINDOW_PX MAX_SHIFT_PX

Scheffler et al., "AROSICS: An Automated and Robust Open-Source Image Co-Registration Software for Multi-Sensor
Satellite Data", Remote Sensing 2017. What the arguments do not set is as AROSICS has it. ``-I`` keeps the modules
beside this file, one of which is called ``arosics`` too, from being imported instead.
"""

import sys
import traceback
from pathlib import Path
from typing import Any

import arosics  # type: ignore[import-not-found]

_COLUMNS = ("x0", "y0", "x1", "y1", "reliability")

# What AROSICS puts where it found nothing.
_NOTHING = -9999

# AROSICS and the two packages of its author that its images and geometries are made with.
_OWN_PACKAGES = {"arosics", "geoarray", "py_tools_ds"}


def tie_points(reference: str, target: str, grid_res_px: int, window_px: int, max_shift_px: int) -> list[list[float]]:
    """Find points that AROSICS does not call outliers.

    AROSICS places a point in the target, in the GDAL frame, at the middle of its window; its shift carries the point to
    the reference. At the edges of the image it cuts the window off, and the point is not in the middle any more.

    Args:
        reference: Path of a single-band image.
        target: Likewise, on the same grid.
        grid_res_px: Between points.
        window_px: Side of the windows.
        max_shift_px: Larger shifts are not believed.

    Returns:
        A row for each point: the reference pixel (x, y), the target pixel (x, y), GDAL frame, and the reliability in
        percent.
    """
    window = (window_px, window_px)
    local = arosics.COREG_LOCAL(
        reference, target, grid_res=grid_res_px, window_size=window, max_shift=max_shift_px, CPUs=None, q=True
    )
    table = local.CoRegPoints_table
    # without a single shift there is nothing to call an outlier
    if "OUTLIER" not in table:
        return []
    kept = table[table["OUTLIER"].eq(False) & table["ABS_SHIFT"].ne(_NOTHING)]
    x1, y1, x_shift, y_shift, reliability = (
        kept[name].astype(float) for name in ("X_IM", "Y_IM", "X_SHIFT_PX", "Y_SHIFT_PX", "RELIABILITY")
    )
    points: Any = zip(x1 + x_shift, y1 + y_shift, x1, y1, reliability, strict=True)
    return [list(point) for point in points]


def raised_by_arosics(error: Exception) -> bool:
    """Whether AROSICS gave up by itself, and not something that it needs."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _OWN_PACKAGES


def main() -> None:
    """Find the points, write the CSV; where AROSICS gives up there are none."""
    reference, target, out, *numbers = sys.argv[1:]
    try:
        rows = tie_points(reference, target, *map(int, numbers))
    except (RuntimeError, AssertionError) as error:
        if not raised_by_arosics(error):
            raise
        print(f"AROSICS gave up: {error}", file=sys.stderr)
        rows = []
    with Path(out).open("w", encoding="utf-8") as file:
        for row in (_COLUMNS, *rows):
            print(*row, sep=",", file=file)


if __name__ == "__main__":
    main()
