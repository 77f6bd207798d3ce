"""How the sentinel2 weights were made: pairs with exact truth out of a user's own images, and the training itself."""
