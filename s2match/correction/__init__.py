"""Corrected files, and what the correction brought."""
