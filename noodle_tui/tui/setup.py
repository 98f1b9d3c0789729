"""The Setup screen: every option of a run, and beside it what the run will do, looked up as the form changes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button

from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError
from noodle_tui.paths import working_folder
from noodle_tui.remember import recall
from noodle_tui.text import printable
from noodle_tui.tui import chores, setup_keys, setup_text
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.setup_bar import MORE_BUTTONS, Bar
from noodle_tui.tui.setup_form import Form, hint_of, label_of, without_flag
from noodle_tui.tui.setup_panel import Panel
from noodle_tui.tui.setup_paths import close_completions, complete_paths, pick_path
from noodle_tui.tui.setup_questions import (
    demo_question,
    move_question,
    options_question,
    reset_question,
    sort_question,
    undo_question,
)
from noodle_tui.tui.setup_values import Values
from noodle_tui.tui.widgets.dialogs import asked, help_on
from noodle_tui.tui.widgets.key_bar import KeyBar
from noodle_tui.tui.widgets.option_field import OptionInput, as_text
from noodle_tui.tui.widgets.painting import Lines, headed_rule
from noodle_tui.tui.widgets.too_small import HEIGHT, WIDTH, TooSmall
from noodle_tui.tui.words import end_of

if TYPE_CHECKING:  # see setup_panel.py
    from noodle_tui.preflight.checks import Preflight

CHORES = {"rejig_only", "undo_rejig", "demo"}  # what is done to photos, one at a time
LOOK_AFTER = 0.3  # seconds without a change before the preflight looks anew
FIRST_LOOK_AFTER = 0.05  # the screen is painted first
LOOK_AT_APP_EVERY = 1.0  # seconds between two looks whether a run goes on here, and how far photos are


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
    BINDINGS: ClassVar[list[BindingType]] = [*setup_keys.BINDINGS]
    KEYS = setup_keys.KEYS
    action_help = help_on("Setup: keys", KEYS)

    class Start(Message):
        """The user wants this run."""

        def __init__(self, config: RunConfig):
            super().__init__()
            self.config = config

    class RejigOnly(Message):
        """The user wants the photos sorted, and no run. Call `look_again` when that begins, `chore_ended` when it has ended."""

        def __init__(self, config: RunConfig):
            super().__init__()
            self.config = config

    class UndoRejig(Message):
        """The user wants the photos put back where they came from, and has been asked. To be told of as RejigOnly."""

        def __init__(self, data_dir: Path, stimuli: Path):
            super().__init__()
            self.data_dir, self.stimuli = data_dir, stimuli

    class Demo(Message):
        """The user wants to see a run on drawn people. To be told of as RejigOnly."""

    def __init__(
        self, values: dict[str, Any] | None = None, recall_last: bool = True, is_busy: Callable[[], bool] = lambda: False,
        at_work: Callable[[], str] = lambda: "",
    ):
        """values: given from outside (flags); they win over the last values of this working folder (`recall_last`). is_busy:
        whether a run goes on in this app. at_work: what is done to photos now, in words."""
        super().__init__()
        self._is_busy, self._was_busy = is_busy, False
        self._at_work, self._was_at_work = at_work, ""
        here = working_folder()
        self.folder = Path(here)
        last, note = recall(self.folder) if recall_last and here else ({}, "")
        self.values = Values({**last, **(values or {})})
        note = note or ("the last values of this folder are filled in (f8 resets)" if last else "")
        self.panel = Panel(self.folder, [note] if note else [])
        self._start_wanted = False
        self._keys: tuple[bool, ...] = ()  # which of the bindings do something now

    def compose(self) -> ComposeResult:
        # Textual fits a screen to the window after it has laid it out and painted it once; this saves that once
        width, height = self.app.size
        for cells, breakpoints in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            self.add_class([name for least, name in breakpoints if cells >= least][-1], update=False)
        yield Lines(id="title")
        with Horizontal(id="body"):
            with VerticalScroll(id="scroll", can_focus=False):
                yield Form()
            yield self.panel
        yield Lines(id="hint")
        yield Bar(id="bar")
        yield KeyBar(show_command_palette=False)
        yield TooSmall()

    def on_mount(self) -> None:
        self.set_interval(LOOK_AT_APP_EVERY, self.look_at_app)
        self._show_values()
        self.call_after_refresh(self._complete)

    async def _complete(self) -> None:
        """The rest of the form, and the first look, which imports a lot: after the first paint."""
        await self.form.mount_rest(self.values.given, self.values.base)
        wanted = self._start_wanted  # a key may have been quicker than the form
        self._changed()
        if wanted:
            self._start()

    def on_resize(self) -> None:
        width = max(self.size.width - 2, 1)
        place = Content.styled(end_of(printable(str(self.folder)), max(width - len("Setup") - 6, 1)), "$quiet")
        self.query_one("#title", Lines).show(headed_rule(Content.styled("Setup", "bold"), width, place))
        self.call_after_refresh(self._hint)  # it is as wide as it will be
        close_completions(self)

    def look_at_app(self) -> None:
        """Show whether a run goes on here, and what is done to photos."""
        now = self._is_busy(), self._at_work()
        if now != (self._was_busy, self._was_at_work) and self.is_current:
            self._was_busy, self._was_at_work = now
            self._paint()

    def on_screen_suspend(self) -> None:
        self._start_wanted = False  # who went elsewhere is not to find a run begun

    def on_screen_resume(self) -> None:
        self.look_at_app()
        if self.result is not None or self.panel.is_due:  # the user comes back: a run or a rejig may have changed the folders
            self.look_again()

    # -- the form -----------------------------------------------------------------------------------------------------

    @property
    def form(self) -> Form:
        return self.query_one(Form)

    @property
    def given(self) -> dict[str, Any]:
        """The options that are set, as typed."""
        return self.values.given

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was done here yet, so that another screen may come by itself: no key is for this one."""
        unmoved = self.form.focused in (None, self.form.editors["stimuli"])
        return self.is_current and unmoved and not self._start_wanted and not self.is_new()

    def is_new(self) -> bool:
        """Whether something was typed that would be lost."""
        self._catch_up()
        return self.values.is_new

    def load_values(self, values: dict[str, Any]) -> None:
        """Fill the form in anew, e.g. with a past run's options. Names that are no option are left out."""
        self.values.fill(values)
        if self.is_mounted:  # else it shows them when it comes
            self._show_values()
            self._changed()
            self.panel.to_top()

    def fill_in_demo(self, values: dict[str, Any]) -> None:
        """Fill the form in for the demo. A start that waits while that is drawn is meant for it."""
        wanted = self._start_wanted
        self.load_values(values)
        if wanted:
            self._start()

    def _show_values(self) -> None:
        self.form.show(self.values.given, self.values.base)

    def on_form_changed(self, message: Form.Changed) -> None:
        message.stop()
        if self.values.put(message.name, message.value):
            self._changed()

    def _catch_up(self) -> None:
        """Take in what is typed already though its message is still on the way: over a slow line keys come all at once."""
        if not self.is_mounted:  # nobody can have typed anything
            return
        late = {name: raw for name, raw in self.form.typed().items() if as_text(raw) != as_text(self.given.get(name))}
        for name, raw in late.items():
            self.on_form_changed(Form.Changed(name, raw))

    def _changed(self) -> None:
        """Check the form now; look at what it asks for a moment later."""
        self.values.check()
        self._mark()
        self._hint()
        self._start_wanted = False
        self._look(wait=LOOK_AFTER if self.result else FIRST_LOOK_AFTER)

    def _mark(self, found: "Preflight | None" = None) -> None:
        """Mark what is set, and what is wrong: as typed, and as was found."""
        self.form.mark(self.values.changed, {name: without_flag(text) for name, text in self._problems(found).items()})

    def _problems(self, found: "Preflight | None") -> dict[str, str]:
        """What is wrong with each option: as typed, or else as was found."""
        was_found = {finding.option: finding.text for finding in (found.errors if found else ()) if finding.option}
        return {**was_found, **self.values.problems}

    # -- from the form to what will happen ----------------------------------------------------------------------------

    @property
    def result(self) -> "Preflight | None":
        """What the last look found."""
        return self.panel.result

    def look_again(self) -> None:
        """Look at folders, weights and device again: something outside of the form has changed."""
        self.look_at_app()
        self.panel.outdate()
        self._look(wait=0.0)

    def chore_ended(self, well: bool) -> None:
        """Nothing is done to photos any more: look at them. A start that waits for that, waits on only if all went well."""
        self._start_wanted = self._start_wanted and well
        self.look_again()

    def _look(self, wait: float) -> None:
        """While something is done to photos no look is begun, and one that is under way is dropped: what it would find of
        photos half moved is true no longer when it is read."""
        values = self.values
        # not those that go on with an old run, and none that could not be used: else the next new run would begin with them
        to_remember = values.given if values.config is not None and values.config.load_dir is None else None
        self.panel.look_at(None if self._at_work() else values.rest, to_remember, wait)
        self._paint()

    def on_panel_looked(self, message: Panel.Looked) -> None:
        message.stop()
        self._catch_up()  # else what is typed, and on its way, would give way to what the look puts into the fields
        if not self.panel.take(message):
            return
        if self.panel.is_settled:
            if self.values.rest_on(message.result):
                self._show_values()
            self._mark(message.result)
            self._hint()
        self._paint()
        if self.panel.is_settled and self._start_wanted:
            self._start()

    # -- from what is known to the screen -----------------------------------------------------------------------------

    def _paint(self) -> None:
        if not self.panel.is_attached:
            return  # the app is leaving
        problems = self.values.problems
        self.panel.show(problems)
        possible = {name for name in MORE_BUTTONS if self.check_action(name, ())}
        if self._was_at_work:
            self.query_one(Bar).show(setup_text.at_work(self._was_at_work, self._start_wanted),
                                     {"start", *possible} - CHORES, "Start")
        elif self._was_busy:
            self.query_one(Bar).show(setup_text.BUSY, {"start", *possible}, "To the run")
        else:
            self.query_one(Bar).show(self.panel.headline(problems, self._start_wanted),
                                     possible if self._has_errors() else {"start", *possible}, "Start")
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        """Have the footer rebuilt, which takes a while, only where other keys do something than before."""
        keys = tuple(bool(self.check_action(binding.action, ())) for binding in self.BINDINGS if isinstance(binding, Binding))
        if keys != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _has_errors(self) -> bool:
        return bool(self.values.problems) or self.panel.has_errors

    def on_descendant_focus(self) -> None:
        self._hint()
        self._refresh_keys()
        editor = self.form.focused
        if isinstance(editor, OptionInput) and editor.takes_a_path:
            complete_paths(self, editor)

    def _hint(self) -> None:
        """Say what the focused field is about, or what is wrong with it."""
        editor = self.form.focused
        hint = self.query_one("#hint", Lines)
        if editor is None:
            return hint.show()
        option = editor.option
        before = editor.before if isinstance(editor, OptionInput) and editor.value != editor.before else ""
        problem = without_flag(self._problems(self.result).get(option.name, ""))
        hint.show(*hint_of(option, problem, before, max(hint.size.width, 1), max(hint.size.height, 1)))

    # -- what can be done ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows: those that do something now."""
        match action:
            case "start":
                return not self._is_busy()
            case "browse":
                editor = self.form.focused
                return editor is not None and editor.takes_a_path
            case "undo_rejig":
                return self.result is not None and self.result.made_by_rejig and "data_dir" not in self.values.problems
            case "rejig_only":
                done = self.result is not None and self.result.photos is not None and self.result.photos.rejig == "done"
                return self.values.config is not None and not done
            case "command":
                return self.values.config is not None
            case "say_why_not":
                return not self.check_action(str(parameters[0]), ())
            case "photos":
                return self.result is not None and self.result.photos is not None
        return True

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.run_action("app.live" if event.button.id == "start" and self._was_busy else str(event.button.id))

    def action_start(self) -> None:
        """Start. What a look found wrong may be mended by now, a photo or a disk: look again."""
        self._catch_up()
        was_wrong = self.panel.has_errors and not self.values.problems
        self._start()
        if was_wrong:
            self.look_again()

    def _start(self) -> None:
        """Start; once the look has ended, if one is under way or waits for what is done to photos. Where something is to be
        mended, go there."""
        if self._has_errors():
            self._start_wanted = False
            self._go_to_what_is_wrong()
        elif self.values.config is not None and self.panel.is_settled and self.panel.is_fresh:
            self._start_wanted = False
            self._start_if_sure(self.values.config)
        else:
            self._start_wanted = True
            if self.panel.is_settled:
                self.look_again()
            self._paint()

    @work
    async def _start_if_sure(self, config: RunConfig) -> None:
        """Photos leave their folder only with a yes."""
        photos = self.result.photos if self.result else None
        would_move = photos if photos is not None and photos.rejig == "needed" and config.mode == "move" else None
        if would_move is None or await asked(self, move_question(config, would_move)):
            self.values.keep()
            self.post_message(self.Start(config))

    def _go_to_what_is_wrong(self) -> None:
        self.panel.scroll_home(animate=False)
        troubles = [finding.option for finding in self.result.errors] if self.result else []
        for name in (*self.values.problems, *troubles):
            if name in self.form.editors:
                self.form.editors[name].focus()
                break

    @work
    async def action_rejig_only(self) -> None:
        """Sort the photos, if the plan of it is in sight, and with a yes; else show the plan first."""
        config, result = self.values.config, self.result
        if config is None:
            return
        if not config.rejig_data:
            self.values.given["rejig_data"] = True
            self._show_values()
            self._changed()
            self.notify("Rejig is switched on: look at what will happen, then press f2 again.")
        elif not self.panel.is_settled or result is None:
            self.notify(f"Still {self._at_work() or 'looking at the photos'}.")
        elif result.photos is None:
            self._start()  # goes to what is to be mended
        elif await asked(self, sort_question(config, result.photos)):
            self.post_message(self.RejigOnly(config))

    def action_say_why_not(self, action: str) -> None:
        """Of a key that does nothing now."""
        if self.values.config is None:
            wrong = ", ".join(map(label_of, self.values.problems))
            self.notify(f"Mend what is wrong first: {wrong}.", severity="warning", timeout=4)
            self._go_to_what_is_wrong()
        elif action == "rejig_only":
            self.notify("The photos are sorted as the form says already.", timeout=4)

    @work
    async def action_undo_rejig(self) -> None:
        if self.result is None:
            return
        data_dir = self.result.config.data_dir
        try:
            made = await asyncio.to_thread(chores.look_at_undo, data_dir)
        except NoodleError as error:
            return self.notify(printable(str(error)), severity="error", markup=False)
        if await asked(self, undo_question(data_dir, made)):
            self.post_message(self.UndoRejig(data_dir, Path(made.stimuli)))

    @work
    async def action_reset(self) -> None:
        if not self.given:
            return self.notify("All options are at their defaults.")
        if await asked(self, reset_question(self.given)):
            self.panel.notes.clear()
            self.load_values({})

    @work
    async def action_browse(self) -> None:
        editor = self.form.focused
        if not working_folder():  # the window can't be without one
            self.notify("The working folder was removed: type the path instead.", severity="warning")
        elif isinstance(editor, OptionInput):
            await pick_path(self, editor, self.folder)

    def action_photos(self) -> None:
        self.panel.toggle_photos()

    def action_command(self) -> None:
        from noodle_tui.tui.command import CommandLine

        if self.values.config is not None:
            self.app.push_screen(CommandLine(self.values.config))

    @work
    async def action_demo(self) -> None:
        """Have the demo drawn and filled in. What is set in the form would go: not without asking."""
        given = dict(self.given)
        if await asyncio.to_thread(chores.is_demo, given):
            return self.notify("The demo is drawn and filled in already: ctrl+r starts it.")
        if not given or await asked(self, demo_question(given)):
            self.values.keep()  # it may go: only what is typed from now on is asked for again
            self.post_message(self.Demo())

    @work
    async def take_options(self, values: dict[str, Any], name: str) -> None:
        """Fill the form in with a past run's options, for a new run. What was typed since would go: not without asking."""
        if not self.is_new() or await asked(self, options_question(self.given, name)):
            self.load_values(values)
            self.notify(f"The form has the options of {printable(name)}.", markup=False)

    @work
    async def take_run(self, folder: Path) -> None:
        """Fill the form in to pick up a finished run; how many epochs it is to have is for the user to say."""
        if not self.is_new() or await asked(self, options_question(self.given, folder.name)):
            self.load_values({"load_dir": str(folder)})
            self.form.editors["n_epochs"].focus()
            self.notify(f"Give {printable(folder.name)} more epochs than it has done, then start.", markup=False)

    def action_page(self, direction: int) -> None:
        self.panel.page(direction)

    def action_look_again(self) -> None:
        self.look_again()
