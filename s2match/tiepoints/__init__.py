"""Matches as tie points and their file formats."""
