"""How the sentinel2 weights were made: pairs with exact truth out of a user's own images, and the training itself."""

from s2match.processor import share_processor

# before PyTorch is imported: the workers that make pairs share the cores with what trains
share_processor()
