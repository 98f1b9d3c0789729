"""Lines of text with as few bytes as possible: equal styles joined, and only what changed sent to the terminal."""

from collections.abc import Iterable
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))  # what a terminal obeys, for `str.translate`
_NO_STYLE = Style()
WORTH_A_JUMP = 16  # moving the cursor and setting the colours again takes more bytes than so many unchanged cells


class Painted(Widget):
    """A widget that draws itself as lines and, asked to repaint, has Textual rewrite only the cells that changed.

    What derives from it says in `paint` what it looks like now, and calls `repaint` when that may have changed.
    """

    ALLOW_SELECT = False
    _lines: list[Strip]
    _painted: Size | None = None  # the size at which _lines were made

    def paint(self, width: int, height: int) -> list[Strip]:
        """The widget's lines, top down. Missing ones stay blank."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Draw anew and send what differs from what is shown. Nothing if nothing does."""
        if self.size != self._painted:
            self.refresh()  # never painted at this size: render_line does
            return
        old = self._lines
        self._lines = self._paint()
        for y, (before, after) in enumerate(zip(old, self._lines, strict=True)):
            for start, end in changed_spans(before, after):
                self.refresh(Region(start, y, end - start, 1))

    def render_line(self, y: int) -> Strip:
        if self.size != self._painted:
            self._lines = self._paint()
            self._painted = self.size
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)

    def notify_style_update(self) -> None:
        """Textual calls this on a new theme, a focus, a class: the colours may be others."""
        super().notify_style_update()
        self._painted = None

    def content_line(self, content: Content, width: int) -> Strip:
        """One line of content in this widget's style, cut or filled to `width` cells."""
        content = clean(content).truncate(width, ellipsis=True)
        strips = Visual.to_strips(self, content, width, 1, self.visual_style)
        strip = strips[0] if strips else Strip([])
        return join_blanks(strip.adjust_cell_length(width, self.visual_style.rich_style))

    def _paint(self) -> list[Strip]:
        width, height = self.size
        lines = self.paint(width, height)[:height] if width and height else []
        blank = Strip.blank(width, self.visual_style.rich_style)
        return lines + [blank] * (height - len(lines))


class Lines(Painted):
    """A few lines of text, handed over ready made."""

    _contents: tuple[Content, ...] = ()

    def show(self, *contents: Content) -> None:
        """Show these lines; longer ones end in an ellipsis."""
        self._contents = contents
        self.repaint()

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return "\n".join(content.plain for content in self._contents)

    def paint(self, width: int, height: int) -> list[Strip]:
        return [self.content_line(content, width) for content in self._contents]


def clean(content: Content) -> Content:
    """The content without what a terminal would obey: a file's name or another's events.jsonl may hold control codes."""
    if content.plain.isprintable():
        return content
    return Content("".join(c if c.isprintable() or c in "\n\xa0" else "�" for c in content.plain), list(content.spans))


def harmless(strip: Strip) -> Strip:
    """The same without control codes, which take no cells: for what is drawn by widgets that don't know `clean`."""
    if all(segment.text.isprintable() for segment in strip):
        return strip
    return Strip([Segment(text.translate(CONTROLS), style) for text, style, _ in strip])


def changed_spans(before: Strip, after: Strip) -> list[tuple[int, int]]:
    """The stretches of columns (from, to) in which two lines differ; none if they don't."""
    if before == after:
        return []
    old, new = _cells(before), _cells(after)
    if len(old) != len(new) or len(new) != after.cell_length:  # wide characters: their columns aren't their positions
        return [(0, max(before.cell_length, after.cell_length))]
    spans: list[tuple[int, int]] = []
    for x, (a, b) in enumerate(zip(old, new, strict=True)):
        if a == b:
            continue
        if spans and x - spans[-1][1] < WORTH_A_JUMP:
            spans[-1] = (spans[-1][0], x + 1)
        else:
            spans.append((x, x + 1))
    return spans


def _cells(strip: Strip) -> list[tuple[str, Style]]:
    """Each character as it looks: what a click on it does is not seen, nor the ink of a blank."""
    cells: list[tuple[str, Style]] = []
    for text, style, _ in strip:
        ink = _NO_STYLE if style is None else style.clear_meta_and_links()
        ground = _ground(ink)
        cells += [(char, ground if char == " " else ink) for char in text]
    return cells


@lru_cache(1024)
def _ground(style: Style) -> Style:
    """How a blank looks in this style."""
    return Style(bgcolor=style.bgcolor) if _is_plain_ground(style, style) else style


def join_blanks(segments: Iterable[Segment]) -> Strip:
    """The same picture in fewer segments: a blank shows no ink, so it takes that of its neighbour on the same ground.

    Every segment costs some 40 bytes of colour codes on the line.
    """
    joined: list[Segment] = []
    for segment in segments:
        text, style, _ = segment
        if joined:
            last_text, last_style, _ = joined[-1]
            if style == last_style or (text.isspace() and _is_plain_ground(last_style, style)):
                joined[-1] = Segment(last_text + text, last_style)
                continue
            if last_text.isspace() and _is_plain_ground(style, last_style):
                joined[-1] = Segment(last_text + text, style)
                continue
        joined.append(segment)
    return Strip(joined)


def _is_plain_ground(style: Style | None, other: Style | None) -> bool:
    """Whether a blank looks the same in both styles: same background, and no line through or under it."""
    if style is None or other is None:
        return False
    return style.bgcolor == other.bgcolor and not any(
        (s.underline or s.reverse or s.strike or s.underline2 or s.overline) for s in (style, other)
    )


def headed_rule(title: Content, width: int, *details: Content) -> Content:
    """The top line of a panel: its title, a rule, and the first detail that fits, or what does of the last."""
    room = width - title.cell_length - 6
    if room < 4:
        if width < title.cell_length + 3:
            return title.truncate(width, ellipsis=True)
        return Content.assemble(("─ ", "$rule"), title, (" " + "─" * (width - title.cell_length - 3), "$rule"))
    detail = next((d for d in details if d.cell_length <= room), details[-1] if details else Content(""))
    detail = detail.truncate(room, ellipsis=True) if detail.cell_length > room else detail
    rest = width - title.cell_length - detail.cell_length - (4 if detail else 3)
    return Content.assemble(("─ ", "$rule"), title, (" " + "─" * rest, "$rule"), *([" ", detail] if detail else []))
