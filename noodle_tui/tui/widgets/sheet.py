"""A part of a page: lines made for the width that there is."""

from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from noodle_tui.tui.widgets.painting import clean, headed_rule

MakeLines = Callable[[int], Sequence[Content]]  # from a width in cells to lines


class Sheet(Widget):
    """As high as its lines. They are made anew for each width."""

    DEFAULT_CSS = "Sheet { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }"

    _make: MakeLines | None = None
    _made: tuple[int, list[Content]] | None = None

    def show(self, make: MakeLines, title: str = "", detail: Content | None = None) -> None:
        """Show what `make` makes below a rule with the title and, at its right, the detail. No lines: nothing at all."""

        def lines(width: int) -> list[Content]:
            body = list(make(width))
            if not body or not title:
                return body
            return [headed_rule(Content.styled(title, "bold"), width, detail or Content("")), *body]

        self._make, self._made = lines, None
        self.refresh(layout=True)

    def notify_style_update(self) -> None:
        """Textual calls this on a new theme: lines may have been made with colours of the old one."""
        super().notify_style_update()
        self._made = None

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return "\n".join(line.plain for line in self._lines(self.content_size.width or 80))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        if self._made is None or self._made[0] != width:
            self._made = (width, [clean(line) for line in self._make(width)] if self._make and width > 0 else [])
        return self._made[1]


def paragraph(text: str, width: int, mark: str = "", style: str = "") -> list[Content]:
    """A text wrapped to `width` behind a hanging mark."""
    indent = len(mark)
    lines = Content(text).wrap(max(width - indent, 10))
    return [Content.assemble((mark if i == 0 else " " * indent, style), line) for i, line in enumerate(lines)]


def side_by_side(parts: Iterable[str], width: int, gap: str) -> list[Content]:
    """Short texts, as many a line as have room; only one that is longer than a line is broken."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}{gap}{part}" if lines[-1] else part
        if lines[-1] and cell_len(longer) > width:
            lines.append(part)
        else:
            lines[-1] = longer
    return [row for line in lines for row in paragraph(line, width)]
