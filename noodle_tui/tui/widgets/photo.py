"""A photo in the terminal: two pixels a cell, as half blocks. Works in every terminal, in tmux and over SSH."""

import asyncio
import os
import warnings
from pathlib import Path

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from noodle_tui.text import printable
from noodle_tui.tui.words import end_of

Pixel = tuple[int, int, int]
ROOM_FOR_NAME = 24  # cells: below, only what is the matter is said


class Photo(Widget):
    """Draws an image file as large as the widget, once asked to with `show`; before that, nothing: photos show faces.

    The file is read and made small in a thread. One that can't be read is said so, in its place.
    """

    DEFAULT_CSS = "Photo { width: 16; height: 10; }"
    ALLOW_SELECT = False

    def __init__(self, path: Path | None = None, *, id: str | None = None):
        super().__init__(id=id)
        self.path = path
        self._pixels: list[list[Pixel]] = []
        self._problem = ""

    def show(self, path: Path | None) -> None:
        """Show another photo; None shows nothing."""
        self.path, self._pixels, self._problem = path, [], ""
        self.refresh()
        self._load_if_seen()

    def on_resize(self) -> None:
        self._load_if_seen()

    def _load_if_seen(self) -> None:
        if self.path is not None and self.size.area:
            # Of skin 256 colours have four shades, of grey 24. Headless is a screenshot: the same on every machine.
            grey = not self.app.is_headless and self.app.console.color_system != "truecolor"
            self._load(self.path, self.size, grey)

    @work(exclusive=True, group="photo")
    async def _load(self, path: Path, size: Size, grey: bool) -> None:
        pixels, problem = await asyncio.to_thread(thumbnail, path, size.width, size.height, grey)
        if (path, size) == (self.path, self.size):  # else another was asked for meanwhile
            self._pixels, self._problem = pixels, problem
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        ground = self.visual_style
        if self._problem and y == height // 2:
            room = width - len(self._problem) - 2
            file = f"{end_of(printable(str(self.path)), room)}: " if room >= ROOM_FOR_NAME else ""
            problem = Content(f"{file}{self._problem}").truncate(width, ellipsis=True)
            lines = Visual.to_strips(self, problem, width, 1, ground)
            return lines[0].adjust_cell_length(width, ground.rich_style)
        top = (height - (len(self._pixels) + 1) // 2) // 2
        row = 2 * (y - top)
        if not 0 <= row < len(self._pixels):
            return Strip.blank(width, ground.rich_style)
        upper = self._pixels[row]
        lower = self._pixels[row + 1] if row + 1 < len(self._pixels) else None
        left = (width - len(upper)) // 2
        blank, cells = Segment(" " * left, ground.rich_style), half_blocks(upper, lower)
        return Strip([blank, *cells]).adjust_cell_length(width, ground.rich_style)


def thumbnail(path: Path, width: int, height: int, grey: bool = False) -> tuple[list[list[Pixel]], str]:
    """The pixels of an image, upright, fit into `width` cells by `height` lines of half blocks; and why there are none ("")."""
    from PIL import Image, ImageOps

    from noodle_tui.images import BadImage, open_photo

    try:
        with warnings.catch_warnings(action="ignore"), open_photo(path) as image:  # Pillow's, which would tear the screen
            image.draft("RGB", (4 * width, 8 * height))  # a JPEG is decoded no larger than needed
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((width, 2 * height), Image.Resampling.LANCZOS)
            small = small.convert("L").convert("RGB") if grey else small
    except (BadImage, MemoryError):
        return [], "can't be read" if os.path.lexists(path) else "isn't there"
    flat = small.tobytes()
    line = 3 * small.width
    return [[(flat[i], flat[i + 1], flat[i + 2]) for i in range(y * line, (y + 1) * line, 3)] for y in range(small.height)], ""


def half_blocks(upper: list[Pixel], lower: list[Pixel] | None) -> list[Segment]:
    """One line of cells, each the upper pixel's colour over the lower one's; equal neighbours in one segment."""
    segments: list[Segment] = []
    for x, above in enumerate(upper):
        below = None if lower is None else Color.from_rgb(*lower[x])
        style = Style(color=Color.from_rgb(*above), bgcolor=below)
        if segments and segments[-1].style == style:
            segments[-1] = Segment(segments[-1].text + "▀", style)
        else:
            segments.append(Segment("▀", style))
    return segments
