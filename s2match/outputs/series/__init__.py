"""Outputs of a series: tables, JSON, STAC Items, figures, an animation, a report page and a summary."""
