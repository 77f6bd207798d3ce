"""What the modules of the sample measure and pass around.

Points are float64 arrays (N, 2) of metres (east, south) from the upper left corner of the ground. Images are
(row, column).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Points = NDArray[np.float64]
Paint = NDArray[np.uint16]

PIXEL_M = 10.0
CELL_M = 5.0
