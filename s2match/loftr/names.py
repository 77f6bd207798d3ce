"""Names of weights; importing them does not import PyTorch."""

# The weights in the package's ``data`` folder.
BUNDLED = "sentinel2"
