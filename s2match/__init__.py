"""Match and register Sentinel-2 images with LoFTR, in pixels and in metres."""

__version__ = "0.1.0"
