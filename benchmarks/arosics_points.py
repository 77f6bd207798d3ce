"""Write tie points of AROSICS between two GeoTIFFs on one pixel grid as CSV; run by an interpreter with AROSICS.

PYTHON -I benchmarks/arosics_points.py REFERENCE.tif TARGET.tif OUT.csv GRID_RES_PX WINDOW_PX MAX_SHIFT_PX

Scheffler et al., "AROSICS: An Automated and Robust Open-Source Image Co-Registration Software for Multi-Sensor
Satellite Data", Remote Sensing 2017. All other options have the defaults of AROSICS. ``-I`` prevents the import of the
module ``arosics`` beside this file.
"""

import sys
import traceback
from pathlib import Path
from typing import Any

import arosics  # type: ignore[import-not-found]

_COLUMNS = ("x0", "y0", "x1", "y1", "reliability")

# Value of AROSICS for points without a shift.
_NO_SHIFT = -9999

# AROSICS and the packages of its author for images and geometries.
_OWN_PACKAGES = {"arosics", "geoarray", "py_tools_ds"}


def tie_points(reference: str, target: str, grid_res_px: int, window_px: int, max_shift_px: int) -> list[list[float]]:
    """Find the tie points that AROSICS does not flag as outliers.

    AROSICS defines a point in the target, at the centre of its window in the GDAL frame, and adds the shift for the
    point in the reference. At the edges of the image the windows are cropped, and the points are off centre.

    Args:
        reference: Path of a single-band image.
        target: Path of a single-band image on the same pixel grid.
        grid_res_px: Distance between points.
        window_px: Side of the windows.
        max_shift_px: Largest shift that is accepted.

    Returns:
        A row for each point: reference pixel (x, y), target pixel (x, y), both in the GDAL frame, and the reliability
        in percent.
    """
    window = (window_px, window_px)
    local = arosics.COREG_LOCAL(
        reference, target, grid_res=grid_res_px, window_size=window, max_shift=max_shift_px, CPUs=None, q=True
    )
    table = local.CoRegPoints_table
    # the column is missing where no point has a shift
    if "OUTLIER" not in table:
        return []
    kept = table[table["OUTLIER"].eq(False) & table["ABS_SHIFT"].ne(_NO_SHIFT)]
    x1, y1, x_shift, y_shift, reliability = (
        kept[name].astype(float) for name in ("X_IM", "Y_IM", "X_SHIFT_PX", "Y_SHIFT_PX", "RELIABILITY")
    )
    points: Any = zip(x1 + x_shift, y1 + y_shift, x1, y1, reliability, strict=True)
    return [list(point) for point in points]


def raised_by_arosics(error: Exception) -> bool:
    """Whether an error was raised by AROSICS itself, not by a library that it uses."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _OWN_PACKAGES


def main() -> None:
    """Find the points and write the CSV; it has no rows where AROSICS fails."""
    reference, target, out, *numbers = sys.argv[1:]
    try:
        rows = tie_points(reference, target, *map(int, numbers))
    except (RuntimeError, AssertionError) as error:
        if not raised_by_arosics(error):
            raise
        print(f"AROSICS failed: {error}", file=sys.stderr)
        rows = []
    with Path(out).open("w", encoding="utf-8") as file:
        for row in (_COLUMNS, *rows):
            print(*row, sep=",", file=file)


if __name__ == "__main__":
    main()
