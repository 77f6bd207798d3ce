"""Matches to a registration: models, their choice, uncertainty and verdict."""
