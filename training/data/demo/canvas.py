"""A drawing surface: sketches made of coloured polygons, placed by projective maps, painted by Pillow.

Everywhere x grows to the right and y grows DOWN. Angles are in degrees, clockwise as seen, 0 pointing right.
A sketch has its own unit; `Transform` carries it to the frame, `rasterise` paints it on a picture larger than the frame
(whose reduction is the antialiasing).
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.data.demo.colours import Color, mix

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_CIRCLE = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 32, endpoint=False).tolist()]
_SMALL_CIRCLE = _CIRCLE[::2]
_FAR = 1.0e5
"""Pixels: beyond this a point of a strong perspective is held back, so that rasterising stays bounded."""


class Transform:
    """A projective map of the plane, a 3x3 matrix; `a @ b` applies b first."""

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        self.matrix = matrix

    def __matmul__(self, other: "Transform") -> "Transform":
        return Transform(self.matrix @ other.matrix)

    @classmethod
    def shift(cls, x: float, y: float) -> "Transform":
        """Move by (x, y)."""
        return cls(np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64))

    @classmethod
    def scale(cls, x: float, y: float | None = None) -> "Transform":
        """Stretch about the origin; negative x mirrors."""
        return cls(np.diag([x, x if y is None else y, 1.0]))

    @classmethod
    def turn(cls, degrees: float) -> "Transform":
        """Rotate about the origin, clockwise as seen."""
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return cls(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=np.float64))

    @classmethod
    def tilt(cls, shear: float = 0.0, x: float = 0.0, y: float = 0.0) -> "Transform":
        """Shear along x, and perspective: things shrink towards positive x and y by these rates."""
        return cls(np.array([[1, shear, 0], [0, 1, 0], [x, y, 1]], dtype=np.float64))

    @classmethod
    def onto(cls, box: Box, corners: Sequence[Point]) -> "Transform":
        """The map that takes a box's corners (from top left, clockwise) to four given points."""
        left, top, right, bottom = box
        rows, values = [], []
        sources = ((left, top), (right, top), (right, bottom), (left, bottom))
        for (x, y), (u, v) in zip(sources, corners, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            values += [u, v]
        solved = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(values, dtype=np.float64))
        return cls(np.append(solved, 1.0).reshape(3, 3))

    def apply(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """The images of N points, as an (N, 2) array."""
        plane = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        mapped = plane @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.clip(mapped[:, :2] / np.maximum(mapped[:, 2:], 1e-3), -_FAR, _FAR)


IDENTITY = Transform(np.eye(3))


class Sketch:
    """Coloured polygons, painted in the order in which they were added.

    `extent` is the box that a placement fits into the frame; unless set, it is the box around all points. A thing that
    runs on beyond the picture (a road, a train's last wagons) sets it to what should be seen.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.shapes: list[tuple[int, Color, bool]] = []
        self.extent: Box | None = None

    def polygon(self, points: Sequence[Point], fill: Color, glow: bool = False) -> None:
        """A filled polygon; a glowing one keeps its colour when the sketch is tinted."""
        self.points.extend(points)
        self.shapes.append((len(points), fill, glow))

    def box(self, box: Box, fill: Color, radius: float = 0.0, glow: bool = False) -> None:
        """An upright rectangle, its corners rounded by the radius."""
        self.polygon(rounded(box, radius), fill, glow)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Color, turn: float = 0.0, glow: bool = False
    ) -> None:
        """An ellipse about (x, y), turned by an angle."""
        circle = _CIRCLE if rx + ry > 0.12 else _SMALL_CIRCLE
        if turn:
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            points = [(x + rx * u * c - ry * v * s, y + rx * u * s + ry * v * c) for u, v in circle]
        else:
            points = [(x + rx * u, y + ry * v) for u, v in circle]
        self.polygon(points, fill, glow)

    def disc(self, x: float, y: float, radius: float, fill: Color, glow: bool = False) -> None:
        """A filled circle."""
        self.ellipse(x, y, radius, radius, fill, glow=glow)

    def line(
        self, points: Sequence[Point], width: float | tuple[float, float], fill: Color, round_ends: bool = False
    ) -> None:
        """A thick line through the points; a pair of widths tapers from the first to the last point."""
        first, last = width if isinstance(width, tuple) else (width, width)
        sides = _sides(points, first / 2, last / 2)
        for (a, b), (c, d) in pairwise(sides):
            self.polygon((a, c, d, b), fill)
        if round_ends:
            for (x, y), wide in ((points[0], first), (points[-1], last)):
                self.polygon([(x + wide / 2 * u, y + wide / 2 * v) for u, v in _SMALL_CIRCLE], fill)

    def arc(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, width: float, fill: Color
    ) -> None:
        """A thick elliptical arc from one angle to another."""
        self.line(curve(x, y, rx, ry, start, end), width, fill)

    def shaded(
        self, first: tuple[Point, Point], last: tuple[Point, Point], colors: Sequence[Color], steps: int
    ) -> None:
        """The quadrilateral between two edges in strips, its colour running through the given ones."""
        (ax, ay), (bx, by) = first
        (cx, cy), (dx, dy) = last
        for step in range(steps):
            near, far = step / steps, (step + 1) / steps
            along = (step / max(steps - 1, 1)) * (len(colors) - 1)
            index = min(int(along), len(colors) - 2)
            self.polygon(
                (
                    (ax + (cx - ax) * near, ay + (cy - ay) * near),
                    (bx + (dx - bx) * near, by + (dy - by) * near),
                    (bx + (dx - bx) * far, by + (dy - by) * far),
                    (ax + (cx - ax) * far, ay + (cy - ay) * far),
                ),
                mix(colors[index], colors[index + 1], along - index),
            )

    def add(self, other: "Sketch", transform: Transform = IDENTITY) -> None:
        """Paint another sketch on top of this one, through a transform."""
        if other.points:
            self.points.extend(map(tuple, transform.apply(other.points).tolist()))
            self.shapes.extend(other.shapes)

    def through(self, transform: Transform) -> "Sketch":
        """This sketch seen through a transform (the extent is dropped)."""
        result = Sketch()
        result.add(self, transform)
        return result

    def tint(self, red: float, green: float, blue: float) -> None:
        """Multiply every colour that does not glow by three factors."""
        self.shapes = [
            (count, fill, glow)
            if glow
            else (
                count,
                (min(int(fill[0] * red), 255), min(int(fill[1] * green), 255), min(int(fill[2] * blue), 255), fill[3]),
                glow,
            )
            for count, fill, glow in self.shapes
        ]

    def bounds(self) -> Box:
        """The extent, or else the box around all points."""
        if self.extent is not None:
            return self.extent
        plane = np.asarray(self.points, dtype=np.float64).reshape(-1, 2)
        left, top = plane.min(axis=0).tolist()
        right, bottom = plane.max(axis=0).tolist()
        return left, top, right, bottom


def rounded(box: Box, radius: float) -> list[Point]:
    """The outline of an upright rectangle with rounded corners."""
    left, top, right, bottom = box
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    centres = [(right - radius, bottom - radius), (left + radius, bottom - radius)]
    centres += [(left + radius, top + radius), (right - radius, top + radius)]
    quarter = len(_CIRCLE) // 4
    return [
        (x + radius * u, y + radius * v)
        for index, (x, y) in enumerate(centres)
        for u, v in (_CIRCLE + _CIRCLE[:1])[index * quarter : (index + 1) * quarter + 1 : 2]
    ]


def around(x: float, y: float, radius: float, degrees: float) -> Point:
    """The point of a circle about (x, y) at an angle."""
    return x + radius * math.cos(math.radians(degrees)), y + radius * math.sin(math.radians(degrees))


def curve(x: float, y: float, rx: float, ry: float, start: float, end: float) -> list[Point]:
    """Points along an elliptical arc, one for every 15 degrees or so."""
    count = max(2, int(abs(end - start) / 15) + 1)
    angles = [math.radians(start + (end - start) * i / (count - 1)) for i in range(count)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def smooth(points: Iterable[Point], closed: bool = True, rounds: int = 2) -> list[Point]:
    """Corners cut again and again (Chaikin), until a polygon or polyline looks like a curve."""
    line = list(points)
    for _ in range(rounds):
        pairs = zip(line, line[1:] + line[:1] if closed else line[1:], strict=False)
        cut = [(ax + (bx - ax) * part, ay + (by - ay) * part) for (ax, ay), (bx, by) in pairs for part in (0.25, 0.75)]
        line = cut if closed else [line[0], *cut, line[-1]]
    return line


def _sides(points: Sequence[Point], first: float, last: float) -> list[tuple[Point, Point]]:
    """For each point of a line its left and right border, mitred; half widths run from the first to the last."""
    normals = []
    for (ax, ay), (bx, by) in pairwise(points):
        length = math.hypot(bx - ax, by - ay) or 1.0
        normals.append(((ay - by) / length, (bx - ax) / length))
    sides = []
    for index, (x, y) in enumerate(points):
        ux, uy = normals[max(index - 1, 0)]
        vx, vy = normals[min(index, len(normals) - 1)]
        mx, my = ux + vx, uy + vy
        # A mitre grows without bound as a line turns back on itself; 0.7 keeps it short.
        reach = 2 / max(mx * mx + my * my, 0.7)
        half = (first + (last - first) * index / (len(points) - 1)) * reach
        sides.append(((x + mx * half, y + my * half), (x - mx * half, y - my * half)))
    return sides


def rasterise(sketch: Sketch, image: Image.Image, scale: float) -> None:
    """Paint a sketch over an RGB picture; one unit of the sketch is `scale` pixels."""
    # Two pens on one picture: blending costs time even where there is nothing to see through.
    opaque, blending = ImageDraw.Draw(image), ImageDraw.Draw(image, "RGBA")
    flat = (np.asarray(sketch.points, dtype=np.float64) * scale).ravel().tolist()
    start = 0
    for count, fill, _ in sketch.shapes:
        end = start + 2 * count
        if fill[3] == 255:
            opaque.polygon(flat[start:end], fill[:3])
        else:
            blending.polygon(flat[start:end], fill)
        start = end
