"""What a user asks to be masked, and whether that can be done with a pair of images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from s2match.core.grid import Grid
from s2match.core.mask import Mask, Masking
from s2match.errors import MaskError, OptionError
from s2match.io.masks import clouds_unknown, is_vector, laid_on, misplaced
from s2match.io.missing_paths import url_of
from s2match.io.reader import with_radiometry


def masking_of(paths: Sequence[str | Path], values: Sequence[int] | None = None, clouds: bool = False) -> Masking:
    """What the options of a user ask for.

    Args:
        paths: Files of masks.
        values: Values of the rasters that mask; None: those known for each.
        clouds: Whether saturated cloud is masked, too.

    Raises:
        OptionError: There are values and no raster.
        MaskError: A mask is an address.
    """
    files = [Path(path) for path in paths]
    for path in files:
        url = url_of(path)
        if url is not None:
            raise MaskError(f"The mask {url} is an address, and URLs are not read yet: download the file.")
    if values is not None and all(map(is_vector, files)):
        raise OptionError("Mask values say nothing without a mask that is a raster.")
    return Masking(tuple(Mask(path, None if values is None else tuple(values)) for path in files), clouds)


def masked_grids(reference: Grid, target: Grid, masking: Masking) -> tuple[Grid, Grid]:
    """Two grids that are to be read with masks; each gets those that lie on it.

    Raises:
        MaskError: A mask cannot be read or lies on neither image, or cloud cannot be told from an image.
        UnreadableImageError: A file is missing or is not an image.
    """
    masks: dict[Grid, list[Mask]] = {reference: [], target: []}
    for mask in masking.masks:
        laid = {grid: laid_on(mask, grid) for grid in masks}
        if not any(laid.values()):
            raise misplaced(mask, reference, target)
        for grid, its in laid.items():
            if its is not None:
                masks[grid].append(its)
    if masking.clouds:
        _check_clouds(reference)
        _check_clouds(target)
    first, second = (replace(grid, masking=replace(masking, masks=tuple(masks[grid]))) for grid in (reference, target))
    return first, second


def _check_clouds(grid: Grid) -> None:
    """Refuse images that cloud cannot be told from.

    Raises:
        MaskError: The pixels have no size in metres, or their numbers do not say what is saturated.
    """
    radiometry = with_radiometry(grid).radiometry
    if radiometry is None or radiometry.saturated is None or grid.crs is None:
        raise clouds_unknown(grid)
