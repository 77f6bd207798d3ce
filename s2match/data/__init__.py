"""Weights that are part of the package."""
