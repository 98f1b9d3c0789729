"""The form of the Setup screen: all options, grouped, generated from RunConfig."""

import asyncio
import itertools
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from noodle_tui.config import Option, options
from noodle_tui.text import printable
from noodle_tui.tui.widgets.option_field import Editor, OptionChoice, OptionInput, as_text, editor_of
from noodle_tui.tui.widgets.painting import Painted, headed_rule
from noodle_tui.tui.words import shortened

# What most runs need, first; the other options follow, group by group, in RunConfig's order.
ESSENTIAL = {
    "Data": ("stimuli", "rejig_data", "data_dir", "classes", "split_by", "val_fraction"),
    "Training": ("n_epochs", "batch_size", "lr", "device", "load_dir", "save_dir"),
    "Logging": ("namestr", "comet"),
}
N_ESSENTIAL = sum(map(len, ESSENTIAL.values()))
THOUGHT_ENDS = re.compile(r"[;:,] | \(")
LEAST_NOTE = 20  # cells: a note of fewer isn't worth reading
MOST_BEFORE = 40  # cells of what escape would bring back
MOST_TURNS = 1000  # of the event loop, that a widget gets to take in what came for it


def grouped_options() -> dict[str, list[Option]]:
    """{title: its options}, all options, in the order of the form."""
    known = {option.name: option for option in options()}
    first = {name for names in ESSENTIAL.values() for name in names}
    groups = {title: [known[name] for name in names] for title, names in ESSENTIAL.items()}
    for group in ESSENTIAL:
        groups[f"More {group.lower()}"] = [o for o in known.values() if o.group == group and o.name not in first]
    return groups


class Form(Painted):
    """Its children are the editors alone; names, marks and notes are painted beside them: one widget an option, so that the
    screen is there at once.

    Before an editor: the option's name, and `•` where the user has set it, `✗` where something is to be mended. Behind it,
    where there is room: what the option is for, or what is wrong with it.
    """

    # Before the field gets them. A slow line brings several keys at once, and Textual gives each to the field that has the
    # focus when it is read: those behind a tab would go where those before it went.
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"go('{key}')", "Field above", show=False, priority=True) for key in ("up", "shift+tab")),
        *(Binding(key, f"go('{key}')", "Field below", show=False, priority=True) for key in ("down", "tab", "enter")),
    ]

    class Changed(Message):
        """The user has changed an option. `value` is raw, for RunConfig to check; None: nothing typed."""

        def __init__(self, name: str, value: Any):
            super().__init__()
            self.name, self.value = name, value

    def __init__(self) -> None:
        super().__init__(id="form")
        self.editors: dict[str, Editor] = {}
        self._titles: dict[str, str] = {}  # the group's title, by the name of its first option
        for title, members in grouped_options().items():
            self._titles[members[0].name] = title
            self.editors.update((option.name, editor_of(option)) for option in members)
        self.given: frozenset[str] = frozenset()
        self.problems: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """The essential options; the others follow once these are painted."""
        for name in self._titles:
            self.editors[name].add_class("-first")  # leaves a line for the group's title
        yield from itertools.islice(self.editors.values(), N_ESSENTIAL)

    async def mount_rest(self, given: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        """The other options. They have their values before they are there: what is typed meanwhile in the first ones stays."""
        rest = list(itertools.islice(self.editors.values(), N_ESSENTIAL, None))
        for editor in rest:
            editor.show(given.get(editor.option.name), base[editor.option.name])
        await self.mount_all(rest)
        self.call_after_refresh(self._paint_again)

    def show(self, given: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        """Show what is given over the base values. No message."""
        for name, editor in self.editors.items():
            if editor.is_attached:
                editor.show(given.get(name), base[name])
        self.mark(given, {})

    def mark(self, given: Collection[str], problems: Mapping[str, str]) -> None:
        """Mark the options that are set and those that have a problem; it is said where there is room."""
        self.given, self.problems = frozenset(given), dict(problems)
        self.repaint()

    @property
    def focused(self) -> Editor | None:
        """The editor that has the focus."""
        return next((editor for editor in self.editors.values() if editor.has_focus), None)

    def paint(self, width: int, height: int) -> list[Strip]:
        lines = [Content("")] * height
        for name, editor in self.editors.items():
            place = editor.virtual_region
            if not place.width or place.y >= height:
                continue  # not laid out yet
            if name in self._titles:
                lines[place.y - 1] = headed_rule(Content.styled(self._titles[name], "bold"), width - 1)
            lines[place.y] = self._row(editor, place.x, place.right, width)
        return [self.content_line(line, width) for line in lines]

    def _row(self, editor: Editor, left: int, right: int, width: int) -> Content:
        name = editor.option.name
        problem = self.problems.get(name)
        mark, colour = ("✗", "$error") if problem is not None else ("•", "$accent") if name in self.given else (" ", "")
        name_colour = ("$primary bold" if editor.has_focus else "$error" if problem is not None
                       else "$foreground" if name in self.given else "$quiet")
        label = Content.styled(label_of(name), name_colour).truncate(left - 2, ellipsis=True)
        row = Content.assemble(label.pad_right(left - 2 - label.cell_length), (mark, colour), " " * (right - left + 2))
        room = width - row.cell_length - 1
        if room < LEAST_NOTE:
            return row
        note = (Content.styled(f"✗ {problem}", "$error") if problem
                else Content.styled(brief(editor.option.help, room), "$quiet"))
        return Content.assemble(row, note.truncate(room, ellipsis=True))

    def on_resize(self) -> None:
        self.call_after_refresh(self._paint_again)

    def _paint_again(self) -> None:
        """The editors have their places now."""
        self._painted = None
        self.refresh()

    def on_descendant_focus(self) -> None:
        self.repaint()

    def on_descendant_blur(self) -> None:
        self.repaint()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if isinstance(event.input, OptionInput):
            raw = event.input.raw
            self.post_message(self.Changed(event.input.option.name, None if as_text(raw) == event.input.base else raw))

    def typed(self) -> dict[str, Any]:
        """What stands in the fields, raw; None where nothing does."""
        fields = [editor for editor in self.editors.values() if isinstance(editor, OptionInput) and editor.is_attached]
        return {field.option.name: field.raw for field in fields}

    async def action_go(self, key: str) -> None:
        """To another field, or through the list of names that is open."""
        field = self.screen.focused
        names = field.completion if isinstance(field, OptionInput) else None
        if field is not None and names is not None and names.display:
            await has_read(field)
            await has_read(names)
            if names.obeys(key):
                return
        if key in ("up", "shift+tab"):
            self.screen.focus_previous()
        else:
            self.screen.focus_next()

    def on_option_choice_changed(self, event: OptionChoice.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.choice.option.name, event.choice.raw))

    def on_click(self, event: events.Click) -> None:
        """A click on a name is one on its editor."""
        for editor in self.editors.values():
            if event.widget is self and editor.virtual_region.y == event.y:
                editor.focus()


async def has_read(widget: Widget) -> None:
    """Wait until a widget has taken in what came for it before, keys say."""
    for _ in range(MOST_TURNS):
        if not widget.message_queue_size:
            break
        await asyncio.sleep(0)


def brief(text: str, width: int) -> str:
    """A help text, or its beginning up to where a thought ends, if that fits: the hint line says all of it."""
    if len(text) <= width:
        return text
    beginnings = [text[:end.start()] for end in THOUGHT_ENDS.finditer(text) if end.start() <= width]
    return next((part for part in reversed(beginnings) if part.count("(") == part.count(")")), text)


def label_of(name: str) -> str:
    """An option's name as the form shows it."""
    return name.replace("_", " ")


def hint_of(option: Option, problem: str, before: str, width: int, height: int) -> list[Content]:
    """What an option is about and which flag it has, or (not "") what is wrong with it; and what escape would bring back. The
    flag, or that, is there as a whole or not at all."""
    bounds = f" ({option.bounds})" if option.bounds else ", with commas in between" if option.kind == "list" else ""
    about = Content.styled(f"✗ {problem}", "$error") if problem else Content(option.help + bounds)
    text = Content.assemble((f"{label_of(option.name)}  ", "bold"), about)
    back = f"  esc: back to {shortened(printable(before), MOST_BEFORE)}" if before else f"  --{option.flag}"
    lines = Content.assemble(text, (back, "$quiet")).wrap(width)
    if len(lines) <= height:
        return lines
    lines = text.wrap(width)
    return [*lines[:height - 1], Content(" ").join(lines[height - 1:]).truncate(width, ellipsis=True)]


# what the command line's sentences say, and what is there in its place in the app
SPOKEN = {"--class sad=_Sa_ --class happy=_Ha_": "sad=_Sa_, happy=_Ha_",
          "noodle rejig --undo --stimuli": "f3, with stimuli", "noodle rejig --undo": "f3", "noodle demo": "f4",
          "noodle rejig": "rejig"}


def in_fields(text: str) -> str:
    """A sentence of the command line as the app says it: fields for flags, keys for commands."""
    for command, instead in SPOKEN.items():
        text = re.sub(rf"(?<![\w/.]){re.escape(command)}(?![\w/])", instead, text)  # not within a path
    fields = {option.flag: label_of(option.name) for option in options()}
    return re.sub(r"(?<!\S)([(`'\"]?)--([a-z][a-z-]*)", lambda flag: flag[1] + fields.get(flag[2], f"--{flag[2]}"), text)


def without_flag(text: str) -> str:
    """A problem as it is said at its field: without the command line's name of it, and the value, which stands there."""
    head, colon, rest = text.partition(": ")
    return in_fields(rest if colon and head.startswith("--") and " --" not in head else text)
