"""The bundled sample: made-up Sentinel-2-like scenes of made-up ground, the same bytes each time they are made.

The ground is a *paint map*: every 5 m cell holds an index into a palette of parcels and materials. A date is a table
of colours for that palette (crops grow and ripen, woods turn, snow covers), looked up, lit by the sun of the day,
averaged to 10 m, and covered with the haze and the clouds of the day. Each date is rendered once for the whole ground
and cut into tiles, so that overlapping tiles of one date agree exactly.
"""

from s2match.synthetic.dates import render
from s2match.synthetic.ground import make_ground
from s2match.synthetic.takes import SCENES, SceneSpec
from s2match.synthetic.write import EAST_PX, SIZE_PX, write_sample

__all__ = ["EAST_PX", "SCENES", "SIZE_PX", "SceneSpec", "make_ground", "render", "write_sample"]
