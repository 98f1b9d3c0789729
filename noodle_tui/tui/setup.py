"""The Setup screen: every option of a run, and beside it what the run will do, looked up as the form changes."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Button, Footer, Input, Static
from textual.worker import get_current_worker

from noodle_tui.config import RunConfig, config_errors, options
from noodle_tui.errors import StopRun
from noodle_tui.remember import recall, remember
from noodle_tui.tui import setup_text
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.setup_form import Form, label_of
from noodle_tui.tui.setup_keys import KEYS
from noodle_tui.tui.setup_panel import Panel, update
from noodle_tui.tui.widgets.option_field import OptionInput, as_text
from noodle_tui.tui.widgets.painting import Lines, headed_rule
from noodle_tui.tui.widgets.too_small import HEIGHT, WIDTH, TooSmall

if TYPE_CHECKING:  # imported in the worker thread: it brings numpy along, and the first paint waits for as little as can be
    from noodle_tui.preflight.checks import Preflight

LOOK_AFTER = 0.3  # seconds without a change before the preflight looks anew
FIRST_LOOK_AFTER = 0.05  # the screen is painted first
MORE_BUTTONS = {"rejig_only": "Rejig only", "undo_rejig": "Undo rejig", "demo": "Demo", "reset": "Reset",
                "command": "Copy command"}
FRESH = 30.0  # seconds that a look at the photos is good for


class SetupScreen(Screen[None]):
    """The form of a run. Whatever takes time happens in threads; what they find out late for the form is dropped."""

    CSS_PATH = "setup.tcss"
    # Textual would repaint the whole screen when the focus moves, 25 kB a key; the two fields repaint themselves.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    is_current = only_on_top
    AUTO_FOCUS = "#option-stimuli"
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [
        (0, "-cramped"), (WIDTH, "-stacked"), (76, "-narrow"), (140, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-flat"), (HEIGHT, "-short"), (34, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "start", "Start"),
        Binding("f1,question_mark", "help", "Help", key_display="f1"),
        Binding("ctrl+o", "browse", "Browse"),
        Binding("f2", "rejig_only", "Rejig"),
        Binding("f3", "undo_rejig", "Undo"),
        Binding("f4", "demo", "Demo"),
        Binding("f5", "runs", "Runs"),
        Binding("f6", "command", "Copy"),
        Binding("f7", "photos", "Photos"),
        Binding("f8", "reset", "Reset"),
        Binding("f9", "look_again", "Look again", show=False),
    ]

    class Start(Message):
        """She wants this run."""

        def __init__(self, config: RunConfig):
            super().__init__()
            self.config = config

    class RejigOnly(Message):
        """She wants the photos sorted, and no run. Call `look_again` when that is done."""

        def __init__(self, config: RunConfig):
            super().__init__()
            self.config = config

    class UndoRejig(Message):
        """She wants the photos put back, and has been asked. Call `look_again` when that is done."""

        def __init__(self, data_dir: Path):
            super().__init__()
            self.data_dir = data_dir

    class Demo(Message):
        """She wants to see a run on drawn people."""

    class OpenRuns(Message):
        """She wants to see the runs in a folder."""

        def __init__(self, save_dir: Path):
            super().__init__()
            self.save_dir = save_dir

    class Looked(Message):
        """A thread's look at what the form asks for, whole or in part."""

        def __init__(self, number: int, result: "Preflight", note: str):
            super().__init__()
            self.number, self.result, self.note = number, result, note

    def __init__(self, values: dict[str, Any] | None = None, recall_last: bool = True):
        """values: given from outside (flags); they win over the last values of this working folder (`recall_last`)."""
        super().__init__()
        self.folder = Path.cwd()
        last, note = recall(self.folder) if recall_last else ({}, "")
        known = {option.name: option.default for option in options()}
        self.given: dict[str, Any] = {**last, **{k: v for k, v in (values or {}).items() if k in known}}
        self.config: RunConfig | None = None  # None while the form has problems
        self.result: Preflight | None = None  # what the last finished look found
        self.problems: dict[str, str] = {}
        self._base: dict[str, Any] = known
        self._notes = [note] if note else ["the last values of this folder are filled in (f8 resets)"] if last else []
        self._number = 0  # of the last look that was asked for: answers to earlier ones are dropped
        self._looked_at = 0.0
        self._is_current = False  # the result is about the form as it stands
        self._start_wanted = False
        self._look_is_due = False  # as soon as she comes back here
        self._timer: Timer | None = None
        self._keys: tuple[bool, ...] = ()  # which of the bindings do something now

    def compose(self) -> ComposeResult:
        # Textual fits a screen to the window after it has laid it out and painted it once; this saves that once
        self.add_class(*self._get_breakpoint_classes(self.app.size.width, self.HORIZONTAL_BREAKPOINTS),
                       *self._get_breakpoint_classes(self.app.size.height, self.VERTICAL_BREAKPOINTS), update=False)
        yield Lines(id="title")
        with Horizontal(id="body"):
            with VerticalScroll(id="scroll", can_focus=False):
                yield Form()
            yield Panel(id="side")
        yield Lines(id="hint")
        with Horizontal(id="bar"):
            yield Button("Start  ^r", variant="primary", id="start", compact=True)
            yield Static(id="headline")
            for name, label in MORE_BUTTONS.items():
                yield Button(label, id=name, compact=True, classes="more")
        yield Footer(compact=True, show_command_palette=False)
        yield TooSmall()

    def on_mount(self) -> None:
        self._show_values()
        self.call_after_refresh(self._complete)

    async def _complete(self) -> None:
        """The rest of the form, and the first look, which imports a lot: after the first paint."""
        await self.form.mount_rest()
        self._show_values()
        self._changed()

    def on_resize(self) -> None:
        place, width = Content.styled(str(self.folder), "$quiet"), max(self.size.width - 2, 1)
        self.query_one("#title", Lines).show(headed_rule(Content.styled("Setup", "bold"), width, place))
        self.call_after_refresh(self._paint)  # the panel has its new width then

    def on_screen_resume(self) -> None:
        if self.result is not None or self._look_is_due:  # she comes back: a run or a rejig may have changed the folders
            self.look_again()

    # -- the form -----------------------------------------------------------------------------------------------------

    def load_values(self, values: dict[str, Any]) -> None:
        """Fill the form in anew, e.g. with a past run's options. Names that are no option are left out."""
        defaults = {option.name: option.default for option in options()}
        self.given = {name: value for name, value in values.items()
                      if name in defaults and as_text(value) != as_text(defaults[name])}
        self._base = defaults
        self._show_values()
        self._changed()

    @property
    def form(self) -> Form:
        return self.query_one(Form)

    def _show_values(self) -> None:
        self.form.show(self.given, self._base)

    def on_form_changed(self, message: Form.Changed) -> None:
        message.stop()
        name, value = message.name, message.value
        if value is None or as_text(value) == as_text(self._base[name]):
            self.given.pop(name, None)
        else:
            self.given[name] = value
        self._changed()

    def _changed(self) -> None:
        """Check the form now; look at what it asks for a moment later."""
        try:
            self.config, self.problems = RunConfig(**self.given), {}
        except ValidationError as error:
            self.config, self.problems = None, config_errors(error)
        self.form.mark(self.given, {name: without_flag(text) for name, text in self.problems.items()})
        self._hint()
        self._start_wanted = False
        self._look_soon(LOOK_AFTER if self.result else FIRST_LOOK_AFTER)

    def _look_soon(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._number += 1
        self._is_current = False
        self._paint()
        if self.config is not None:
            self._timer = self.set_timer(wait, self._start_look) if wait else None
            if not wait:
                self._start_look()

    def look_again(self) -> None:
        """Look at folders, weights and device again: something outside of the form has changed."""
        self._looked_at = 0.0
        self._look_soon(0.0)

    # -- from the form to what will happen ----------------------------------------------------------------------------

    def _start_look(self) -> None:
        self._look_is_due = not self.is_current  # another screen covers this one: nobody waits for the answer
        if self.config is not None and self.is_current:
            fresh = time.monotonic() - self._looked_at < FRESH
            self._look(self._number, self.config, dict(self.given), self.result if fresh else None)

    @work(thread=True, exclusive=True, group="look")
    def _look(self, number: int, config: RunConfig, given: dict[str, Any], before: "Preflight | None") -> None:
        """In a thread: it only posts messages."""
        from noodle_tui.preflight.checks import preflight

        worker = get_current_worker()
        note = ""
        try:
            remember(given, self.folder)
        except OSError as error:
            note = f"these values can't be remembered ({error.strerror})"

        def check() -> None:
            if worker.is_cancelled:
                raise StopRun

        def report(result: "Preflight") -> None:
            if not worker.is_cancelled:
                self.post_message(self.Looked(number, result, note))

        try:
            report(preflight(config, check, report, before))
        except StopRun:
            return  # the form has changed meanwhile: the next look is on its way

    def on_setup_screen_looked(self, message: Looked) -> None:
        message.stop()
        if message.number != self._number:
            return
        self.result = message.result
        if message.note and message.note not in self._notes:
            self._notes.append(message.note)
        self._is_current = not message.result.waiting_for
        if self._is_current:
            self._looked_at = time.monotonic()
            self._take_base(message.result)
            self.form.mark(self.given, {f.option: without_flag(f.text) for f in message.result.errors if f.option})
        self._paint()
        if self._is_current and self._start_wanted:
            self.action_start()

    def _take_base(self, result: "Preflight") -> None:
        """What stands in fields that she left alone: the picked-up run's options, else the defaults."""
        picked_up = result.resumed_at is not None
        base = {option.name: getattr(result.config, option.name)
                if picked_up and option.name not in ("load_dir", "save_dir", *self.given) else option.default
                for option in options()}
        if base != self._base:
            self._base = base
            self._show_values()

    # -- from what is known to the screen -----------------------------------------------------------------------------

    def _paint(self) -> None:
        if self._is_current or self.problems or self.result is None or self.result.waiting_for:
            self.query_one(Panel).show(self.result, self.problems, self._notes)
        shown = self.result if self._is_current or (self.result and self.result.waiting_for) else None
        update(self.query_one("#headline", Static),
               setup_text.headline(shown, list(self.problems.values()), self._start_wanted))
        self.query_one("#start", Button).disabled = self._has_errors()
        for name in MORE_BUTTONS:
            self.query_one(f"#{name}", Button).disabled = not self.check_action(name, ())
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        """Have the footer rebuilt, which takes a while, only where other keys do something than before."""
        keys = tuple(bool(self.check_action(binding.action, ())) for binding in self.BINDINGS if isinstance(binding, Binding))
        if keys != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _has_errors(self) -> bool:
        return bool(self.problems) or (self._is_current and self.result is not None and bool(self.result.errors))

    def on_descendant_focus(self) -> None:
        self._hint()
        self._refresh_keys()
        editor = self.form.focused
        if isinstance(editor, OptionInput) and editor.takes_a_path:
            self._complete_paths(editor)

    def _hint(self) -> None:
        """Say what the focused field is about, or what is wrong with it."""
        editor = self.form.focused
        hint = self.query_one("#hint", Lines)
        if editor is None:
            return hint.show()
        option = editor.option
        problem = without_flag(self.problems.get(option.name, ""))
        about = Content.styled(f"✗ {problem}", "$error") if problem else Content(
            f"{option.help} ({option.bounds})" if option.bounds else option.help)
        hint.show(Content.assemble((f"{label_of(option.name)}  ", "bold"), about, (f"  --{option.flag}", "$quiet")))

    def _complete_paths(self, editor: OptionInput) -> None:
        """Have the paths that are typed here completed, from the first time that she comes here on."""
        from noodle_tui.tui.widgets.path_completion import PathCompletion

        if not any(completion.target is editor for completion in self.query(PathCompletion)):
            self.mount(PathCompletion(editor, folders_only=editor.option.kind == "path" and editor.option.name != "load_dir"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    # -- what she can do ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows: those that do something now."""
        match action:
            case "browse":
                editor = self.form.focused
                return editor is not None and editor.takes_a_path
            case "undo_rejig":
                return self.result is not None and self.result.made_by_rejig
            case "rejig_only":
                done = self.result is not None and self.result.photos is not None and self.result.photos.rejig == "done"
                return self.config is not None and not done
            case "command" | "runs":
                return self.config is not None
            case "photos":
                return self.result is not None and self.result.photos is not None
        return True

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.run_action(str(event.button.id))

    def action_start(self) -> None:
        """Start; once the look has ended, if one is under way. Where something is to be mended, go there."""
        if self._has_errors():
            troubles = [finding.option for finding in self.result.errors] if self.result else []
            for name in self.problems or troubles:
                if name in self.form.editors:
                    self.form.editors[name].focus()
                    break
        elif self.config is not None and self._is_current and time.monotonic() - self._looked_at < FRESH:
            self._start_wanted = False
            self.post_message(self.Start(self.config))
        else:
            self._start_wanted = True
            if self._is_current:
                self.look_again()
            self._paint()

    def action_rejig_only(self) -> None:
        """Sort the photos, if the plan of it is in sight; else show the plan first."""
        result = self.result
        if self.config is None:
            return
        if not self.config.rejig_data:
            self.given["rejig_data"] = True
            self._show_values()
            self._changed()
            self.notify("Rejig is switched on: look at what will happen, then press f2 again.")
        elif not self._is_current or result is None:
            self.notify("Still looking at the photos.")
        elif result.photos is None:
            self.action_start()  # goes to what is to be mended
        else:
            self.post_message(self.RejigOnly(self.config))

    @work
    async def action_undo_rejig(self) -> None:
        from noodle_tui.tui.widgets.dialogs import Question

        if self.result is None:
            return
        data_dir = self.result.config.data_dir
        sure = await self.app.push_screen_wait(Question(
            "Undo the rejig?", f"Every photo that rejig put into {data_dir} goes back where it came from; copies and links "
            "are removed. Nothing is overwritten.", yes="Put them back (y)", no="Leave them (n)"))
        if sure:
            self.post_message(self.UndoRejig(data_dir))

    @work
    async def action_reset(self) -> None:
        from noodle_tui.tui.widgets.dialogs import Question

        if not self.given:
            return self.notify("All options are at their defaults.")
        sure = await self.app.push_screen_wait(Question(
            "Reset the form?", f"{len(self.given)} options go back to their defaults.", yes="Reset (y)", no="Keep them (n)"))
        if sure:
            self._notes = []
            self.load_values({})

    @work
    async def action_browse(self) -> None:
        from textual_fspicker import FileOpen, SelectDirectory

        editor = self.form.focused
        if not isinstance(editor, OptionInput):
            return
        typed = Path(editor.raw or editor.base or ".")
        start = await asyncio.to_thread(nearest_folder, typed)
        picker = FileOpen if editor.option.name == "weights" else SelectDirectory
        path = await self.app.push_screen_wait(picker(start, title=label_of(editor.option.name)))
        if path is not None:
            editor.put(str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path))

    def action_photos(self) -> None:
        self.query_one(Panel).toggle_photos(self.result)

    def action_command(self) -> None:
        from noodle_tui.tui.command import CommandLine

        if self.config is not None:
            self.app.push_screen(CommandLine(self.config))

    def action_demo(self) -> None:
        self.post_message(self.Demo())

    def action_runs(self) -> None:
        if self.config is not None:
            self.post_message(self.OpenRuns(self.config.save_dir))

    def action_look_again(self) -> None:
        self.look_again()

    def action_help(self) -> None:
        from noodle_tui.tui.widgets.dialogs import Help

        self.app.push_screen(Help("Setup: keys", KEYS))


def nearest_folder(place: Path) -> Path:
    """`place`, or the first of the folders above it that there is."""
    return next((folder for folder in (place, *place.parents) if folder.is_dir()), Path("."))


def without_flag(text: str) -> str:
    """A problem as it is said at its field: without the command line's name of it."""
    head, colon, rest = text.partition(": ")
    return rest if colon and head.startswith("--") and " " not in head else text
