"""Corrected images: a known movement put into a synthetic scene and taken out again, at 10, 20 and 60 m."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.catalog import scene_of
from s2match.coregistration import Correction, require_same_footprint
from s2match.corrected import write_moved, write_resampled
from s2match.errors import CorrectionError
from s2match.field import fit_field
from s2match.grids import grids_of
from s2match.images import Grid
from s2match.models import Registration
from s2match.raster import read_grid

SIZE = 360
# Ground that is rendered around the images, so that nothing of them is unknown.
AROUND = 40

Points = NDArray[np.float64]


def registration(model: str, carry: Callable[[Points], Points], size: int = SIZE) -> Registration:
    """A model that is known: the matrix or the field through points of a lattice."""
    x = np.linspace(0, size, 40)
    xy = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    homogeneous = np.hstack([xy, np.ones((len(xy), 1))])
    matrix = np.eye(3)
    matrix[:2] = np.linalg.lstsq(homogeneous, carry(xy), rcond=None)[0].T
    field = fit_field(xy, carry(xy), matrix, 5.0, 1e-6) if model == "field" else None
    return Registration(model, matrix, np.ones(len(xy), np.bool_), np.zeros(len(xy)), field=field)


def shifted(xy: Points) -> Points:
    return xy + (4.37, -2.81)


def turned(xy: Points) -> Points:
    return xy @ np.array([[1.004, -0.007], [0.009, 0.995]]).T + (2.3, -3.6)


def bent(xy: Points) -> Points:
    phase = xy / SIZE * 2 * np.pi
    return xy + (1.7, -2.2) + 1.5 * np.stack([np.sin(phase[:, 1]), np.cos(phase[:, 0])], axis=1)


MOVES = {"translation": shifted, "affine": turned, "field": bent}


def inverse(carry: Callable[[Points], Points], xy: Points) -> Points:
    """By fixed-point iteration, to far below a thousandth of a pixel."""
    found = xy.copy()
    for _ in range(60):
        found += xy - carry(found)
    return found


def ground(x: Points, y: Points) -> NDArray[np.float64]:
    """A scene that is known everywhere: waves of many directions, none shorter than eight pixels of 10 m."""
    random = np.random.default_rng(3)
    value = np.zeros(np.broadcast(x, y).shape)
    for _ in range(60):
        turn, period, phase = random.uniform(0, np.pi), random.uniform(8, 60), random.uniform(0, 2 * np.pi)
        value += np.cos(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period + phase) * np.sqrt(period)
    return 128 + 100 * value / 150


def centres(width: int, height: int) -> Points:
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).reshape(-1, 2)
