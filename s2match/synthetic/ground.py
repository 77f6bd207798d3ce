"""The ground of both tiles, which is the same on all dates."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.brush import drawing_units
from s2match.synthetic.landscape import paint_brooks, paint_details, paint_lakes, paint_river, paint_woods, river_line
from s2match.synthetic.materials import INDEX
from s2match.synthetic.parcels import Mosaic, cut_mosaic, mean_by_parcel, paint_parcels
from s2match.synthetic.settlements import paint_roads, paint_settlement, road_lines, settlement_centres
from s2match.synthetic.shapes import noise
from s2match.synthetic.units import CELL_M, Floats, Paint


@dataclass(frozen=True)
class Ground:
    """The ground in cells of 5 m.

    Attributes:
        paint: (H, W) palette index of each cell.
        texture: (H, W) factor of brightness around 1, for canopies, tramlines and grain.
        soil: (H, W) standard normal field of pale and dark soil.
        slope: (2, H, W) slope towards east and south, dimensionless.
        parcels: Number of parcels in the palette.
        floodplain: (parcels,) whether a parcel is permanent grassland.
    """

    paint: Paint
    texture: Floats
    soil: Floats
    slope: Floats
    parcels: int
    floodplain: NDArray[np.bool_]


def make_ground(size: int, east: int, seed: int) -> Ground:
    """Make the ground of both tiles.

    Args:
        size: Side of a tile in 10 m pixels.
        east: Column of the western tile at which the eastern tile begins.
        seed: Seed of the random numbers.

    Returns:
        The ground.
    """
    rng = np.random.default_rng([seed, size])
    shape = (2 * size, 2 * (size + east))
    extent = np.array([shape[1], shape[0]]) * CELL_M
    mosaic, river = cut_mosaic(rng, extent), river_line(rng, extent)
    parcels = len(mosaic.polygons)
    paint = paint_parcels(rng, shape, mosaic)
    mask = np.zeros(shape, np.uint8)
    cv2.polylines(mask, [drawing_units(river)], False, 1, 10, cv2.LINE_8, 4)
    slope, river_distance_m = _relief(rng, shape, mask)
    floodplain = mean_by_parcel(paint, river_distance_m, parcels) < 170
    paint_woods(rng, paint, parcels)
    paint_details(rng, paint, extent)
    paint_brooks(rng, paint, extent, river)
    paint_river(rng, paint, extent, river)
    paint_lakes(rng, paint, extent)
    centres = settlement_centres(rng, extent)
    paint_roads(rng, paint, extent, road_lines(rng, extent, centres))
    for rank, centre in enumerate(centres):
        radius = rng.uniform(480, 760) if rank % 9 == 0 else 10 ** rng.uniform(1.9, 2.5)
        paint_settlement(rng, paint, centre, min(radius, extent[1] / 4), rng.uniform(0, np.pi))
    return Ground(paint, _texture(rng, paint, mosaic), noise(rng, shape, 300, 6, 1.2), slope, parcels, floodplain)


def _texture(rng: np.random.Generator, paint: Paint, mosaic: Mosaic) -> Floats:
    """Factor of brightness: crowns in woods, tramlines and patches on fields, grain elsewhere."""
    shape = (paint.shape[0], paint.shape[1])
    parcels = len(mosaic.polygons)
    grain = noise(rng, shape, 12, 2, 0.5)
    crowns = 0.17 * noise(rng, shape, 10, 3, 0.3) + 0.1 * noise(rng, shape, 120, 10, 1)
    inside = paint < parcels
    parcel = np.minimum(paint, parcels - 1)
    angle, spacing = mosaic.angles[parcel], rng.uniform(20, 46, parcels).astype(np.float32)[parcel]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) * CELL_M
    lines = np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / spacing)
    strength = (rng.gamma(2, 0.016, parcels).astype(np.float32))[parcel]
    fields = strength * lines + 0.035 * grain + 0.03 * noise(rng, shape, 60, 8, 1)
    wooded = (paint == INDEX["conifer"]) | (paint == INDEX["broadleaf"])
    water = (paint == INDEX["river"]) | (paint == INDEX["lake"])
    rest = np.where(water, 0.01, 0.06).astype(np.float32) * grain
    return np.asarray(1 + np.where(wooded, crowns, np.where(inside, fields, rest)), np.float32)


def _relief(rng: np.random.Generator, shape: tuple[int, int], river: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Slope (2, H, W) of the ground with a valley at the river, and distance (H, W) to the river in metres."""
    distance_m = cv2.distanceTransform(1 - river, cv2.DIST_L2, 5) * np.float32(CELL_M)
    height = 26 * noise(rng, shape, 1200, 30, 2.0) * np.clip(distance_m / 1500, 0.05, 1) + 18 * np.tanh(
        distance_m / 700
    )
    height = cv2.GaussianBlur(height, (0, 0), 4)
    south, east = np.gradient(height, CELL_M)
    return np.stack([east, south]).astype(np.float32), distance_m
