"""The mask of an image's own product: its Scene Classification, or the cloud mask of Level-1C."""

from dataclasses import replace

from s2match.core.grid import Grid
from s2match.core.mask import Mask
from s2match.core.scene import Scene
from s2match.errors import MaskError
from s2match.io.band_files import band_of
from s2match.io.mask_raster import frame_of
from s2match.io.masks import is_vector, mask_on, misplaced_error
from s2match.io.polygons import read_polygons
from s2match.io.products import SCENE_CLASSIFICATION, granule_of


def product_mask(scene: Scene, values: tuple[int, ...] | None = None) -> Mask | None:
    """The mask beside an image in its product; None if there is none.

    Args:
        scene: The image.
        values: Values of a Scene Classification that are masked; None for the default ones.

    Raises:
        UnreadableImageError: The zip of the product cannot be read.
    """
    granule = granule_of(scene.path)
    masks = () if granule is None else granule.cloud_masks
    if not masks:
        return None
    values = values if band_of(masks[0]) == SCENE_CLASSIFICATION else None
    return Mask(masks[0], values, of_product=True)


def no_product_mask_message(scene: Scene) -> str:
    """Message for an image without a mask, without a full stop."""
    return f"{scene.path.name} has neither a Scene Classification nor a cloud mask in a product"


def with_product_mask(grid: Grid, values: tuple[int, ...] | None = None) -> Grid:
    """A grid with the mask of its own product, and a note that names it.

    Args:
        grid: The image.
        values: Values of a Scene Classification that are masked; None for the default ones.

    Raises:
        MaskError: The product has no mask, or it cannot be read, or does not lie on the image.
        UnreadableImageError: The zip of the product cannot be read.
    """
    mask = product_mask(grid.scene, values)
    if mask is None:
        raise MaskError(
            f"{no_product_mask_message(grid.scene)}: --mask auto needs one; --mask FILE takes one from another file."
        )
    if is_vector(mask.path) and grid.crs is not None:
        # a mask of an image without cloud has no polygon
        frame = frame_of(grid)
        mask = replace(mask, polygons=read_polygons(mask.path, frame.bounds, frame.crs))
    elif mask_on(mask, grid) is None:
        raise misplaced_error(mask, grid)
    masking = replace(grid.masking, masks=(*grid.masking.masks, mask), auto=False)
    return replace(grid, masking=masking, notes=(*grid.notes, f"masked by {mask.path.name} of its product"))
