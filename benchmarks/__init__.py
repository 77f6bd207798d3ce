"""Measurements that the README quotes; each prints a table and writes JSON."""

from s2match.processor import share_processor

# before NumPy and PyTorch are imported: a benchmark is run as the commands are
share_processor()
