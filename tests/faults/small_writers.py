"""Writes files of each kind under limits on their size, each in a copy of this process; prints what is left as JSON.

python small_writers.py FOLDER SIZES
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from conftest import GRID, UTM, texture, write_geotiff
from matplotlib.figure import Figure
from pairs import shifted_pair
from rasterio.windows import Window as RasterioWindow

import s2match
from s2match.core.window import Window
from s2match.errors import OutputError
from s2match.io.cog import Block, Layout, write_cog
from s2match.io.open_file import opened
from s2match.io.plain_geotiff import Bands, write_bands
from s2match.io.vector_layers import read_layers, write_layers
from s2match.outputs.facts import write_json
from s2match.tiepoints.formats import write_tie_points
from s2match.tiepoints.points import tie_points_of
from s2match.util.standard_streams import use_safe_streams

# Tiles without padding, so that the compressed file with overviews is larger than the tiles that it is made from.
SIDE = 1024


def writers(folder: Path) -> dict[str, Callable[[Path], object]]:
    """A function that writes a file, for the name of each file."""
    result = shifted_pair()
    points = tie_points_of(result)
    source = write_geotiff(folder / "source.tif", np.random.default_rng(0).integers(0, 255, (1, SIDE, SIDE), np.uint8))
    write_tie_points(points, folder / "source.gpkg")
    layers = read_layers(folder / "source.gpkg")
    bands = Bands(np.stack([texture(300, 300)] * 2).astype(np.float32), GRID, UTM, ("a", "b"), "m")

    def cog(path: Path, masked: bool = False) -> None:
        with opened(source) as file:
            layout = Layout((SIDE, SIDE), GRID, UTM, None if masked else 0.0, masked, classes=False)

            def pixels(window: Window) -> Block:
                area = RasterioWindow(window.x, window.y, window.width, window.height)
                values = file.read(window=area)
                return Block(window, values, values[0] > 9)

            write_cog([file], layout, partial(map, pixels), path, 512)

    return {
        "cog.tif": cog,
        "masked.tif": lambda path: cog(path, masked=True),
        "bands.tif": lambda path: write_bands(bands, path),
        "layers.gpkg": lambda path: write_layers(path, layers),
        "figure.png": lambda path: s2match.save_figure(Figure((4, 3)), path),
        "result.json": lambda path: write_json(result, path),
        **{f"points{suffix}": lambda path: write_tie_points(points, path) for suffix in (".gpkg", ".csv", ".parquet")},
    }


def outcome(write: Callable[[Path], object], path: Path, limit: int, whole: bytes) -> str:
    """``whole``, ``refused`` or what is wrong, when a file is written over an old one under a limit, bytes."""
    path.write_text("old")
    read, end = os.pipe()
    child = os.fork()
    if not child:
        message = ""
        try:
            use_safe_streams()
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            write(path)
        except OutputError:
            message = "refused"
        except BaseException as error:
            message = repr(error)
        finally:
            os.write(end, message.encode())
            os._exit(0)
    os.close(end)
    with os.fdopen(read) as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    kept = path.read_bytes()
    if message not in ("", "refused") or list(path.parent.glob(".*")):
        return message or "left"
    return (message or "whole") if kept == (b"old" if message else whole) else f"{message or 'written'}, damaged"


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    outcomes = {}
    for name, write in writers(folder).items():
        path = folder / name
        write(path)
        whole = path.read_bytes()
        # most of them where the file is closed
        sizes = [len(whole) * part for part in (0.1, 0.5, 0.9)] + [len(whole) * 1.3 + 65536]
        sizes += [len(whole) - step for step in np.geomspace(1, min(70_000, len(whole) - 1), count - len(sizes))]
        outcomes[name] = {int(size): outcome(write, path, int(size), whole) for size in sorted(sizes)}
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
