"""Names of weights."""

# The weights that come with the project.
BUNDLED = "sentinel2"
