"""Choices of a series that the command line shows; nothing large is imported."""

from enum import StrEnum


class PairMode(StrEnum):
    """How pairs are chosen; the values are those of ``--pairs``."""

    REFERENCE = "reference"
    CONSECUTIVE = "consecutive"
    NETWORK = "network"


class Datum(StrEnum):
    """What the shifts of a series are relative to; the values are those of ``--datum``."""

    MEAN = "mean"
    REFERENCE = "reference"
    GEOREFERENCE = "georeference"
