"""Time and memory against stock kornia: the network by stage, and the whole command on two full tiles.

python -m benchmarks.speed [--sizes 512 1098 1536] [--repeats 5] [--skip-tiles]

Every case runs in its own process, for its own peak memory. Stock kornia and s2match alternate, and medians are
compared. The images are those of the bundled sample. The pretrained configuration has random weights, which take as
long as trained ones but match nothing: only the times of ``sentinel2`` contain the fine stage.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from kornia.feature import LoFTR
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.environment import environment
from benchmarks.networks import PRETRAINED, ROOT, network
from benchmarks.result_file import write_result
from benchmarks.speed_tables import REST, table
from benchmarks.tiles import time_tiles
from s2match.io.reader import read_raster
from s2match.io.scene_files import list_scenes
from s2match.loftr.checkpoints import Network
from s2match.loftr.engine import Engine
from s2match.matching.greyscale import prepare
from s2match.util.devices import best_precision, pick_device
from s2match.util.threads import limit_threads

DEFAULT_JSON = ROOT / "benchmarks" / "results" / "speed.json"
CONFIDENCE = 0.2
_GEMM = 2048


@dataclass(frozen=True)
class Case:
    """A case of the benchmark.

    Attributes:
        network: ``sentinel2`` or :data:`PRETRAINED`.
        path: ``stock`` for kornia, ``float32`` or ``half`` for the engine.
        size: Side of both images in pixels.
        repeats: Number of timed passes, after one that is not timed.
    """

    network: str
    path: str
    size: int
    repeats: int


@dataclass(frozen=True)
class Timing:
    """Median times and peak memory of a case.

    Attributes:
        case: The case.
        total_s: Seconds of the network, from two grey images to matches.
        stages_s: Seconds by stage.
        peak_gb: Peak memory of the process with Python and libraries in GiB; on a GPU, of its memory.
        matches: Number of matches above the confidence.
    """

    case: Case
    total_s: float
    stages_s: dict[str, float]
    peak_gb: float
    matches: int


class Clock:
    """Adds up the seconds of wrapped functions by stage."""

    def __init__(self) -> None:
        """Start without any stage."""
        self.spent: dict[str, float] = {}

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is added to a stage."""

        def call(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            result = function(*arguments, **named)
            _wait()
            self.spent[stage] = self.spent.get(stage, 0.0) + time.perf_counter() - begin
            return result

        return call


def images(size: int) -> list[torch.Tensor]:
    """Two dates of the bundled sample as grey images."""
    scenes = list_scenes(ROOT / "dataset" / "sample")
    return [torch.from_numpy(prepare(read_raster(scenes[k].path, (size, size))).grey) for k in (15, 5)]


def stock_pass(net: LoFTR, clock: Clock) -> Callable[[list[torch.Tensor]], int]:
    """A pass of stock kornia on two images, which returns the number of matches."""
    device = next(net.parameters()).device
    net.coarse_matching.thr = CONFIDENCE
    stages = {"backbone": "backbone", "loftr_coarse": "transformer", "coarse_matching": "matching"}
    for module, stage in stages.items():
        submodule = getattr(net, module)
        submodule.forward = clock.timed(stage, submodule.forward)

    def run(pair: list[torch.Tensor]) -> int:
        with torch.inference_mode():
            matches = net({f"image{k}": image[None, None].to(device) for k, image in enumerate(pair)})
        return len(matches["confidence"])

    return run


def engine_pass(loaded: Network, precision: torch.dtype, clock: Clock) -> Callable[[list[torch.Tensor]], int]:
    """A pass of the engine on two images, which returns the number of matches."""
    engine = Engine(loaded.net, pick_device("auto"), precision, loaded.config)
    stages = {"extract": "backbone", "_transform": "transformer", "_coarse_matches": "matching"}
    for method, stage in stages.items():
        setattr(engine, method, clock.timed(stage, getattr(engine, method)))

    def run(pair: list[torch.Tensor]) -> int:
        first, second = (engine.extract(image) for image in pair)
        # as the command does by default
        return len(engine.match(first, second, CONFIDENCE, to_refine=True).confidence)

    return run


def run_case(case: Case) -> Timing:
    """Time a case in this process."""
    clock, loaded, pair = Clock(), network(case.network), images(case.size)
    if case.path == "stock":
        run = stock_pass(loaded.net.to(pick_device("auto")), clock)
    else:
        precision = torch.float32 if case.path == "float32" else best_precision(pick_device("auto"))
        run = engine_pass(loaded, precision, clock)
    run(pair)
    totals, stages = [], []
    for _ in range(case.repeats):
        clock.spent.clear()
        begin = time.perf_counter()
        matches = run(pair)
        _wait()
        totals.append(time.perf_counter() - begin)
        stages.append(clock.spent | {REST: totals[-1] - sum(clock.spent.values())})
    medians = {stage: statistics.median(s[stage] for s in stages) for stage in stages[0]}
    return Timing(case, statistics.median(totals), medians, _peak_gb(), matches)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _peak_gb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_own_process(case: Case) -> Timing:
    """Time a case in its own process."""
    command = [sys.executable, "-m", "benchmarks.speed", "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    timing = json.loads(done.stdout.splitlines()[-1])
    return Timing(**(timing | {"case": case}))


def gemm_gflops(precision: torch.dtype) -> float:
    """Median rate of a matrix product in GFLOP/s."""
    device = pick_device("auto")
    a = torch.randn(_GEMM, _GEMM, device=device, dtype=precision)
    seconds = []
    for _ in range(7):
        begin = time.perf_counter()
        a @ a
        _wait()
        seconds.append(time.perf_counter() - begin)
    return 2 * _GEMM**3 / statistics.median(seconds) / 1e9


def flops(name: str, size: int) -> dict[str, float]:
    """GFLOP by stage of stock kornia for two images of a side in pixels; only stages that are matrix products."""
    net = network(name).net
    counter = FlopCounterMode(display=False)
    # counted on small images: the score matrix scales with the square of the area, the rest with the area
    side = 256
    with counter, torch.inference_mode():
        net({"image0": torch.rand(1, 1, side, side), "image1": torch.rand(1, 1, side, side)})
    counts = {str(module): sum(by_operation.values()) for module, by_operation in counter.get_flop_counts().items()}
    area = (size / side) ** 2
    cells, width = (size // 8) ** 2, net.config["coarse"]["d_model"]
    return {
        "backbone": counts["LoFTR.backbone"] * area / 1e9,
        "transformer": counts["LoFTR.loftr_coarse"] * area / 1e9,
        "matching": 2 * cells**2 * width / 1e9,
    }


@limit_threads()
def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1098, 1536])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-tiles", action="store_true")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(asdict(run_case(Case(**json.loads(arguments.case))))))
        return
    paths = ["stock", "float32"]
    if best_precision(pick_device("auto")) != torch.float32:
        paths.append("half")
    cases = [
        Case(name, path, size, arguments.repeats)
        for name in (PRETRAINED, "sentinel2")
        for size in arguments.sizes
        for path in paths
    ]
    precisions = [torch.float32]
    if "half" in paths:
        precisions.append(torch.bfloat16)
    else:
        print("without half precision, which this processor multiplies no faster than float32")
    result = {
        "environment": environment(pick_device("auto")),
        "gemm_gflops": {str(p).removeprefix("torch."): gemm_gflops(p) for p in precisions},
        "half": str(best_precision(pick_device("auto"))).removeprefix("torch."),
        "gflop": {
            f"{name} {size}": flops(name, size) for name in (PRETRAINED, "sentinel2") for size in arguments.sizes
        },
        "network": [asdict(in_own_process(case)) for case in cases],
        "tiles": [] if arguments.skip_tiles else time_tiles(max(3, arguments.repeats // 2)),
    }
    write_result(arguments.json, result)
    print(table(result))


if __name__ == "__main__":
    main()
