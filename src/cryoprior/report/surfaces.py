"""Isosurfaces of maps as pictures: parallel rays, two lights, soft shadow in hollows. Numpy in, numpy out.

A view is a rotation acting on xyz columns; after it x points right, y up and z to the viewer, as in ChimeraX.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, map_coordinates
from scipy.signal import resample

from cryoprior.errors import InputError

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Volumes = Mapping[str, Float[np.ndarray, "_ _ _"]]  # of one shape, as the public functions check
VIEWS: dict[str, Float64[np.ndarray, "3 3"]] = {
    "front": np.eye(3),  # along z
    "side": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),  # the front turned by 90 degrees about the vertical
    "top": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),  # the front turned by 90 degrees about the horizontal
}
KEY_LIGHT = np.array([-0.45, 0.6, 0.66])  # from the upper left, towards the viewer
SMALL_BOX = 96  # boxes up to this are sampled twice as finely before they are drawn
OVERSAMPLING = 2  # rays per pixel and direction
RESOLUTION_COLOURS = ("#3056b8", "#45a0d0", "#93d6b4", "#faeb9b", "#f79650", "#c4202f")  # fine to coarse
NOT_MEASURED = (0.72, 0.74, 0.76)
PLAIN = (0.66, 0.75, 0.86)


@dataclass(frozen=True)
class Surface:
    """A map made ready to be drawn at one level; lengths are voxels of the map, positions from its centre d // 2.

    ``fine`` samples of ``volume`` make one voxel. ``slope`` is its gradient, x y z; ``distance`` that to the nearest
    sample above the level, in samples; ``crowding`` the share of matter in the neighbourhood.
    """

    volume: Float32[np.ndarray, "f f f"]
    level: float
    fine: int
    centre: int
    slope: tuple[np.ndarray, np.ndarray, np.ndarray]
    distance: Float32[np.ndarray, "f f f"]
    crowding: Float32[np.ndarray, "f f f"]

    @property
    def reach(self) -> float:
        """Return how far what is above the level reaches from the centre along any axis, in voxels."""
        places = np.argwhere(self.volume > self.level) / self.fine - self.centre
        return float(np.abs(places).max(initial=0.0))

    def at(self, field: np.ndarray, points: Float[np.ndarray, "3 n"], outside: float = 0.0) -> Float32[np.ndarray, "n"]:
        """Return the values of a finely sampled field at points, xyz in voxels from the centre."""
        zyx = ((points[::-1] + self.centre) * self.fine).astype(np.float32)
        return map_coordinates(field, zyx, np.float32, order=1, mode="constant", cval=outside)


@dataclass(frozen=True)
class Hits:
    """Where the rays of a picture first meet a surface: ``seen``, row 0 at the top, and what is known of those seen.

    ``points`` are xyz in voxels from the centre of the map, ``normals`` unit vectors in the frame of the view,
    ``depth`` the height towards the viewer, ``crowding`` 0 where a place is free and 1 where it is buried.
    """

    seen: Bool[np.ndarray, "rays rays"]
    points: Float64[np.ndarray, "3 n"]
    normals: Float64[np.ndarray, "3 n"]
    depth: Float64[np.ndarray, "n"]
    crowding: Float64[np.ndarray, "n"]


def check_surfaces(maps: Volumes, resolution: Volumes, levels: Mapping[str, float], views: Sequence[str]) -> None:
    """Raise InputError for a title, level, local resolution or view that does not fit the maps."""
    for title in [*resolution, *levels]:
        if title not in maps:
            raise InputError(f"{title!r}: no map of this title; expected one of {', '.join(maps)}; correct the title")
    for title, volume in resolution.items():
        if volume.shape != maps[title].shape or not (volume[np.isfinite(volume)] > 0).all():
            raise InputError(
                f"local resolution of {title!r}: shape {volume.shape} or values of 0 and below; expected "
                f"{maps[title].shape} and angstrom above 0; put NaN where nothing was measured"
            )
    for title, level in levels.items():
        if not maps[title].min() < level < maps[title].max():
            raise InputError(
                f"map {title!r}: level {level:g} is outside its values; give one between lowest and highest"
            )
    if not views or not set(views) <= set(VIEWS):
        raise InputError(f"views {', '.join(views)}; expected some of {', '.join(VIEWS)}; choose from these")


def enclosing_level(volume: Float[np.ndarray, "d d d"], share: float) -> float:
    """Return the level above which a share (0 to 1) of all voxels lies."""
    return float(np.quantile(volume.astype(np.float64), 1 - share))


def surface_levels(maps: Volumes, levels: Mapping[str, float]) -> dict[str, float]:
    """Return the level of every map: the one given, else the one that encloses as many voxels as that of the first."""
    title, first = next(iter(maps.items()))
    level = levels[title] if title in levels else _otsu(first)
    share = float((first > level).mean())
    derived = {name: enclosing_level(volume, share) for name, volume in maps.items() if name not in levels}
    return {**derived, **levels, title: level}


def _otsu(volume: Float[np.ndarray, "d d d"]) -> float:
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(volume.astype(np.float64)))  # type: ignore[no-untyped-call]


def make_surface(volume: Float[np.ndarray, "d d d"], level: float, dust: float = 0.01) -> Surface:
    """Return a map ready to be drawn at a level, without pieces below a share ``dust`` of what is enclosed."""
    fine = 2 if len(volume) <= SMALL_BOX else 1
    sampled = volume.astype(np.float64)
    if fine > 1:
        for axis in range(3):
            sampled = resample(sampled, fine * len(volume), axis=axis)
    sampled = _without_dust(sampled.astype(np.float32), level, dust)
    smooth = gaussian_filter(sampled, 0.6 * fine)
    z, y, x = (np.asarray(component, np.float32) for component in np.gradient(smooth))
    matter = (sampled > level).astype(np.float32)
    crowding = (gaussian_filter(matter, 1.5 * fine) + gaussian_filter(matter, 4.0 * fine)) / 2
    distance = distance_transform_edt(sampled <= level).astype(np.float32)
    return Surface(sampled, level, fine, len(volume) // 2, (x, y, z), distance, crowding)


def _without_dust(volume: Float32[np.ndarray, "f f f"], level: float, dust: float) -> Float32[np.ndarray, "f f f"]:
    pieces, _ = label(volume > level, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())
    small = sizes < min(dust * sizes[1:].sum(), sizes[1:].max(initial=0))  # the largest piece always stays
    small[0] = False
    below = level - 1e-3 * float(volume.std())
    return np.where(small[pieces], np.float32(below), volume)


def cast_rays(surface: Surface, view: Float64[np.ndarray, "3 3"], radius: float, rays: int) -> Hits:
    """Return where rays x rays parallel rays, from the viewer, over a square of half side ``radius`` meet a surface."""
    across = ((np.arange(rays) + 0.5) / rays * 2 - 1) * radius
    plane = np.stack([np.tile(across, rays), np.repeat(-across, rays), np.zeros(rays * rays)])  # x right, y up
    start, towards = view.T @ plane, view.T[:, 2:]
    depth = _first_heights(surface, start, towards, radius)
    seen = np.isfinite(depth)
    points = start[:, seen] + depth[seen] * towards
    uphill = np.stack([surface.at(component, points) for component in surface.slope]).astype(np.float64)
    normals = -(view @ uphill) / np.maximum(np.sqrt((uphill**2).sum(0)), 1e-30)
    crowding = surface.at(surface.crowding, points + view.T @ normals).astype(np.float64)  # one voxel off the surface
    return Hits(seen.reshape(rays, rays), points, normals, depth[seen], crowding)


def _first_heights(surface: Surface, start: np.ndarray, towards: np.ndarray, radius: float) -> np.ndarray:
    """Return how high above ``start`` every ray, coming down from ``radius``, meets the surface; NaN where it does not.

    Far from matter a ray goes as far as it safely can: a place above the level has a sample above it within sqrt(3)
    samples, and the sample nearest to a place is within sqrt(3) / 2 of it.
    """
    smallest, safety = 0.7, 1.5 * np.sqrt(3)
    first_height = np.full(start.shape[1], np.nan)
    rays, height = np.arange(start.shape[1]), np.full(start.shape[1], radius + 1.0)
    before, stride = np.full(len(rays), -np.inf), np.zeros(len(rays))
    outside, last = float(surface.volume.min()), len(surface.volume) - 1
    while len(rays):
        points = start[:, rays] + height * towards
        z, y, x = np.clip(np.rint((points[::-1] + surface.centre) * surface.fine), 0, last).astype(np.intp)
        free = surface.distance[z, y, x] - safety
        values, near = np.full(len(rays), -np.inf), free < smallest
        values[near] = surface.at(surface.volume, points[:, near], outside)
        hit = values > surface.level
        rise = values[hit] - before[hit]  # infinite where a ray starts inside
        first_height[rays[hit]] = height[hit] + stride[hit] * (values[hit] - surface.level) / np.maximum(rise, 1e-30)
        stride = np.maximum(free, smallest) / surface.fine
        before, height = values, height - stride
        going = ~hit & (height > -radius - 1)
        rays, height, before, stride = rays[going], height[going], before[going], stride[going]
    return first_height


def values_at(volume: Float[np.ndarray, "d d d"], hits: Hits) -> np.ndarray:
    """Return the values of a volume where rays hit, from finite corners; NaN where most are not finite."""
    zyx = hits.points[::-1] + len(volume) // 2
    known = np.isfinite(volume)
    weight = map_coordinates(known.astype(np.float64), zyx, order=1, mode="nearest")
    total = map_coordinates(np.where(known, volume, 0).astype(np.float64), zyx, order=1, mode="nearest")
    return np.where(weight >= 0.5, total / np.maximum(weight, 0.5), np.nan)


def resolution_limits(resolutions: Iterable[np.ndarray]) -> tuple[float, float]:
    """Return the resolutions at the ends of the colours: all that is seen but the outermost hundredths."""
    values = np.concatenate([np.zeros(0), *(values[np.isfinite(values)] for values in resolutions)])
    if len(values) == 0:
        return 1.0, 2.0
    low, high = np.percentile(values, (1, 99))
    return (float(low), float(high)) if high > 1.001 * low else (0.9 * float(low), 1.1 * float(low))


def surface_colours(values: np.ndarray | None, hits: Hits, limits: tuple[float, float]) -> np.ndarray:
    """Return the colour of every place hit, (n, 3)."""
    if values is None:
        return np.tile(np.array(PLAIN), (len(hits.depth), 1))
    place = np.clip((values - limits[0]) / (limits[1] - limits[0]), 0, 1)
    colours = resolution_map()(np.nan_to_num(place))[:, :3]
    return np.where(np.isfinite(values)[:, None], colours, np.array(NOT_MEASURED))


def resolution_map() -> Colormap:
    """Return the colours of resolutions, blue the finest, red the coarsest."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("resolution", list(RESOLUTION_COLOURS), 256)


def light_up(hits: Hits, colours: Float[np.ndarray, "n 3"], radius: float) -> Float64[np.ndarray, "h w 4"]:
    """Return the lit picture, RGBA in 0..1, transparent where nothing is seen; ``colours`` are those of the points."""
    key = KEY_LIGHT / np.linalg.norm(KEY_LIGHT)
    halfway = (key + np.array([0, 0, 1])) / np.linalg.norm(key + np.array([0, 0, 1]))
    diffuse = np.clip(key @ hits.normals, 0, None)
    facing = np.clip(hits.normals[2], 0, None)
    gloss = np.clip(halfway @ hits.normals, 0, None) ** 28
    shadow = 1 - 0.8 * np.clip((hits.crowding - 0.12) / 0.5, 0, 1)
    light = shadow * (0.5 + 0.2 * facing) + 0.5 * diffuse * (0.4 + 0.6 * shadow)
    lit = np.clip(colours * light[:, None] + 0.10 * (gloss * shadow)[:, None], 0, 1)
    picture = np.zeros((*hits.seen.shape, 4))
    picture[hits.seen, :3] = lit
    picture[hits.seen, 3] = 1
    picture = _outlined(picture, hits, radius)
    return _averaged(picture)


def _outlined(picture: np.ndarray, hits: Hits, radius: float) -> np.ndarray:
    """Return the picture with the edges of what stands well before its neighbours darkened."""
    depth = np.full(hits.seen.shape, -2 * radius)
    depth[hits.seen] = hits.depth
    jump = np.zeros_like(depth)
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        jump = np.maximum(jump, depth - np.roll(depth, shift, axis))
    edge = np.clip((jump - 0.05 * radius) / (0.1 * radius), 0, 1)[..., None]
    picture[..., :3] *= 1 - 0.55 * edge
    return picture


def _averaged(picture: np.ndarray) -> np.ndarray:
    """Return the mean over the rays of every pixel, colours weighted with their opacity."""
    side = len(picture) // OVERSAMPLING
    blocks = picture[: side * OVERSAMPLING, : side * OVERSAMPLING].reshape(side, OVERSAMPLING, side, OVERSAMPLING, 4)
    opacity = blocks[..., 3:].mean((1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).mean((1, 3)) / np.maximum(opacity, 1e-12)
    return np.concatenate([colour, opacity], -1)
