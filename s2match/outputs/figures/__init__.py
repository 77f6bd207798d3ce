"""Figures of the report, a module each."""
