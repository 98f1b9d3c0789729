"""A picture to draw faces on: shapes in head coordinates, soft shades, and the light over all.

Head coordinates: the head's centre is (0, 0), its sides are near x = -1 and 1, y points down, the chin is at about 1.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = (253, 325)  # pixels; half of what such photos have, 506 x 650
SUPERSAMPLE = 2  # drawn this much larger and averaged, since PIL's shapes have hard edges

Colour = tuple[int, int, int]
Points = np.ndarray  # (n, 2) float64, in head coordinates


@dataclass(frozen=True)
class Look:
    """What differs from picture to picture: the pose, and where the light comes from."""

    yaw: float
    pitch: float
    roll: float  # radians
    scale: float
    shift: tuple[float, float]
    light: tuple[float, float]  # how much brighter its right edge and its bottom are
    tint: tuple[float, float, float]  # factors on red, green, blue
    background: Colour


class Canvas:
    """A picture that is drawn on in head coordinates, which the look's pose turns into pixels."""

    def __init__(self, look: Look):
        self.look = look
        self.size = (SIZE[0] * SUPERSAMPLE, SIZE[1] * SUPERSAMPLE)
        self.unit = 0.4 * self.size[0] * look.scale  # pixels
        self.image = Image.new("RGB", self.size, look.background)
        self.pen = ImageDraw.Draw(self.image)

    def pixels(self, points: Points) -> Points:
        """Head coordinates to pixels. Yaw and pitch move most what is nearest to the viewer: the middle of the face."""
        x, y = points[:, 0], points[:, 1]
        depth = np.sqrt(np.maximum(0, 1 - (x / 1.1) ** 2 - (y / 1.45) ** 2))
        x, y = x + self.look.yaw * depth, y + self.look.pitch * depth
        cos, sin = np.cos(self.look.roll), np.sin(self.look.roll)
        right = self.size[0] * 0.5 + self.unit * (self.look.shift[0] + cos * x - sin * y)
        down = self.size[1] * 0.5 + self.unit * (self.look.shift[1] + sin * x + cos * y)
        return np.stack([right, down], 1)

    def fill(self, points: Points, colour: Colour) -> None:
        """A filled shape."""
        self.pen.polygon(self.pixels(points).ravel().tolist(), fill=colour)

    def stroke(self, points: Points, colour: Colour, width: float) -> None:
        """A line with round ends."""
        line, radius = self.pixels(points), max(0.5, width * self.unit / 2)
        self.pen.line(line.ravel().tolist(), fill=colour, width=round(2 * radius), joint="curve")
        for x, y in (line[0], line[-1]):
            self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def glow(self, points: Points, colour: Colour, strength: float, blur: float, inside: Points | None = None) -> None:
        """A soft, see-through shape, kept within the outline `inside`. Its mask is made small, since it has no detail."""
        small, outline = 4, self.pixels(points)
        reach = 2 * blur * self.unit  # beyond it the blur has faded
        left, upper = np.maximum(0, outline.min(0) - reach).astype(int)
        right, lower = np.minimum(self.size, outline.max(0) + reach).astype(int)
        size = (int(right - left), int(lower - upper))
        mask = Image.new("L", (size[0] // small + 1, size[1] // small + 1))
        ImageDraw.Draw(mask).polygon(((outline - (left, upper)) / small).ravel().tolist(), fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(blur * self.unit / small))
        mask = mask.resize(size, Image.Resampling.BILINEAR, (0, 0, size[0] / small, size[1] / small))
        if inside is not None:
            border = Image.new("L", size)
            ImageDraw.Draw(border).polygon((self.pixels(inside) - (left, upper)).ravel().tolist(), fill=255)
            mask = ImageChops.multiply(mask, border)
        self.image.paste(colour, (left, upper, right, lower), mask)

    def finish(self) -> Image.Image:
        """The picture at its own size, under the look's light: brighter on one side and in the middle, tinted."""
        x, y = np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 16))  # a coarse grid is enough
        brightness = 1 - 0.12 * (x**2 + y**2) + self.look.light[0] * x + self.look.light[1] * y
        factor = np.clip(brightness[..., None] * self.look.tint, 0, 1)
        light = Image.fromarray((255 * factor).astype(np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
        return ImageChops.multiply(self.image.reduce(SUPERSAMPLE), light)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Colour `a` with a share (0 to 1) of `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def smooth(points: Sequence[tuple[float, float]], closed: bool = True) -> Points:
    """A curve through all points (Catmull-Rom's spline), 8 points a piece."""
    p = np.asarray(points, float)
    padded = np.vstack([p[-1:], p, p[:2]]) if closed else np.vstack([p[:1], p, p[-1:]])
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    curve = b + (c - a) / 2 * t + (a - 2.5 * b + 2 * c - d / 2) * t**2 + (1.5 * (b - c) + (d - a) / 2) * t**3
    return curve.reshape(-1, 2) if closed else np.vstack([curve.reshape(-1, 2), p[-1:]])


def oval(x: float, y: float, width: float, height: float, steps: int = 28) -> Points:
    """An ellipse around (x, y); width and height are half axes."""
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], 1)


def band(x: Points, top: Points, bottom: Points) -> Points:
    """The shape between two curves over the same x."""
    return np.vstack([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])
