"""Masks of a pair of images: from the options of a user to the masks of each image."""

from collections.abc import Sequence
from dataclasses import replace

from s2match.core.file_pixels import whole_file
from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath
from s2match.core.mask import AUTO, Mask, Masking, PairMasking
from s2match.errors import OptionError
from s2match.io.masks import is_vector, mask_on, misplaced_error, no_cloud_error
from s2match.io.product_masks import with_product_mask
from s2match.io.reader import with_radiometry
from s2match.io.sources import source_path


def masking_of(paths: Sequence[str | ImagePath], values: Sequence[int] | None = None, clouds: bool = False) -> Masking:
    """Masks from the options of a user; no file is opened.

    Args:
        paths: Mask files; ``auto`` for the mask of each image's own product.
        values: Masked values of the rasters; None: the defaults of :mod:`s2match.io.mask_raster`.
        clouds: Whether saturated cloud is masked, too.

    Raises:
        OptionError: There are values and no raster.
        UnreadableImageError: A mask is a URL whose scheme is not read.
    """
    files = [source_path(path) for path in paths if str(path) != AUTO]
    auto = len(files) < len(paths)
    if values is not None and not auto and all(map(is_vector, files)):
        raise OptionError("Mask values have no effect without a raster mask.")
    masked = None if values is None else tuple(values)
    return Masking(tuple(Mask(path, masked) for path in files), clouds, auto, masked if auto else None)


def masked_grids(reference: Grid, target: Grid, masking: Masking | PairMasking) -> tuple[Grid, Grid]:
    """Two grids, each with the masks that overlap it.

    Raises:
        MaskError: A mask cannot be read or does not lie on its image (on either image, if it belongs to both), the
            product of an image has no mask, or the cloud of an image cannot be masked.
        OptionError: Masked values are given, and no mask has values.
        UnreadableImageError: A file is missing or is not an image.
    """
    if isinstance(masking, PairMasking):
        return (
            masked_grid(reference, masking.common, masking.reference),
            masked_grid(target, masking.common, masking.target),
        )
    masks: dict[Grid, list[Mask]] = {reference: [], target: []}
    for mask in masking.masks:
        on_grids = {grid: mask_on(mask, grid) for grid in masks}
        # a mask may lie on the part of an image that is not matched
        if not any(on_grids.values()) and not any(mask_on(mask, whole_file(grid)) for grid in masks):
            raise misplaced_error(mask, reference, target)
        for grid, on_grid in on_grids.items():
            if on_grid is not None:
                masks[grid].append(on_grid)
    if masking.clouds:
        _check_clouds(reference)
        _check_clouds(target)
    first, second = (replace(grid, masking=replace(masking, masks=tuple(masks[grid]))) for grid in (reference, target))
    first, second = _with_product_mask(first), _with_product_mask(second)
    if masking.auto_values is not None:
        _check_values(first, second)
    return first, second


def _check_values(*grids: Grid) -> None:
    """Check that masked values apply to one of the masks.

    Raises:
        OptionError: All masks are polygons or the cloud masks of Level-1C, which have no such values.
    """
    if all(mask.values is None or is_vector(mask.path) for grid in grids for mask in grid.masking.masks):
        raise OptionError(
            "Mask values have no effect: they choose classes of a Scene Classification, and the products have none."
        )


def masked_grid(grid: Grid, common: Masking, own: Sequence[Mask] = ()) -> Grid:
    """A grid with its own masks, and with those of all images that overlap it.

    Args:
        grid: The image.
        common: Masks of all images.
        own: Masks of this image.

    Raises:
        MaskError: A mask cannot be read, an own one does not lie on the image, or its cloud cannot be masked.
        UnreadableImageError: The image is missing or is not an image.
    """
    masks = [on_grid for mask in common.masks if (on_grid := mask_on(mask, grid)) is not None]
    for mask in own:
        on_grid = mask_on(mask, grid)
        if on_grid is not None:
            masks.append(on_grid)
        elif not mask.of_product and mask_on(mask, whole_file(grid)) is None:
            raise misplaced_error(mask, grid)
    if common.clouds:
        _check_clouds(grid)
    return _with_product_mask(replace(grid, masking=replace(common, masks=tuple(masks))))


def _with_product_mask(grid: Grid) -> Grid:
    """A grid with the mask of its product, if its masking asks for it."""
    return with_product_mask(grid, grid.masking.auto_values) if grid.masking.auto else grid


def _check_clouds(grid: Grid) -> None:
    """Check that the cloud of an image can be masked.

    Raises:
        MaskError: The image has no CRS, or its radiometry no saturated grey level.
    """
    radiometry = with_radiometry(grid).radiometry
    if radiometry is None or radiometry.saturated is None or grid.crs is None:
        raise no_cloud_error(grid)
