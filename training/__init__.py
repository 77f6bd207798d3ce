"""Training of the sentinel2 weights: pairs with exact truth from any Sentinel-2 images, losses, validation."""
