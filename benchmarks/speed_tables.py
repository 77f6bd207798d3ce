"""Markdown tables from the JSON of :mod:`benchmarks.speed`."""

from typing import Any

from benchmarks.markdown import ratio, row

REST = "fine stage"
_STAGES = ("backbone", "transformer", "matching", REST)
_HEAD = ["network, size", "path", "time", "memory", *_STAGES]


def table(result: dict[str, Any]) -> str:
    """Markdown tables of the network at every size, and of the whole command."""
    rate = ", ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in result["gemm_gflops"].items())
    lines = [
        f"Matrix products on this machine: {rate}.",
        "",
        row(_HEAD),
        "|---|---|---:|" + "---:|" * (len(_HEAD) - 3),
    ]
    stock = {}
    for timing in result["network"]:
        case = timing["case"]
        key = (case["network"], case["size"])
        if case["path"] == "stock":
            stock[key] = timing
        lines.append(row(_network_cells(result, timing, stock[key])))
    if result["tiles"]:
        lines += ["", row(["two full tiles, whole command", "path", "time", "memory"]), "|---|---|---:|---:|"]
    for tile in result["tiles"]:
        base = next(r for r in result["tiles"] if r["network"] == tile["network"] and r["path"] == "stock")
        faster = ratio(base["total_s"] if tile["path"] != "stock" else None, tile["total_s"])
        lines.append(
            row([tile["network"], tile["path"], f"{tile['total_s']:.1f} s{faster}", f"{tile['peak_gb']:.2f} GB"])
        )
    return "\n".join(lines)


def _network_cells(result: dict[str, Any], timing: dict[str, Any], stock: dict[str, Any]) -> list[str]:
    """Cells of times and of ratios to stock kornia; stages that are matrix products have their lower bound."""
    case, compared = timing["case"], timing is not stock
    faster, less = (ratio(stock[figure] if compared else None, timing[figure]) for figure in ("total_s", "peak_gb"))
    path = result["half"] if case["path"] == "half" else case["path"]
    gflop = result["gflop"][f"{case['network']} {case['size']}"]
    rate = result["gemm_gflops"]["bfloat16" if case["path"] == "half" else "float32"]
    cells = [f"{case['network']}, {case['size']}", path, f"{_time(timing['total_s'])}{faster}"]
    cells.append(f"{timing['peak_gb']:.2f} GB{less}")
    for stage in _STAGES:
        seconds = timing["stages_s"].get(stage, 0.0)
        # the scores stay in float32
        bound = gflop.get(stage, 0.0) / (result["gemm_gflops"]["float32"] if stage == "matching" else rate)
        cells.append(_time(seconds) + (f" (bound {_time(bound)})" if bound else ""))
    return cells


def _time(seconds: float) -> str:
    """A time for people, in milliseconds where it is short."""
    return f"{1000 * seconds:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
