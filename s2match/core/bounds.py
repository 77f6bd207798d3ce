"""Bounding boxes in map coordinates."""

# A box of map coordinates: left, bottom, right, top.
Bounds = tuple[float, float, float, float]
