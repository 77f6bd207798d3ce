"""The version: the package's metadata, reports and JSON all take it from here."""

__version__ = "0.2.0"
