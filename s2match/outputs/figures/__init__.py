"""Figures of a result: one module each, in one style."""
