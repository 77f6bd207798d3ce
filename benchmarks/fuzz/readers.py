"""The readers of the package, each called as the package calls it."""

from pathlib import Path
from random import Random

import numpy as np
import torch

from benchmarks.fuzz.cases import Reader
from benchmarks.fuzz.command import command_cases, command_mutation, run_words
from benchmarks.fuzz.container_mutations import mutate_file
from benchmarks.fuzz.file_seeds import (
    FINGERPRINT,
    REFERENCE,
    TARGET,
    config_seeds,
    list_seeds,
    model_json,
    model_seeds,
    product_seeds,
    record_seeds,
    tie_point_seeds,
    vector_seeds,
    weights_seeds,
)
from benchmarks.fuzz.image_seeds import SIDE_PX, TRANSFORM, UTM, grid_of, jp2_seeds, texture, tiff_seeds, write_raster
from s2match.batch.journal import Journal, PairFiles
from s2match.batch.sources import list_pairs
from s2match.cli.arguments import parse
from s2match.core.area import area_of
from s2match.core.grid import Grid
from s2match.core.mask import Mask, Masking
from s2match.core.matches import GreyImage, Provenance
from s2match.core.raster import Raster
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.correction.apply import apply_model
from s2match.correction.model_files import write_displacement
from s2match.correction.saved_model import read_model
from s2match.dataset.prepare import prepare
from s2match.io.area import area_window
from s2match.io.masking import masked_grid
from s2match.io.masks import read_mask
from s2match.io.pair_grid import grids_of
from s2match.io.product_metadata import product_scale
from s2match.io.products import granule_of
from s2match.io.reader import nodata_share, read_grid, read_raster, read_whole
from s2match.io.sources import open_source
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.pipeline import register
from s2match.settings import Settings
from s2match.tiepoints.formats import read_tie_points
from s2match.tiepoints.points import as_matches
from s2match.timeseries.adjustment import adjust
from s2match.timeseries.manifest import Fingerprint, Manifest
from s2match.timeseries.sources import read_source

_SIZE = (64, 64)


def read_image(path: Path, rng: Random) -> None:
    """Read an image as the target of a pair, as an image of a list, as a mask, or as a file to correct."""
    way = rng.choice("rrrnppmcc")
    if way == "r":
        read_raster(path, _SIZE)
    elif way == "n":
        nodata_share(scene_of(path))
    elif way == "p":
        reference = path.with_name(REFERENCE)
        _write_reference(reference)
        for grid in grids_of(scene_of(reference), scene_of(path), _SIZE):
            read_whole(grid)
    elif way == "m":
        read_mask(Mask(path), grid_of(REFERENCE), Window(0, 0, SIDE_PX, SIDE_PX))
    else:
        _apply(path, rng)


def read_vector(path: Path, rng: Random) -> None:
    """Read polygons as a mask or as an area of interest, or move them by a model."""
    way = rng.randrange(3)
    if way == 0:
        read_mask(Mask(path), grid_of(REFERENCE), Window(0, 0, SIDE_PX, SIDE_PX))
    elif way == 1:
        area = area_of(str(path), None)
        area_window(area, grid_of(REFERENCE))
    else:
        _apply(path, rng)


def read_points(path: Path, rng: Random) -> None:
    """Read tie points, and fit a model to them."""
    reference, target = grid_of(REFERENCE), grid_of(TARGET)
    points = read_tie_points(path, reference, target)
    matches = as_matches(points, reference, target, Provenance("fuzz", "cpu", 0.0, imported=True))
    geometry = rng.choice(("auto", "translation", "homography", "field"))
    register(_raster(reference), _raster(target), matches, Settings(geometry=geometry))


def read_weights(path: Path, rng: Random) -> None:
    """Load weights and match two images with them."""
    matcher = LoftrMatcher(load_network(str(path)), torch.device("cpu"), torch.float32)
    first, second = (GreyImage(np.float32(1 / 255) * texture(64, seed), np.ones((64, 64), bool)) for seed in (0, 1))
    matcher.match_encoded(matcher.encode(first), matcher.encode(second), 0.01)


def read_config(path: Path, rng: Random) -> None:
    """Parse a command line with a file of options."""
    command = rng.choice((["match"], [], ["series", "."], ["list"]))
    try:
        parse([*command, "--config", str(path)], "s2match")
    except SystemExit as ended:
        # argparse has printed a sentence
        if ended.code != 2:
            raise


def read_models(path: Path, rng: Random) -> None:
    """Read a model and correct files by it."""
    model = read_model(path)
    model.apply(np.array([[1.0, 2.0]]))
    files = [path.with_name(name) for name in (TARGET, "vector.geojson")]
    if rng.random() < 0.7:
        apply_model(model, files, path.with_name("out"), force=True, resampling=rng.choice(("cubic", None)))
    else:
        write_displacement(model, path.with_name("displacement.tif"))


def read_list(path: Path, rng: Random) -> None:
    """Read a CSV as pairs or as a series, or open a STAC Item."""
    if path.suffix == ".json":
        read_raster(open_source(f"{path}{rng.choice(('', '#visual', '#B08'))}"), _SIZE)
    elif rng.random() < 0.5:
        list_pairs([str(path)], rng.choice((None, "a.tif")))
    else:
        read_source(path)


def read_product(path: Path, rng: Random) -> None:
    """Open a product, read an image of it with its masks and its scale, or prepare a dataset from it."""
    way = rng.randrange(4)
    if way == 0:
        prepare(path, path.parent / "prepared", progress=False)
        return
    scene = open_source(path, None if way == 1 else "B08")
    product_scale(scene.path)
    granule = granule_of(scene.path)
    if granule is not None and way == 3:
        for mask in granule.cloud_masks:
            read_mask(Mask(mask), grid_of(REFERENCE), Window(0, 0, SIDE_PX, SIDE_PX))
    read_whole(masked_grid(read_grid(scene, _SIZE), Masking(auto=way == 2)))


def read_records(path: Path, rng: Random) -> None:
    """Read the finished pairs of a series and adjust it, or those of a list of pairs."""
    if path.name == "series":
        finished = Manifest(path, Fingerprint(**FINGERPRINT)).load()
        if finished:
            adjust(len(FINGERPRINT["images"]), list(finished.values()))
        return
    journal = Journal(path)
    for name in ("first", "second"):
        pair = PairFiles(name, "f", (path / name / "result.json",))
        journal.finished(pair)
        journal.foreign(pair)


READERS: tuple[Reader, ...] = (
    Reader("TIFF", tiff_seeds, read_image, mutate_file, 2.0),
    Reader("JPEG 2000", jp2_seeds, read_image, mutate_file, 1.5),
    Reader("vectors", vector_seeds, read_vector, mutate_file, 1.5),
    Reader("tie points", tie_point_seeds, read_points, mutate_file, 1.0),
    Reader("weights", weights_seeds, read_weights, mutate_file, 1.0),
    Reader("options in files", config_seeds, read_config, mutate_file, 1.0),
    Reader("products", product_seeds, read_product, mutate_file, 1.0),
    Reader("models in JSON", model_seeds, read_models, mutate_file, 1.0),
    Reader("lists and STAC Items", list_seeds, read_list, mutate_file, 1.0),
    Reader("finished pairs", record_seeds, read_records, mutate_file, 0.5),
    Reader("options of the command", command_cases, run_words, command_mutation, 1.0),
)


def reader_named(name: str) -> Reader:
    """The reader of a name."""
    return next(reader for reader in READERS if reader.name == name)


def _apply(path: Path, rng: Random) -> None:
    """Correct a file by a model."""
    model = path.with_name("model.json")
    model.write_bytes(model_json())
    apply_model(
        read_model(model), path, path.with_name("out"), force=True, resampling=rng.choice(("cubic", "nearest", None))
    )


def _write_reference(path: Path) -> None:
    write_raster(path, texture(), transform=TRANSFORM, crs=UTM)


def _raster(grid: Grid) -> Raster:
    image = np.repeat(texture()[..., None], 3, axis=2)
    return Raster(grid, image, np.ones(image.shape[:2], bool))
