"""Types and units of the sample.

Points are (N, 2) float64, metres (east, south) from the upper left corner of the ground. Arrays are (row, column).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Points = NDArray[np.float64]
Paint = NDArray[np.uint16]

PIXEL_M = 10.0
CELL_M = 5.0
