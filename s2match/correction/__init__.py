"""Corrected files, and the agreement before and after."""
