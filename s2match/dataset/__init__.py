"""The dataset folder: list its images, pick a pair, prepare it from a source."""
