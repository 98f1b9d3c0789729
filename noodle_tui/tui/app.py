"""The app: themes, breakpoints, and which screen comes next. Thin: a screen's own business stays in its file.

    Setup ──Start──> Live ──> Result          Runs opens any run: Live while it goes on, Result afterwards.

A run that is started here belongs to a `BackgroundRun`, not to the app: when the app goes, the run goes on (see launch.py).
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Resize
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.worker import get_current_worker

from noodle_tui.config import RunConfig
from noodle_tui.errors import EXIT_STOPPED, NoodleError, StopRun, one_line
from noodle_tui.imports import import_all
from noodle_tui.progress import Check, Progress
from noodle_tui.remember import recall_theme, remember_theme
from noodle_tui.run_folder import has_options, is_alive, list_runs
from noodle_tui.terminal import leave_session, leave_terminal, terminal_is_there, terminal_streams
from noodle_tui.text import as_argument, number_of, printable
from noodle_tui.tui import chores
from noodle_tui.tui.difference import Difference, Shown
from noodle_tui.tui.driver import PatientDriver
from noodle_tui.tui.messages import CopyOptions, MoreEpochs, Open, PickUp
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.setup_form import in_fields
from noodle_tui.tui.setup_questions import resume_question
from noodle_tui.tui.stylesheet import KeptStylesheet
from noodle_tui.tui.themes import THEMES
from noodle_tui.tui.widgets import too_small
from noodle_tui.tui.widgets.dialogs import ChoiceDialog

if TYPE_CHECKING:  # imported where they are used: the first paint waits for Setup alone
    from noodle_tui.background import BackgroundRun
    from noodle_tui.tui.palette import Commands
    from noodle_tui.tui.sources import RunSource

TERMINAL_EVERY = 2.0  # seconds between two looks whether the terminal is still there
# asyncio's own pool has 6 threads on two processors, and each screen that follows a run keeps one: a stop might never get one
THREADS, THREAD_NAME = 64, "app"


def _commands() -> "type[Commands]":
    from noodle_tui.tui.palette import Commands

    return Commands


class NoodleApp(App[None]):
    """noodle-tui. Opens on the screen `first`, on a run that is going on in the save folder, or on Setup."""

    TITLE = "noodle"
    CSS_PATH = Path(__file__).with_name("noodle.tcss")
    COMMANDS = {_commands}  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Quit", show=False),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
        Binding("f10", "leave", "Quit", show=False),
        Binding("ctrl+l", "draw_anew", "Draw anew", show=False),
    ]
    # Classes that every screen carries, for noodle.tcss to fit it to the window.
    HORIZONTAL_BREAKPOINTS = [(0, "-cramped"), (too_small.WIDTH, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (too_small.HEIGHT, "-short"), (34, "-tall")]  # noqa: RUF012

    def __init__(self, values: dict[str, Any] | None = None, first: Screen | None = None, recall_last: bool = True):
        """values: options that fill in the form; with `recall_last` the folder's last ones fill in the rest."""
        super().__init__(driver_class=PatientDriver)
        self.stylesheet = KeptStylesheet(variables=self.get_css_variables())
        self.background: BackgroundRun | None = None  # the run that was started here last
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD_NAME)
        self._shown = Shown()
        self.hung_up = False  # its terminal went away
        self.chore: chores.Chore | None = None  # what is done to photos, or was last
        self._demo: dict[str, Any] | None = None  # options of a drawn one that would have replaced what was typed
        self._called_with = {name: value for name, value in (values or {}).items() if name != "save_dir"}
        self.setup = SetupScreen(values, recall_last, self.is_busy, self.at_work)
        self._first = first
        for one in THEMES:
            self.register_theme(one)
        theme, own = recall_theme(), [one.name for one in THEMES]
        self.theme = theme if theme in own else own[0]
        for name in self.available_themes.keys() - set(own):  # in which curves, bands and shades can't be told apart
            self.unregister_theme(name)

    def _display(self, screen: Screen, renderable: Any) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            renderable = Difference(renderable, self._shown)
        super()._display(screen, renderable)

    def action_draw_anew(self) -> None:
        """All of it, whatever the terminal shows."""
        self._shown.forget()
        self.refresh()

    def on_mount(self) -> None:
        asyncio.get_running_loop().set_default_executor(self._threads)
        self._listen_to_signals()
        self.theme_changed_signal.subscribe(self, lambda theme: self._keep_theme(theme.name))
        self.screen_change_signal.subscribe(self, self._clear_toasts, immediate=True)
        self.push_screen(self._first or self.setup)
        self.call_after_refresh(_collect_garbage_from_now_on)
        if self._first is None:  # Setup imports what else there is
            self.call_after_refresh(self._look_for_live_runs, self._save_dir())
        else:
            self.call_after_refresh(self._threads.submit, import_all, "noodle_tui.tui")

    def on_unmount(self) -> None:
        """asyncio would wait for all threads, and one may hang on a disk; launch.py waits a moment."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        self._threads.shutdown(wait=False)

    @work
    async def _keep_theme(self, name: str) -> None:
        try:
            await asyncio.to_thread(remember_theme, name)
        except OSError as error:
            self.notify(f"These colours can't be remembered ({error.strerror}).", severity="warning")

    @work
    async def _look_for_live_runs(self, save_dir: Path) -> None:
        """A run that goes on without a terminal is shown at once; several are listed. Who called for another is only told."""
        try:
            alive = await asyncio.to_thread(lambda: [folder for folder in list_runs(save_dir) if is_alive(folder)])
            meant = await asyncio.to_thread(lambda: [one for one in alive if has_options(one, self._called_with)])
        except NoodleError:
            return  # Setup says what is wrong with the folder
        if not alive:
            return
        if not (meant and self.setup.is_untouched):
            self.notify(f"{number_of(len(alive), 'run')} going on in {printable(str(save_dir))}: f5 in Setup lists them.",
                        markup=False)
        elif len(meant) == 1:
            self.open_run(meant[0], True)
        else:
            self.show_runs(save_dir)

    async def on_event(self, event: Event) -> None:
        """Keys behind the one that ends the app would open screens in an app that is half gone."""
        if isinstance(event, Resize):  # also to the same size: made smaller and back, a terminal has lost what it showed
            self._shown.forget()
        if self.return_code is None or not isinstance(event, Key):
            await super().on_event(event)

    @property
    def failure(self) -> Exception | None:
        """The error that nobody foresaw and that ended the app, if one did."""
        return self._exception

    def _print_error_renderables(self) -> None:
        """Textual prints an error with what the variables held, paths and names among it; launch.py says it in a line."""
        if self._exception is None or self.is_headless:
            super()._print_error_renderables()

    # -- the terminal and the system ----------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        if self.is_headless:
            return
        self._terminal = terminal_streams()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.hang_up)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):  # no key: a terminal that is drawn on sends no SIGINT
            loop.add_signal_handler(number, self.stop_and_leave, f"stopped by {signal.Signals(number).name}")
        self.set_interval(TERMINAL_EVERY, self._look_at_terminal)

    def _look_at_terminal(self) -> None:
        """Some terminals go without SIGHUP."""
        if not terminal_is_there():
            self.hang_up()

    def hang_up(self) -> None:
        """The terminal is gone: the app leaves, a run goes on."""
        from noodle_tui.background import end_process_after

        self.hung_up = True
        leave_terminal(self._terminal)
        leave_session()
        end_process_after(*(work.join for work in (self.background, self.chore) if work is not None))
        self.exit()

    def stop_and_leave(self, reason: str) -> None:
        busy, at_work = self.is_busy(), self.at_work()
        if self.background is not None and busy:
            self.background.control.stop(reason)
        if self.chore is not None:
            self.chore.stop()
        self.exit(return_code=EXIT_STOPPED if busy or at_work else 0)  # also where that has ended before launch.py looks

    def _clear_toasts(self, screen: Screen) -> None:
        """What was said before is out of the way of a dialog's buttons."""
        if isinstance(screen, ModalScreen):
            self.clear_notifications()

    # -- from screen to screen ----------------------------------------------------------------------------------------

    def home(self) -> SetupScreen:
        """Setup, whatever was above or in place of it."""
        while len(self.screen_stack) > 2:  # the lowest is Textual's own, the next one ours
            self.pop_screen()
        if self.screen is not self.setup:
            self.switch_screen(self.setup)
        return self.setup

    def action_back(self) -> None:
        """The screen below; from the first one, Setup, or out of an app that was opened for that screen (`noodle watch`), but
        not while a run that was resumed here goes on."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        elif self.screen is self._first and not self.is_busy():
            self.exit()
        else:
            self.home()

    def _save_dir(self) -> Path:
        values = self.setup.values
        return Path(str(values.given.get("save_dir") or values.base["save_dir"]))

    def is_busy(self) -> bool:
        return self.background is not None and self.background.alive()

    def start(self, config: RunConfig, title: str = "") -> None:
        """Start a run in a background thread and show it. title: until it says its name itself."""
        if self._start(config):
            self.action_live(title or config.namestr)

    def _start(self, config: RunConfig) -> bool:
        """Start a run in a background thread. False, and it is said, if there is one already, or photos are on their way: it
        would miss those."""
        from noodle_tui.background import BackgroundRun

        if self.is_busy():
            self._say_busy("start this one with the command (f6).")
            return False
        if self._says_at_work():
            return False
        self.background = BackgroundRun(config)
        return True

    def _say_busy(self, or_else: str) -> None:
        self.notify(f"A run is going on in this app already; stop it first, or {or_else}", title="Not started",
                    severity="warning", markup=False)

    def _uncover(self, wanted: Callable[[Screen], bool]) -> bool:
        """Go back to a screen that is there already, below others. False if none is the wanted one."""
        if not any(wanted(screen) for screen in self.screen_stack):
            return False
        while not wanted(self.screen):
            self.pop_screen()
        return True

    def show_live(self, source: "RunSource", title: str) -> None:
        from noodle_tui.tui.live import LiveScreen

        self.clear_notifications()
        folder = source.folder
        if not self._uncover(lambda screen: isinstance(screen, LiveScreen) and screen.source.folder == folder is not None):
            self.push_screen(LiveScreen(source, title))

    def show_runs(self, save_dir: Path, picked: Path | None = None) -> None:
        """The runs in `save_dir`; the cursor on `picked`."""
        from noodle_tui.tui.runs import RunsScreen

        if not self._uncover(lambda screen: isinstance(screen, RunsScreen) and screen.save_dir == save_dir):
            self.push_screen(RunsScreen(save_dir, picked))

    def show_result(self, folder: Path) -> None:
        from noodle_tui.tui.result import ResultScreen

        if not isinstance(self.screen, ResultScreen) or self.screen.folder != folder:  # asked for twice
            self.push_screen(ResultScreen(folder))

    def open_run(self, folder: Path, alive: bool) -> None:
        if alive:
            self.show_live(self._source(folder), folder.name)
        else:
            self.show_result(folder)

    def _source(self, folder: Path) -> "RunSource":
        from noodle_tui.tui.sources import BackgroundSource, FolderSource

        if self.background is not None and self.background.folder == folder:
            return BackgroundSource(self.background)
        return FolderSource(folder)

    def on_setup_screen_start(self, message: SetupScreen.Start) -> None:
        self.start(message.config)

    def on_setup_screen_rejig_only(self, message: SetupScreen.RejigOnly) -> None:
        self._begin("sorting the photos", lambda *hooks: chores.Done(chores.rejig(message.config, *hooks)))

    def on_setup_screen_undo_rejig(self, message: SetupScreen.UndoRejig) -> None:
        self._begin("putting the photos back",
                    lambda *hooks: chores.Done(chores.undo(message.data_dir, message.stimuli, *hooks)))

    def on_setup_screen_demo(self) -> None:
        if self._demo is None:
            self._begin("drawing invented people", lambda *hooks: chores.DemoDrawn(chores.draw_demo(*hooks)),
                        way_on="another demo is drawn in a new folder")
        else:
            self._fill_in_demo(self._demo)

    def on_open(self, message: Open) -> None:
        self.open_run(message.folder, message.alive)

    def on_pick_up(self, message: PickUp) -> None:
        if self.is_busy():
            self._say_busy(f"in a shell: noodle run --load-dir {as_argument(message.folder)}")
        elif self._says_at_work():
            return
        elif not isinstance(self.screen, ModalScreen):  # asked for twice: the question of the first is there
            self._pick_up(message.folder, (self.screen, self.focused))

    @work(exclusive=True, group="pick up")
    async def _pick_up(self, folder: Path, asked_at: tuple[Screen, Widget | None]) -> None:
        """Go on with a run. Photos leave their folder only where the user says so, as from Setup."""
        worker, name = get_current_worker(), printable(folder.name)

        def check() -> None:
            if worker.is_cancelled:
                raise StopRun

        would_move = None
        try:
            if await asyncio.to_thread(chores.may_move_photos, folder):
                self.notify("Looking whether photos would be moved …")
                would_move = await asyncio.to_thread(chores.photos_to_move, folder, check)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being picked up is said; the app stays
            self.notify(in_fields(one_line(error)), title="Not started", severity="error", markup=False)
            return
        config = RunConfig(load_dir=folder)
        if (self.screen, self.focused) != asked_at:  # what is typed there must not become a yes, or a key of Live
            if would_move is not None:
                self.notify(f"{name} would move photos first: resume it again to be asked.", title="Not resumed",
                            severity="warning", markup=False)
            elif self._start(config):
                self.notify(f"{name} goes on: ctrl+p, Live shows it.", markup=False)
        elif would_move is None or await self.push_screen_wait(resume_question(*would_move, folder.name)):
            self.start(config, folder.name)

    def on_copy_options(self, message: CopyOptions) -> None:
        values = {name: value for name, value in message.config.items() if name != "load_dir"}
        self.home().take_options(values, str(message.config.get("namestr", "a run")))

    def on_more_epochs(self, message: MoreEpochs) -> None:
        self.home().take_run(message.folder)

    def on_live_screen_detach(self) -> None:
        """From the run of this app: leave it, and the terminal. From another one: only its screen, see `action_back`."""
        from noodle_tui.tui.sources import BackgroundSource

        if not self.is_busy() or not isinstance(getattr(self.screen, "source", None), BackgroundSource):
            self.action_back()
        elif not self._says_at_work():
            self.exit()

    # -- chores -------------------------------------------------------------------------------------------------------

    def at_work(self) -> str:
        """What is done to photos now, in words; "" for nothing."""
        return self.chore.in_words() if self.chore is not None else ""

    def _begin(self, doing: str, do: Callable[[Progress, Check], Message], way_on: str = "it can be taken up again") -> None:
        """Do something with photos, one thing at a time."""
        if not self._says_at_work():
            self.chore = chores.Chore(doing, do, self.post_message, way_on)
            self.setup.look_again()

    def _says_at_work(self) -> bool:
        """Whether something is done to photos; then that is said."""
        if at_work := self.at_work():
            self.notify(f"Still {at_work}. ctrl+q can stop it.", severity="warning")
        return bool(at_work)

    def on_done(self, message: chores.Done) -> None:
        text, failed = message.text, message.failed
        self.notify(printable(in_fields(text) if failed else text), severity="error" if failed else "information",
                    timeout=10 if failed else 5, markup=False)
        if self.setup.is_attached and self.return_code is None:  # else the app is being left, and its screens are going
            self.setup.chore_ended(well=not failed)

    def on_demo_drawn(self, message: chores.DemoDrawn) -> None:
        if not self.setup.is_attached or self.return_code is not None:
            return
        if self.setup.is_new():
            self._demo = message.values
            self.setup.chore_ended(well=True)
            self.notify("The demo is drawn: f4 fills the form in for it.")
        else:
            self._fill_in_demo(message.values)

    def _fill_in_demo(self, values: dict[str, Any]) -> None:
        self._demo = None
        self.setup.fill_in_demo(values)
        self.notify("The form is filled in for the demo: ctrl+r starts it.")

    def action_help_quit(self) -> None:
        """ctrl+c, which in a terminal ends things: Textual tells of a key that doesn't ask what becomes of a run."""
        self.notify("ctrl+q quits", timeout=3)

    # -- leaving ------------------------------------------------------------------------------------------------------

    @work
    async def action_leave(self) -> None:
        """Quit. While photos are on their way, or a run goes on here, ask what becomes of that."""
        if isinstance(self.screen, ChoiceDialog):
            return
        if at_work := self.at_work():
            answer = await self.push_screen_wait(ChoiceDialog(
                "Photos are on their way", f"Still {at_work}.",
                (("stay", "Let it finish", "esc"), ("stop", "Stop it, then quit", "s")),
            ))
            if answer != "stop" or self.chore is None:
                return
            self.chore.stop()
        if not self.is_busy():
            self.exit()
            return
        answer = await self.push_screen_wait(ChoiceDialog(
            "A run is going on", "What shall become of it?",
            (("stay", "Stay here", "esc"), ("detach", "Leave it running: detach", "d"),
             ("stop", "Stop & save, then quit", "s")),
        ))
        if answer == "detach":
            self.exit()
        elif answer == "stop" and self.background is not None:
            self.background.control.stop()
            self.notify("Stopping: it finishes its batch and saves …", timeout=60)
            await asyncio.to_thread(self.background.join)
            self.exit(return_code=EXIT_STOPPED)

    def action_command_palette(self) -> None:
        from noodle_tui.tui.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())  # without Textual's id: one that was just closed may still have it

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """The palette: everything that the screen can do now, then every screen, then what is found only. Each title once."""
        from noodle_tui.tui.palette import commands_anywhere, commands_of, commands_searched

        commands: dict[str, SystemCommand] = {}
        for command in (*commands_of(self, screen), *commands_anywhere(self), *commands_searched(self, screen)):
            commands.setdefault(command.title, command)
        return commands.values()

    def action_runs(self) -> None:
        """All runs; from Live or Result those beside the one that is shown, which esc leads back to."""
        from noodle_tui.tui.live import LiveScreen
        from noodle_tui.tui.result import ResultScreen

        screen = self.screen
        folder = screen.source.folder if isinstance(screen, LiveScreen) else None
        folder = screen.folder if isinstance(screen, ResultScreen) else folder
        if folder is None:
            self.home()
        self.show_runs(folder.parent if folder else self._save_dir(), folder)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.is_busy() if action == "live" else True

    def action_home(self) -> None:
        self.home()

    def action_live(self, title: str = "run") -> None:
        """The run that was started here last, over Setup."""
        from noodle_tui.tui.sources import BackgroundSource

        if self.background is not None:
            self.home()
            self.show_live(BackgroundSource(self.background), title)


def _collect_garbage_from_now_on() -> None:
    """What is there at the first paint stays; launch.py had switched the collector off until now."""
    gc.freeze()
    gc.enable()
