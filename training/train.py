"""Train LoFTR weights on folders of Sentinel-2 images.

python -m training.train --data FOLDER... --out state.pt [--resume state.pt] [--minutes 60 | --steps 5000]

Beside ``state.pt``, from which training resumes, the averaged weights are written as ``state.safetensors``; they are
what ``model_inference.py`` and kornia load. ``state.csv`` and ``state.png`` show how it went. Images of ``split.json``
are never opened, and those of ``--hold-out`` are only validated on.
"""

import argparse
import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from kornia.feature import LoFTR
from kornia.feature.loftr.loftr import default_cfg

from s2match.loftr.checkpoints import load_network, save_weights
from s2match.loftr.config import MatchingConfig
from s2match.loftr.device import best_precision, pick_device, wide_half
from s2match.util.atomic_write import atomic_write
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
# What the losses teach: sums over neighbouring cells, and further looks of the fine stage.
CONFIG = MatchingConfig(neighbourhood=True, fine_iterations=3)
SCRATCH = "scratch"
_WATCH_EVERY = 5
# From scratch the fine stage begins anew after this share of the training.
_RESTART = 0.5
_FINAL_LR = 0.03
# Where a restarted fine stage begins: the logit of a perfect fit, and the share of the old layers that is kept.
_PEAK, _KEPT = 15.0, 0.05


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        lr: Learning rate of the backbone and the coarse stage at its highest.
        fine_lr: That of the fine stage.
        fine_weight: Weight of the fine stage's loss.
        fine_only: Train the layers of the fine stage alone.
        steps: Steps in all; None to go by ``minutes``.
        minutes: Minutes of this run.
        stop: Leave off at this step of ``steps``, to be resumed.
        warmup: Steps over which the learning rate rises.
        average: Decay of the running average of the weights.
        save_minutes: Minutes between checkpoints.
        log_steps: Steps between lines of the log.
        restart: Share of the training after which the fine stage begins anew (:func:`restart_fine`): it learns to
            compare the backbone's features, which from scratch are not there at first; 0 for at once, None for never.
        freeze_norm: Keep the statistics of batch normalisation, so that the network trains as it matches; from the
            restart on where there is one.
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


@dataclass
class State:
    """What training changes, and a checkpoint holds.

    Attributes:
        net: The network.
        average: The running average of its weights.
        optimizer: With its own memory.
        step: Steps done.
        minutes: Minutes spent.
        restarted: Whether the fine stage has begun anew.
    """

    net: LoFTR
    average: LoFTR
    optimizer: torch.optim.Optimizer
    step: int = 0
    minutes: float = 0.0
    restarted: bool = False


def small_config() -> dict[str, Any]:
    """kornia's configuration of a LoFTR with 2.0 instead of 11.6 million parameters."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)
    config["resnetfpn"] = {"initial_dim": 32, "block_dims": [32, 64, 128]}
    config["coarse"].update(d_model=128, d_ffn=128, layer_names=["self", "cross"] * 3, temp_bug_fix=True)
    config["fine"].update(d_model=32, d_ffn=32)
    return config


def start(init: str, plan: Plan, device: torch.device) -> State:
    """Begin from weights by name or path, or from scratch.

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
    """Let the fine stage begin as the comparison of the backbone's features by their angle.

    The merging layer becomes the identity on the fine features, scaled to length 1. The first transformer layer passes
    them through its ReLU as a positive and a negative part, and its norm makes them unit vectors, of a gain that leaves
    heatmaps neither flat nor a point. What attention adds begins small: it learns to improve on the backbone instead of
    standing between the backbone and its lesson.

    Args:
        net: Changed in place.
        image: (N, 1, H, W), some images to take the scale of the features from.
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
    restart_fine(state.net, images)
    state.average.load_state_dict(state.net.state_dict())
    # what the optimizer remembers of these layers is of others now
    for name, parameter in state.net.named_parameters():
        if name.startswith(_RESTARTED):
            state.optimizer.state.pop(parameter, None)
    state.restarted = True


def _optimizer(net: LoFTR, plan: Plan) -> torch.optim.Optimizer:
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
    """Go on from a checkpoint of :func:`save`."""
    held = torch.load(path, map_location=device, weights_only=True)
    net = LoFTR(None, held["config"])
    net.load_state_dict(held["state_dict"])
    net = net.to(device=device, memory_format=torch.channels_last)
    average = copy.deepcopy(net).eval()
    average.load_state_dict(held["average"])
    state = State(net, average, _optimizer(net, plan), held["step"], held["minutes"], held["restarted"])
    state.optimizer.load_state_dict(held["optimizer"])
    for group, peak in zip(state.optimizer.param_groups, (plan.lr, plan.fine_lr), strict=True):
        group["peak"] = peak
    return state


@limit_threads()
def train(
    state: State,
    stacks: Sequence[Stack],
    recipe: Recipe,
    plan: Plan,
    out: Path,
    workers: int = 1,
    earlier: Sequence[Row] = (),
) -> State:
    """Train from where a state is to the plan's end, with checkpoints on the way.

    Args:
        state: Changed in place.
        stacks: What to cut pairs from.
        recipe: What batches are made of.
        plan: How to train.
        out: The checkpoint to write.
        workers: Processes that make batches.
        earlier: The curves of the run that is resumed.
    """
    device = next(state.net.parameters()).device
    begin = saved = time.monotonic()
    first, before, log = state.step, state.minutes, []
    # what came after the checkpoint that is resumed is done anew
    rows = [row for row in earlier if row.step <= first]
    with batches(stacks, recipe, state.step, workers) as source:
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
    """One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), the rate falling as a cosine.

    Args:
        state: Changed in place.
        batch: Pairs, on the network's device.
        plan: How to train.
        done: Share of the training that is over, 0 to 1.
        since: Steps since the start of the schedule, for the warm-up.
    """
    fall = _FINAL_LR + (1 - _FINAL_LR) * (1 + math.cos(math.pi * done)) / 2
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * fall * min(1.0, (since + 1) / plan.warmup)
    state.net.train()
    if plan.freeze_norm and (plan.restart is None or state.restarted):
        for module in state.net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    # float16 has too small a range for gradients
    device = batch.images.device
    amp = None if torch.float32 in (best_precision(device), wide_half(device)) else torch.bfloat16
    step = run(state.net, batch, amp, plan.fine_only, watch=state.step % _WATCH_EVERY == 0)
    state.optimizer.zero_grad()
    loss = plan.fine_weight * step.fine + (0 if plan.fine_only else step.coarse)
    # pairs of different places alone have no lesson for the fine stage
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
    """Move the average; early on it follows closely, or it would remember the start."""
    decay = min(decay, (state.step + 1) / (state.step + 10))
    into, new = state.average.state_dict(), state.net.state_dict()
    floats = [name for name in into if into[name].is_floating_point()]
    torch._foreach_lerp_([into[name] for name in floats], [new[name] for name in floats], 1 - decay)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, load the images and train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders of images, searched with all below"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write, .pt")
    parser.add_argument("--resume", type=Path, help="checkpoint to go on from")
    parser.add_argument("--init", default="sentinel2", help=f"weights to start from, or {SCRATCH!r}")
    parser.add_argument("--same-place", nargs="*", default=SAME_PLACE, metavar="PATTERN")
    parser.add_argument("--hold-out", nargs="*", default=HELD_OUT, metavar="PATTERN")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=60.0)
    length.add_argument("--steps", type=int)
    parser.add_argument("--stop", type=int, help="leave off at this step of --steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1, help="multiplies the pairs of a step")
    parser.add_argument("--lr", type=float, default=Plan.lr)
    parser.add_argument("--fine-lr", type=float, default=Plan.fine_lr)
    parser.add_argument("--fine-weight", type=float, default=Plan.fine_weight)
    parser.add_argument("--fine-only", action="store_true")
    parser.add_argument(
        "--restart-fine",
        type=float,
        metavar="SHARE",
        help=f"share of the training after which the fine stage begins anew (default: {_RESTART} from scratch)",
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
    plan = Plan(a.lr, a.fine_lr, a.fine_weight, a.fine_only, a.steps, a.minutes, a.stop, restart=restart)
    torch.manual_seed(a.seed)
    device = pick_device(a.device)
    recipe = Recipe(a.seed, a.batch)
    state = resume(a.resume, plan, device) if a.resume else start(a.init, plan, device)
    earlier = read_rows(a.resume.with_suffix(".csv")) if a.resume else []
    train(state, stacks, recipe, plan, a.out, a.workers, earlier)
    checks = held_out_checks(images, a.hold_out, a.same_place, different=None)
    if checks and (found := calibrate(a.out.with_suffix(".safetensors"), checks)) is not None:
        print(f"confidence calibrated on {len(checks)} held-out pairs: {found}", flush=True)


if __name__ == "__main__":
    main()
