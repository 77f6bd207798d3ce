"""Train LoFTR weights on folders of Sentinel-2 images.

python -m training.train --data FOLDER... --out state.pt [--resume state.pt] [--minutes 60 | --steps 5000]

Beside ``state.pt``, from which training resumes, the averaged weights are written as ``state.safetensors``; they are
what ``model_inference.py`` and kornia load. ``state.csv`` and ``state.png`` are the learning curves. Images of
``split.json`` are never opened, and those of ``--hold-out`` are used for validation only.
"""

import argparse
import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from kornia.feature import LoFTR
from kornia.feature.loftr.loftr import default_cfg

from s2match.loftr.checkpoints import load_network, save_weights
from s2match.loftr.config import MatchingConfig
from s2match.util.atomic_write import atomic_write
from s2match.util.devices import best_precision, pick_device, wide_half
from s2match.util.threads import limit_threads
from training.calibrate import calibrate
from training.loading import Recipe, batches
from training.losses import Step, run
from training.progress import Row, read_rows, row_of, write_rows
from training.scenes import Stack, list_images, load_stacks, matches_any
from training.validate import HELD_OUT, SAME_PLACE, held_out_checks

FINE_LAYERS = ("fine_preprocess", "loftr_fine", "backbone.layer1_outconv", "backbone.layer2_outconv")
_RESTARTED = ("fine_preprocess.merge_feat", "loftr_fine")
PIXEL_CENTRE = 0.0
# Matching as the losses train it: confidence summed over neighbouring cells, and several fine iterations.
CONFIG = MatchingConfig(neighbourhood=True, fine_iterations=3)
SCRATCH = "scratch"
# Steps between measurements of recall and precision.
_WATCH_EVERY = 5
# From scratch, the fine stage is restarted after this fraction of the training.
_RESTART = 0.5
_FINAL_LR = 0.03
# A restarted fine stage: logit of identical features, and the factor on the old layers.
_PEAK, _KEPT = 15.0, 0.05


@dataclass(frozen=True)
class Plan:
    """Hyperparameters and schedule.

    Attributes:
        lr: Peak learning rate of the backbone and the coarse stage.
        fine_lr: Peak learning rate of the fine stage.
        fine_weight: Weight of the fine stage's loss.
        fine_only: Train the layers of the fine stage alone.
        steps: Total number of steps; None: limited by ``minutes``.
        minutes: Minutes of this run.
        stop: Interrupt at this step of ``steps``, to be resumed.
        warmup: Steps over which the learning rate rises.
        average: Decay of the running average of the weights.
        save_minutes: Minutes between checkpoints.
        log_steps: Steps between lines of the log.
        restart: Fraction of the training after which the fine stage is restarted (:func:`restart_fine`), because it
            compares the backbone's features, which are random at first. 0: at once; None: never.
        freeze_norm: Fix the statistics of batch normalisation, so that the network trains as it matches; with a
            restart, from then on.
        workers: Processes that prepare batches; 0: they are prepared in the training process.
    """

    lr: float = 2e-4
    fine_lr: float = 6e-4
    fine_weight: float = 1.0
    fine_only: bool = False
    steps: int | None = None
    minutes: float = 60.0
    stop: int | None = None
    warmup: int = 50
    average: float = 0.998
    save_minutes: float = 4.0
    log_steps: int = 25
    restart: float | None = None
    freeze_norm: bool = True
    workers: int = 1


@dataclass
class State:
    """State of a training, as written to checkpoints.

    Attributes:
        net: The network.
        average: The running average of its weights.
        optimizer: The optimizer with its state.
        step: Number of steps done.
        minutes: Training time so far.
        restarted: Whether the fine stage has been restarted.
        rows: Learning curves up to this step.
    """

    net: LoFTR
    average: LoFTR
    optimizer: torch.optim.Optimizer
    step: int = 0
    minutes: float = 0.0
    restarted: bool = False
    rows: list[Row] = field(default_factory=list)


def small_config() -> dict[str, Any]:
    """Configuration of a LoFTR with 2.0 instead of kornia's 11.6 million parameters."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)
    config["resnetfpn"] = {"initial_dim": 32, "block_dims": [32, 64, 128]}
    config["coarse"].update(d_model=128, d_ffn=128, layer_names=["self", "cross"] * 3, temp_bug_fix=True)
    config["fine"].update(d_model=32, d_ffn=32)
    return config


def start(init: str, plan: Plan, device: torch.device) -> State:
    """State at the beginning of a training.

    Args:
        init: Name or path of weights, or :data:`SCRATCH`.
        plan: Hyperparameters.
        device: Device to train on.

    Raises:
        ValueError: The weights were trained in another pixel frame than this training uses.
    """
    if init == SCRATCH:
        net = LoFTR(None, small_config())
    else:
        network = load_network(init)
        net = network.net
        if network.pixel_centre != PIXEL_CENTRE:
            raise ValueError(f"{init} puts pixel centres at {network.pixel_centre}, this training at {PIXEL_CENTRE}.")
    net = net.to(device=device, memory_format=torch.channels_last)
    return State(net, copy.deepcopy(net).eval(), _optimizer(net, plan))


@torch.no_grad()
def restart_fine(net: LoFTR, image: torch.Tensor) -> None:
    """Reset the fine stage so that it compares the backbone's features by their cosine similarity.

    The merging layer becomes the identity on the fine features, scaled to unit length. The first transformer layer
    passes them through its ReLU as a positive and a negative part, and its norm makes them unit vectors, with a gain
    for heatmaps that are neither flat nor a single peak. The attention's contribution starts small, so that gradients
    reach the backbone directly.

    Args:
        net: The network, changed in place.
        image: (N, 1, H, W) images that give the scale of the features.
    """
    features = net.backbone.eval()(image)[1]
    width = features.shape[1]
    one, zero = torch.eye(width, device=image.device), torch.zeros(width, width, device=image.device)
    merge = net.fine_preprocess.merge_feat
    merge.weight.mul_(_KEPT / width**0.5).add_(torch.cat([one / features.norm(dim=1).median(), zero], 1))
    merge.bias.zero_()
    for k, layer in enumerate(net.loftr_fine.layers):
        layer.norm2.weight.fill_((_PEAK / width**0.5) ** 0.5 if k == 0 else _KEPT)
        layer.norm2.bias.zero_()
    first = net.loftr_fine.layers[0].mlp
    first[0].weight.mul_(_KEPT).add_(torch.cat([torch.cat([one, zero], 1), torch.cat([-one, zero], 1)]))
    first[2].weight.mul_(_KEPT).add_(torch.cat([one, -one], 1))


def _restart(state: State, images: torch.Tensor) -> None:
    """Restart the fine stage of a training."""
    restart_fine(state.net, images)
    state.average.load_state_dict(state.net.state_dict())
    # the optimizer's moments belong to the old layers
    for name, parameter in state.net.named_parameters():
        if name.startswith(_RESTARTED):
            state.optimizer.state.pop(parameter, None)
    state.restarted = True


def _optimizer(net: LoFTR, plan: Plan) -> torch.optim.Optimizer:
    """AdamW with a group of the fine stage's parameters and one of all others."""
    fine = [p for name, p in net.named_parameters() if name.startswith(FINE_LAYERS)]
    rest = [p for name, p in net.named_parameters() if not name.startswith(FINE_LAYERS)]
    for parameter in rest:
        parameter.requires_grad_(not plan.fine_only)
    return torch.optim.AdamW([{"params": rest, "peak": plan.lr}, {"params": fine, "peak": plan.fine_lr}], lr=plan.lr)


def save(state: State, out: Path) -> None:
    """Write the checkpoint, and the averaged weights beside it as ``.safetensors``."""
    with atomic_write(out) as partial:
        torch.save(
            {
                "config": state.net.config,
                "state_dict": state.net.state_dict(),
                "average": state.average.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "step": state.step,
                "minutes": state.minutes,
                "restarted": state.restarted,
            },
            partial,
        )
    save_weights(state.average, PIXEL_CENTRE, out.with_suffix(".safetensors"), CONFIG)


def resume(path: Path, plan: Plan, device: torch.device) -> State:
    """State of a checkpoint of :func:`save`, with the learning curves beside it.

    Args:
        path: The checkpoint.
        plan: Hyperparameters; the peak learning rates replace those of the checkpoint.
        device: Device to train on.
    """
    checkpoint = torch.load(path, map_location=device, weights_only=True)
    net = LoFTR(None, checkpoint["config"])
    net.load_state_dict(checkpoint["state_dict"])
    net = net.to(device=device, memory_format=torch.channels_last)
    average = copy.deepcopy(net).eval()
    average.load_state_dict(checkpoint["average"])
    step, minutes, restarted = (checkpoint[name] for name in ("step", "minutes", "restarted"))
    rows = read_rows(path.with_suffix(".csv"))
    state = State(net, average, _optimizer(net, plan), step, minutes, restarted, rows)
    state.optimizer.load_state_dict(checkpoint["optimizer"])
    for group, peak in zip(state.optimizer.param_groups, (plan.lr, plan.fine_lr), strict=True):
        group["peak"] = peak
    return state


@limit_threads()
def train(state: State, stacks: Sequence[Stack], recipe: Recipe, plan: Plan, out: Path) -> State:
    """Train from a state to the end of the plan, and write checkpoints on the way.

    Args:
        state: The beginning, changed in place.
        stacks: Images to cut pairs from.
        recipe: Parameters of the batches.
        plan: Hyperparameters and schedule.
        out: Checkpoint to write.

    Returns:
        The state at the end.
    """
    device = next(state.net.parameters()).device
    begin = saved = time.monotonic()
    first, before, log = state.step, state.minutes, []
    # steps after the resumed checkpoint are repeated
    rows = state.rows = [row for row in state.rows if row.step <= first]
    with batches(stacks, recipe, state.step, plan.workers) as source:
        for batch in source:
            spent = (time.monotonic() - begin) / 60
            done = state.step / plan.steps if plan.steps else spent / plan.minutes
            if done >= 1 or state.step == plan.stop:
                break
            if plan.restart is not None and done >= plan.restart and not state.restarted:
                _restart(state, batch.images.to(device))
            log.append(advance(state, batch.to(device), plan, done, state.step - (0 if plan.steps else first)))
            state.minutes = before + (time.monotonic() - begin) / 60
            if state.step % plan.log_steps == 0:
                rows.append(row_of(state.step, state.minutes, log))
                print(rows[-1], flush=True)
                log = []
            if time.monotonic() - saved > 60 * plan.save_minutes:
                write_rows(rows, out.with_suffix(".csv"))
                save(state, out)
                saved = time.monotonic()
    write_rows(rows, out.with_suffix(".csv"))
    save(state, out)
    return state


def advance(state: State, batch: Any, plan: Plan, done: float, since: int) -> Step:
    """One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with a cosine schedule.

    Args:
        state: The state, changed in place.
        batch: Pairs, on the network's device.
        plan: Hyperparameters.
        done: Fraction of the training that is done, 0 to 1.
        since: Steps since the start of the schedule, for the warm-up.

    Returns:
        Losses and figures before the step.
    """
    fall = _FINAL_LR + (1 - _FINAL_LR) * (1 + math.cos(math.pi * done)) / 2
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * fall * min(1.0, (since + 1) / plan.warmup)
    state.net.train()
    if plan.freeze_norm and (plan.restart is None or state.restarted):
        for module in state.net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    # gradients exceed the range of float16
    device = batch.images.device
    amp = None if torch.float32 in (best_precision(device), wide_half(device)) else torch.bfloat16
    step = run(state.net, batch, amp, plan.fine_only, watch=state.step % _WATCH_EVERY == 0)
    state.optimizer.zero_grad()
    loss = plan.fine_weight * step.fine + (0 if plan.fine_only else step.coarse)
    # a batch of pairs of different places alone has no gradient for the fine stage
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    for group in state.optimizer.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    state.optimizer.step()
    state.step += 1
    _average(state, plan.average)
    return Step(*(getattr(step, field.name).detach() for field in fields(Step)))


@torch.no_grad()
def _average(state: State, decay: float) -> None:
    """Update the running average of the weights; early on with less decay, so that the initial weights vanish."""
    decay = min(decay, (state.step + 1) / (state.step + 10))
    average, new = state.average.state_dict(), state.net.state_dict()
    floats = [name for name in average if average[name].is_floating_point()]
    torch._foreach_lerp_([average[name] for name in floats], [new[name] for name in floats], 1 - decay)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, load the images and train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of images, searched recursively")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write, .pt")
    parser.add_argument("--resume", type=Path, help="checkpoint to resume")
    parser.add_argument("--init", default="sentinel2", help=f"weights to start from, or {SCRATCH!r}")
    parser.add_argument("--same-place", nargs="*", default=SAME_PLACE, metavar="PATTERN")
    parser.add_argument("--hold-out", nargs="*", default=HELD_OUT, metavar="PATTERN")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=60.0)
    length.add_argument("--steps", type=int)
    parser.add_argument("--stop", type=int, help="interrupt at this step of --steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1, help="factor on the number of pairs in a step")
    parser.add_argument("--lr", type=float, default=Plan.lr)
    parser.add_argument("--fine-lr", type=float, default=Plan.fine_lr)
    parser.add_argument("--fine-weight", type=float, default=Plan.fine_weight)
    parser.add_argument("--fine-only", action="store_true")
    parser.add_argument(
        "--restart-fine",
        type=float,
        metavar="FRACTION",
        help=f"fraction of the training after which the fine stage is restarted (default: {_RESTART} from scratch)",
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="auto")
    a = parser.parse_args(arguments)
    images = list_images(a.data)
    kept = [path for path in images if not matches_any(path.name, a.hold_out)]
    stacks = load_stacks(kept, a.same_place)
    print(f"{len(kept)} images of {len(stacks)} places", flush=True)
    from_scratch = _RESTART if a.init == SCRATCH else None
    restart = a.restart_fine if a.restart_fine is not None else from_scratch
    plan = Plan(
        a.lr, a.fine_lr, a.fine_weight, a.fine_only, a.steps, a.minutes, a.stop, restart=restart, workers=a.workers
    )
    torch.manual_seed(a.seed)
    device = pick_device(a.device)
    recipe = Recipe(a.seed, a.batch)
    state = resume(a.resume, plan, device) if a.resume else start(a.init, plan, device)
    train(state, stacks, recipe, plan, a.out)
    checks = held_out_checks(images, a.hold_out, a.same_place, different=None)
    if checks and (coefficients := calibrate(a.out.with_suffix(".safetensors"), checks)) is not None:
        print(f"confidence calibrated on {len(checks)} held-out pairs: {coefficients}", flush=True)


if __name__ == "__main__":
    main()
