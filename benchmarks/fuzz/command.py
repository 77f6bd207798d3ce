"""Command lines as cases: words with other values, other options, and words that are lost or doubled."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.fuzz.byte_mutations import nasty_number, nasty_word
from benchmarks.fuzz.cases import Seed
from benchmarks.fuzz.file_seeds import (
    CONFIG,
    REFERENCE,
    TARGET,
    model_json,
    small_network,
    tie_points,
)
from benchmarks.fuzz.image_seeds import TRANSFORM, UTM, texture, write_raster
from s2match.cli.main import main
from s2match.cli.options.parsers import COMMANDS, command_parser
from s2match.errors import S2MatchError
from s2match.loftr.checkpoints import save_weights
from s2match.tiepoints.formats import write_tie_points

_WORDS = "words.json"

# Exit codes of a command that did its work, and the last one of errors with a sentence.
_DONE, _LAST_CODE = (0, 3, 4, 5), 30

# Options that would leave the machine, open a window, start processes or print help.
_LEFT_OUT = ("--scheduler", "--workers", "--show", "--help", "-h", "--version", "--debug")

_QUIET = "--no-figure --overwrite -q"
_MATCH = f"match --images {REFERENCE} {TARGET} --model_pretrained net.safetensors --confidence 0.01"
_APPLY = f"apply points.csv {REFERENCE} {TARGET}"
_COMMANDS = (
    f"{_MATCH} --json out.json {_QUIET}",
    f"{_MATCH} --image_size 64 64 --tie_points out.csv --mask mask.geojson --nodata 0 {_QUIET}",
    f"{_MATCH} --aoi 34.40 50.52 34.43 50.56 --geometry affine --seed 3 {_QUIET}",
    f"{_APPLY} --json out.json --coregister out.tif --force {_QUIET}",
    f"{_APPLY} --displacement d.tif --gcps g.points --fail_above 5m {_QUIET}",
    f"apply model.json {TARGET} --out out --force --overwrite --resampling nearest -q",
    "list --dataset_path images --json list.json",
    f"match --dataset_path images --indexes_of_images 1 0 --config options.toml {_QUIET}",
    "match --pairs pairs.csv --out pairs --model_pretrained net.safetensors --overwrite -q",
    "series images --out series --model_pretrained net.safetensors --pairs consecutive -q",
)


def command_cases(folder: Path) -> list[Seed]:
    """Command lines of every sub-command, with the files that they name."""
    files = _files(folder)
    words = {command: json.dumps(command.split()).encode() for command in _COMMANDS}
    return [Seed(command, {**files, _WORDS: text}, _WORDS, (_WORDS,)) for command, text in words.items()]


def command_mutation(rng: Random, seed: Seed) -> Mapping[str, bytes]:
    """The files of a command line whose words are changed once to three times."""
    words: list[str] = json.loads(seed.files[_WORDS])
    for _ in range(rng.choice((1, 1, 2, 3))):
        words = _changed(rng, words)
    # the words of a process cannot contain NUL
    words = [word.replace("\0", "") for word in words]
    return {**seed.files, _WORDS: json.dumps(words).encode()}


def run_words(path: Path, rng: Random) -> None:
    """Run a command line in the folder of the case.

    Raises:
        S2MatchError: The command ended with a sentence.
    """
    words = json.loads(path.read_bytes())
    if any(word.startswith(option[:6]) for word in words for option in _LEFT_OUT if option.startswith("--")):
        raise S2MatchError("left out")
    with _in_folder(path.parent):
        try:
            code = main(words, "s2match")
        except SystemExit as ended:
            # help, or a malformed command: argparse has printed a sentence
            code = 2 if ended.code is None else int(ended.code)
    if code == 1 or code not in range(_LAST_CODE + 1):
        raise AssertionError(f"the command ended with {code}")
    if code not in _DONE:
        raise S2MatchError(f"ended with {code}")


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _changed(rng: Random, words: list[str]) -> list[str]:
    words = list(words)
    place = rng.randrange(1, len(words)) if len(words) > 1 else 0
    change = rng.randrange(7)
    if change <= 2 and words:
        words[place] = rng.choice((nasty_number(rng), nasty_word(rng), rng.choice(words)))
    elif change == 3 and words:
        del words[place]
    elif change == 4 and words:
        words.insert(place, words[rng.randrange(len(words))])
    else:
        words += _random_option(rng, words[0] if words and words[0] in COMMANDS else "match")
    return words


def _random_option(rng: Random, command: str) -> list[str]:
    """An option of a command with values that fit, or do not."""
    actions = [action for action in command_parser(command)._actions if action.option_strings]
    action = rng.choice([one for one in actions if not set(one.option_strings) & set(_LEFT_OUT)])
    words = [rng.choice(action.option_strings)]
    if action.nargs == 0:
        return words
    count = action.nargs if isinstance(action.nargs, int) else rng.choice((1, 1, 2, 3))
    choices = [str(choice) for choice in action.choices or ()]
    files = [
        REFERENCE,
        TARGET,
        "points.csv",
        "model.json",
        "mask.geojson",
        "options.toml",
        "images",
        "out2",
        "out2.tif",
        "out2.csv",
    ]
    values = [*files, *choices, *choices, "5", "0.5", "1"]
    if rng.random() < 0.5:
        values = [nasty_number(rng), nasty_word(rng)]
    return [*words, *(rng.choice(values) for _ in range(count))]


def _files(folder: Path) -> dict[str, bytes]:
    """The files that the commands name."""
    for name, seed in ((REFERENCE, 0), (TARGET, 1)):
        write_raster(folder / name, texture(seed=seed), transform=TRANSFORM, crs=UTM, compress="deflate")
    save_weights(small_network(), 0.5, folder / "net.safetensors")
    write_tie_points(tie_points(), folder / "points.csv")
    polygon = {"type": "Polygon", "coordinates": [[[34.41, 50.54], [34.42, 50.54], [34.42, 50.53], [34.41, 50.54]]]}
    files = {name: (folder / name).read_bytes() for name in (REFERENCE, TARGET, "net.safetensors", "points.csv")}
    for name, seed in ((REFERENCE, 0), (TARGET, 1)):
        image = f"{Path(name).stem}.jp2"
        write_raster(folder / image, texture(seed=seed), driver="JP2OpenJPEG", transform=TRANSFORM, crs=UTM)
        files[f"images/{image}"] = (folder / image).read_bytes()
    files["model.json"] = model_json()
    files["mask.geojson"] = json.dumps({"type": "Feature", "properties": {}, "geometry": polygon}).encode()
    files["options.toml"] = CONFIG.replace("mask_values", "#").replace("preset", "#").encode()
    files["pairs.csv"] = f"reference,target,name\n{REFERENCE},{TARGET},first\n".encode()
    return files
