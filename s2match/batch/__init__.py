"""Many pairs of images: lists of pairs, finished pairs on disk, and a table of all."""
