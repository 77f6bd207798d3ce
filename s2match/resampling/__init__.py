"""Resampling of arrays."""
