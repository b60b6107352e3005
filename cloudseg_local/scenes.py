"""Generates sky scenes with known cloud masks, for the demo, for tests and for training.

A scene is the sky as an upright or whole-sky (fisheye) camera sees it. Clouds are fractal noise on flat
layers overhead, so they shrink toward the horizon as real ones do. Image and mask are computed from the
same opacity.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.float32]

CLOUD_OPACITY = 0.35
"""Minimum opacity at which a pixel counts as cloud."""

_TILE = 512


@dataclass(frozen=True)
class Scene:
    """A generated sky.

    Attributes:
        image: RGB, uint8, shape (H, W, 3).
        mask: uint8, shape (H, W); 1 is cloud; 0 is clear sky, ground, or the surround of a disc.
    """

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _View:
    """Viewing direction of each pixel: point (u, v) of a layer, `height` (sine of elevation), and whether it is sky."""

    u: Field
    v: Field
    height: Field
    sky: npt.NDArray[np.bool_]
    surround: float


@dataclass(frozen=True)
class _Light:
    """Colors of one time of day, 0–1, and the sun's glow in each pixel."""

    zenith: Field
    horizon: Field
    lit: Field
    shadow: Field
    glow: Field
    sun: tuple[float, float]


def make_scene(seed: int, width: int, height: int) -> Scene:
    """Generate one sky scene; the same arguments give the same scene.

    Args:
        seed: Chooses the scene, 0 or more.
        width: Pixels, 8 or more.
        height: Pixels, 8 or more.

    Raises:
        ValueError: The seed is negative or a side is shorter than 8 pixels.
    """
    if seed < 0 or min(width, height) < 8:
        raise ValueError(
            f"make_scene got seed {seed} and {width}×{height} pixels; the seed must be 0 or more, each side at least 8."
        )
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    view = _fisheye(rng, x, y, width / height) if rng.random() < 0.3 else _upright(rng, x, y, width / height)
    light = _light(rng, x, y, width / height)

    rise = np.clip(view.height, 0, 1)[..., None] ** rng.uniform(0.4, 0.9)
    color: npt.NDArray[np.floating] = light.horizon + (light.zenith - light.horizon) * rise
    opacity: npt.NDArray[np.floating] = np.zeros_like(x)
    for layer in _weather(rng):
        alpha, shade = layer(rng, view, light)
        haze = (np.exp(-view.height * 14) * 0.5)[..., None]
        cloud = light.shadow + (light.lit - light.shadow) * shade[..., None]
        color += (cloud + (light.horizon - cloud) * haze - color) * alpha[..., None]
        opacity = 1 - (1 - opacity) * (1 - alpha)
    glare = light.glow * (1 - 0.6 * opacity)
    color += (light.lit * 1.05 - color) * np.clip(glare, 0, 1)[..., None]

    ground = np.array([0.05, 0.06, 0.05], np.float32) * rng.uniform(0.4, 2.5)
    color = np.where(view.sky[..., None], color, view.surround if view.surround >= 0 else ground)
    color = color * rng.uniform(0.85, 1.1) + rng.normal(0, rng.uniform(0.002, 0.012), color.shape)
    mask = (opacity >= CLOUD_OPACITY) & view.sky
    return Scene((np.clip(color, 0, 1) * 255).astype(np.uint8), mask.astype(np.uint8))


def _upright(rng: np.random.Generator, x: Field, y: Field, aspect: float) -> _View:
    """Return the view of a level or upward-tilted camera: the horizon in or below the image, sometimes with hills."""
    horizon = rng.uniform(0.45, 2.2)
    elevation = np.clip(horizon - y, 0, None) / (horizon + 1) * rng.uniform(0.7, 1.35)
    distance = 1 / (np.tan(elevation) + 0.12)
    ridge = np.float32(horizon) + 0.0 * x
    phases = rng.uniform(0, 2 * math.pi, 6)
    for octave, phase in enumerate(phases):
        ridge -= np.float32(rng.uniform(0, 0.12) / (octave + 1)) * (1 + np.sin(x * 2.1 * (octave + 1) ** 1.4 + phase))
    return _View(x * aspect * distance * 0.8, distance, np.sin(elevation).astype(np.float32), y < ridge, -1.0)


def _fisheye(rng: np.random.Generator, x: Field, y: Field, aspect: float) -> _View:
    """Return the view of a whole-sky camera: a disc with the zenith in the middle and the horizon at its rim."""
    px = (x - rng.uniform(-0.06, 0.06)) * max(aspect, 1)
    py = (y - rng.uniform(-0.06, 0.06)) * max(1 / aspect, 1)
    radius = np.hypot(px, py) / rng.uniform(0.85, 1.08)
    reach = np.tan(np.minimum(radius, 1) * 1.2) / np.maximum(radius, 1e-3) * 0.6
    height = np.cos(np.minimum(radius, 1) * 1.5).astype(np.float32)
    return _View(px * reach, py * reach, height, radius < 1, rng.uniform(0, 0.05))


def _light(rng: np.random.Generator, x: Field, y: Field, aspect: float) -> _Light:
    low_sun = rng.random() < 0.2
    tint = rng.uniform(0.4, 1) if low_sun else 0.0
    day = np.array([[0.10, 0.28, 0.62], [0.62, 0.76, 0.90], [0.99, 0.99, 0.98], [0.50, 0.53, 0.59]])
    dusk = np.array([[0.20, 0.26, 0.48], [1.0, 0.68, 0.36], [1.0, 0.80, 0.62], [0.36, 0.31, 0.40]])
    zenith, horizon, lit, shadow = ((1 - tint) * day + tint * dusk).astype(np.float32) * np.float32(
        rng.uniform(0.9, 1.06, (4, 1))
    )
    zenith = zenith * rng.uniform([0.5, 0.75, 0.85], [1.7, 1.35, 1.25]).astype(np.float32)
    horizon = zenith + (horizon - zenith) * np.float32(rng.uniform(0.45, 1.0))
    sun = (rng.uniform(-1, 1), rng.uniform(0.2, 0.8) if low_sun else rng.uniform(-1.1, 0.5))
    away = np.hypot((x - sun[0]) * aspect, y - sun[1])
    strength = rng.uniform(0, 1) if rng.random() < 0.75 else 0.0
    glow = np.exp(-((away / rng.uniform(0.04, 0.12)) ** 2)) * 1.3 + np.exp(-away / rng.uniform(0.12, 0.4)) * 0.7
    return _Light(zenith, horizon, lit, shadow, (glow * strength).astype(np.float32), sun)


def _weather(rng: np.random.Generator) -> list["_Layer"]:
    """Choose the layers of cloud, the highest first."""
    kind = rng.choice(["clear", "cumulus", "veil", "overcast", "mixed"], p=[0.1, 0.4, 0.15, 0.15, 0.2])
    uniform = rng.uniform
    cumulus = _Layer(uniform(0.08, 0.75), uniform(0.25, 0.6), 1.0, (1.0, uniform(0.7, 1.4)), 3.4, 1.6)
    veil = _Layer(uniform(0.2, 0.7), uniform(0.9, 2), uniform(0.45, 0.95), (1, uniform(2, 5)), 3.2, 0.8)
    overcast = _Layer(rng.choice([0.9, 1, 1]), uniform(0.6, 2), 1.0, (1, 1.5), uniform(3.6, 4.6), uniform(0.3, 1.2))
    layers = {
        "clear": [],
        "cumulus": [cumulus],
        "veil": [veil],
        "overcast": [overcast],
        "mixed": [veil, cumulus],
    }
    return layers[str(kind)]


@dataclass(frozen=True)
class _Layer:
    """One layer of cloud.

    Attributes:
        cover: Share of the sky that it covers.
        softness: Width of the edges, in standard deviations of the noise.
        opacity: Maximum opacity.
        stretch: Frequency along two directions.
        smoothness: Exponent of the power spectrum.
        relief: Contrast of light and shade.
    """

    cover: float
    softness: float
    opacity: float
    stretch: tuple[float, float]
    smoothness: float
    relief: float

    def __call__(self, rng: np.random.Generator, view: _View, light: _Light) -> tuple[Field, Field]:
        """Return the opacity and brightness (0 shadow to 1 lit) of each pixel."""
        tile = _noise(rng, self.smoothness)
        turn, scale = rng.uniform(0, math.pi), rng.uniform(0.12, 0.3)
        along = (view.u * math.cos(turn) + view.v * math.sin(turn)) * (scale * self.stretch[0])
        across = (view.v * math.cos(turn) - view.u * math.sin(turn)) * (scale * self.stretch[1])
        thickness = _sample(tile, along, across)
        if self.cover < 1:
            base = np.quantile(thickness[view.sky] if view.sky.any() else thickness, 1 - self.cover)
        else:
            base = thickness.min() - self.softness
        depth = (thickness - base) / self.softness
        edge = np.clip(depth, 0, 1)
        toward_sun = math.atan2(light.sun[1], light.sun[0]) - turn
        beyond = _sample(tile, along + 0.012 * math.cos(toward_sun), across + 0.012 * math.sin(toward_sun))
        relief = np.clip((thickness - beyond) * self.relief, -0.5, 0.5)
        dark_base = np.clip(depth / rng.uniform(2, 7), 0, 1) ** 1.5 * rng.uniform(0.3, 1.1)
        shade = np.clip(0.92 + relief - dark_base, -0.35, 1.1)
        return self.opacity * edge * edge * (3 - 2 * edge), shade.astype(np.float32)


def _noise(rng: np.random.Generator, smoothness: float) -> Field:
    """Return a periodic tile of fractal noise with mean 0 and standard deviation 1, shape (_TILE, _TILE)."""
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None]).astype(np.float32) * _TILE
    # At fewer than two waves per tile, the noise would be one gradient over the whole image instead of clouds.
    amplitude = np.maximum(frequency, 2) ** (-smoothness / 2)
    amplitude[0, 0] = 0
    phases = rng.random(amplitude.shape, np.float32) * np.float32(2 * math.pi)
    tile = np.fft.irfft2(amplitude * np.exp(1j * phases), s=(_TILE, _TILE))
    return np.asarray(tile / tile.std(), np.float32)


def _sample(tile: Field, u: npt.NDArray[np.floating], v: npt.NDArray[np.floating]) -> Field:
    """Sample a periodic tile at (u, v), in units of tiles, by bilinear interpolation."""
    x, y = u * _TILE, v * _TILE
    left, top = np.floor(x), np.floor(y)
    right, down = x - left, y - top
    column, row = left.astype(np.int32) % _TILE, top.astype(np.int32) % _TILE
    flat = tile.ravel()
    next_column, this_row, next_row = (column + 1) % _TILE, row * _TILE, (row + 1) % _TILE * _TILE
    upper = flat[this_row + column] * (1 - right) + flat[this_row + next_column] * right
    lower = flat[next_row + column] * (1 - right) + flat[next_row + next_column] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
