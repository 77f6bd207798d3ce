"""The bundled sample: synthetic scenes like those of Sentinel-2; the same seed gives the same bytes.

The ground is a *paint map*: each cell of 5 m is an index into a palette of parcels and materials. The palette of a date
has the colours of crops, woods and snow on that day. The coloured ground is shaded by the sun, averaged to 10 m and
covered with haze and clouds. Each date is rendered once for the whole ground and cut into tiles, so that overlapping
tiles of the same date are identical before compression.
"""

from s2match.synthetic.dates import render
from s2match.synthetic.ground import make_ground
from s2match.synthetic.specs import SCENES, SceneSpec
from s2match.synthetic.write import EAST_PX, SIZE_PX, write_sample

__all__ = ["EAST_PX", "SCENES", "SIZE_PX", "SceneSpec", "make_ground", "render", "write_sample"]
