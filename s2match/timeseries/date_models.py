"""Where the corrected pixels of a date come from: its shift, its file, and the grid that it is written on."""

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.ground_axes import map_step
from s2match.core.projection import apply_transform
from s2match.io.reader import with_radiometry
from s2match.registration.file_model import FileModel, FrameModel
from s2match.registration.verdict import Decision
from s2match.timeseries.choices import Datum
from s2match.timeseries.quick_looks import QuickLook
from s2match.timeseries.result import SeriesResult


def corrected_shift(result: SeriesResult, index: int) -> NDArray[np.float64]:
    """(2,) the shift of a placed image that its correction removes: 0 if its verdict is not *register*."""
    if result.dates[index].verdict is Decision.REGISTER:
        return np.asarray(result.adjustment.shifts[index])
    return np.zeros(2)


def model_of(shift: NDArray[np.float64], onto: Grid, file: Grid) -> FileModel:
    """The translation of a file whose georeference is wrong by a shift.

    Args:
        shift: (2,) east and north in metres, or right and down in pixels without georeference: where the file shows the
            ground, minus where it is.
        onto: The pixels to write, in the reference system of the file.
        file: Every pixel of the file.
    """
    if file.transform is None or onto.transform is None:
        matrix = Affine.translation(*shift)
    elif not shift.any() and one_grid(onto, file):
        # without the rounding of the product below
        matrix = Affine.identity()
    else:
        matrix = ~file.transform @ Affine.translation(*map_step(file, shift)) @ onto.transform
    return FileModel("translation", onto, file, FrameModel(np.array(matrix).reshape(3, 3)), None)


def file_of(result: SeriesResult, index: int) -> Grid:
    """Every pixel of the file of an image, with the radiometry that it is matched with."""
    return with_radiometry(_look(result, index).grid, result.options.settings.read_options)


def common_grids(result: SeriesResult) -> dict[int, int]:
    """Index of the image whose pixels each image is written on, for the images that can be read.

    With the datum of the reference that is the reference, where it shows the same place. Otherwise it is one with the
    pixels that most images of the place have whose verdict is not *register*: so most keep their own pixels.
    """
    options = result.options
    groups: list[list[int]] = []
    for index, look in enumerate(result.quick_looks):
        if isinstance(look, str):
            continue
        own = [group for group in groups if one_grid(_look(result, group[0]).grid, look.grid)]
        if own:
            own[0].append(index)
        else:
            groups.append([index])
    grids: dict[int, int] = {}
    for group in groups:
        place = _look(result, group[0]).grid
        near = [other for other in groups if _same_place(_look(result, other[0]).grid, place)]
        given = [other for other in near if options.datum is Datum.REFERENCE and options.reference in other]
        chosen = (given or [max(near, key=lambda other: _staying(result, other))])[0]
        grids |= dict.fromkeys(group, chosen[0])
    return grids


def _staying(result: SeriesResult, group: list[int]) -> int:
    """Number of placed images of a group that are not moved."""
    return sum(result.dates[index].verdict not in (None, Decision.REGISTER) for index in group)


def one_grid(first: Grid, second: Grid) -> bool:
    """Whether two files have exactly the same pixels on the ground; without georeference, the same size."""
    return first.size == second.size and first.transform == second.transform and first.crs == second.crs


def _same_place(first: Grid, second: Grid) -> bool:
    """Whether two grids have one reference system, size and pixel size, and footprints that overlap by half."""
    if first.size != second.size or first.crs != second.crs or first.georeferenced != second.georeferenced:
        return False
    if first.transform is None or second.transform is None:
        return True
    offset = apply_transform(~first.transform @ second.transform, np.zeros((1, 2)))[0]
    same_pixels = np.allclose((~first.transform @ second.transform)[:2], (1, 0), atol=1e-6)
    return bool(same_pixels and (np.abs(offset) < np.array(first.size) / 2).all())


def _look(result: SeriesResult, index: int) -> QuickLook:
    look = result.quick_looks[index]
    assert isinstance(look, QuickLook), "a placed image was read"
    return look
