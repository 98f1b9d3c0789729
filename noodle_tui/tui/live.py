"""The Live screen: one run, as it goes on. It draws `RunState`, folded from the events of any source."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event as Flag
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import get_current_worker

from noodle_tui.errors import NoodleError, one_line
from noodle_tui.events import Event, StageProgress
from noodle_tui.events import Message as LogMessage
from noodle_tui.run_state import RunState
from noodle_tui.text import printable
from noodle_tui.tui import curve_keys, live_keys, live_text
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.clipboard import copy_path
from noodle_tui.tui.curves import Curves, View, accuracy_picture, loss_picture
from noodle_tui.tui.machine import read_machine
from noodle_tui.tui.messages import Open, PickUp
from noodle_tui.tui.sources import RunSource, hand_over, in_parts
from noodle_tui.tui.themes import styles
from noodle_tui.tui.widgets.dialogs import Help, asked, help_on, stop_question
from noodle_tui.tui.widgets.epoch_table import EpochTable
from noodle_tui.tui.widgets.event_log import EventLog
from noodle_tui.tui.widgets.key_bar import KeyBar
from noodle_tui.tui.widgets.painting import Lines, clean, headed_rule
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sparkline import load_line
from noodle_tui.tui.widgets.too_small import TooSmall

READ_EVERY = 0.25  # seconds between two looks at the source
ENDED_EVERY = 2.0  # the same where nobody works on the run: it may be picked up
PAINT_EVERY = 1.0  # seconds between two paintings, at least: an SSH line has to carry them
MACHINE_EVERY = 3.0  # seconds between two looks at the GPU
SILENT_AFTER = 30.0  # seconds without a word from a run at work that are worth telling: a disk hangs, a job was suspended
LOADS = 20  # looks that are drawn: the last minute


class LiveScreen(Screen[None]):
    """A run's stage, curves, epochs and log. Repaints what changed, at most once a second; idle it writes nothing."""

    CSS, SCOPED_CSS = styles("live", "widgets/plot"), False
    is_current = only_on_top
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [*live_keys.BINDINGS]
    KEYS = live_keys.KEYS
    action_help = help_on("Live: keys", KEYS)
    action_log_scale, action_smooth, action_zoom = curve_keys.log_scale, curve_keys.smooth, curve_keys.zoom
    action_cursor, action_cursor_to = curve_keys.move_cursor, curve_keys.cursor_to
    on_plot_epoch_clicked = curve_keys.clicked

    class Detach(Message):
        """The user wants to leave the app, if it is its own run; the run goes on."""

    def __init__(self, source: RunSource, title: str = "run"):
        super().__init__()
        self.source = source
        self.run_title = title
        self.state = RunState()
        self.view = View()
        self.alive = True
        self.status = "starting"
        self._curves = Curves()
        self._machine: tuple[Content, ...] = ()  # from the longest form to the shortest
        self._request = ""  # what the run was asked and hasn't answered yet
        self._heard_at = time.monotonic()  # when it said something last
        self._painted_at = 0.0
        self._paint_is_due = False
        self._only_progress = False  # since the last painting nothing but progress was told
        self._left = Flag()

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        with Vertical(id="verdict-box"):
            yield Static(id="verdict")
        with Horizontal(id="plots"):
            yield Plot(id="loss")
            yield Plot(id="accuracy")
        with Vertical(id="below"):
            yield EpochTable(id="epochs")
            yield EventLog(id="log")
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        self._paint()
        self._follow()
        self.set_interval(SILENT_AFTER / 3, self._show_silence)

    def on_unmount(self) -> None:
        self._left.set()

    # -- from the source to the state ---------------------------------------------------------------------------------

    @work(thread=True, group="follow")
    def _follow(self) -> None:
        """Read the source and the machine until the screen closes. In a thread, where `call_later` is all that it may do with
        the screen."""
        worker = get_current_worker()
        alive, told, machine_due, trouble = True, ("", ()), 0.0, ""
        loads: deque[float] = deque(maxlen=LOADS)
        while not (worker.is_cancelled or self._left.wait((READ_EVERY if alive else ENDED_EVERY) if machine_due else 0)):
            # Asked before the reading: a run that ends in between has then said all that it will.
            was_alive, alive = alive, self.source.alive()
            try:
                events, trouble = self.source.read(), ""
            except NoodleError as error:  # of a network disk; it is asked again
                events, trouble, before = [], one_line(error), trouble
                if trouble != before:
                    self.call_later(self._take, [LogMessage(level="error", text=trouble)], alive)
            for part in in_parts(events):
                hand_over(self, self._left, self._take, part, was_alive)
            if alive != was_alive:
                self.call_later(self._take, (), alive)
            if time.monotonic() >= machine_due:
                machine_due = time.monotonic() + MACHINE_EVERY
                text, load = self._read_machine() if alive else ("", None)
                if load is not None:
                    loads.append(load)
                now = (text, tuple(loads) if load is not None else ())
                if now != told:
                    told = now
                    self.call_later(self._show_machine, *now)

    def _read_machine(self) -> tuple[str, float | None]:
        state = self.state
        host, pid = (state.started.host, state.started.pid) if state.started else ("", 0)
        return read_machine(state.model.device if state.model else "", host, pid)

    def _take(self, events: Sequence[Event], alive: bool) -> None:
        """Take in new events, and whether somebody works on the run."""
        if events:
            self._heard_at = time.monotonic()
        for event in events:
            self.state.apply(event)
        self.alive = alive
        self._curves.update(self.state.epochs)
        status = live_text.status_of(self.state, self.alive)
        if status != self.status:
            self.status, self._request, self._only_progress = status, "", False
            self.refresh_bindings()
            self._paint()
        elif events:
            self._only_progress = self._only_progress and all(isinstance(e, StageProgress) for e in events)
            self._paint_soon()

    @property
    def _silence(self) -> float:
        """Seconds without a word of a run at work; 0 where they are few."""
        silence, state = time.monotonic() - self._heard_at, self.state
        # while it validates, or compiles its first step, it says nothing
        speaks = state.stage_total is not None and state.stage != "evaluate" and (
            state.stage != "train" or state.stage_done < state.stage_total)
        return silence if self.status == "running" and speaks and silence >= SILENT_AFTER else 0.0

    def _show_silence(self) -> None:
        if self._silence:
            self._paint_header()

    def _show_machine(self, text: str, loads: Sequence[float]) -> None:
        """Show how busy the machine is, and was in the last looks."""
        history, now = load_line(loads, LOADS), Content(text)
        self._machine = (Content.assemble((history, "$rule"), "  ", now), now) if history else (now,)
        self._paint_header()

    # -- from the state to the screen ---------------------------------------------------------------------------------

    def _paint_soon(self) -> None:
        """Paint now if the last time is long enough ago, else when it is."""
        wait = self._painted_at + PAINT_EVERY - time.monotonic()
        if wait <= 0:
            self._paint()
        elif not self._paint_is_due:
            self._paint_is_due = True
            self.set_timer(wait, self._paint)

    def _paint(self) -> None:
        self._painted_at, self._paint_is_due = time.monotonic(), False
        if self._only_progress:  # curves and table are as they were: leave the processor to the training
            return self._paint_header()
        self._only_progress = True
        box = self.query_one_optional("#verdict", Static)
        if box is None:
            return  # the app is leaving
        verdict = live_text.verdict(self.state, self.status)
        verdict = None if verdict is None else clean(verdict)
        if not box.has_class(f"-{self.status}"):
            box.set_classes(f"-{self.status}")
            self.query_one("#verdict-box").display = verdict is not None
        if verdict is not None and box.content != verdict:
            box.update(verdict)
        self._paint_header()
        self.paint_curves()
        best = live_text.best_text(self.state.best) if self._width < live_text.BEST_AT else Content("")
        self.query_one(EpochTable).show(self.state.epochs, self.state.best, best)
        self.query_one(EventLog).show(self.state.log)

    @property
    def _run_name(self) -> str:
        return self.state.started.name if self.state.started else self.run_title

    @property
    def _width(self) -> int:
        """Cells of a line, less the padding."""
        return max(self.size.width - 2, 1)

    def _paint_header(self) -> None:
        width = self._width
        folder = Content.styled(str(self.source.folder or ""), "$quiet")
        sparks = live_text.sparks_line(self._curves, width)
        stage = live_text.stage_line(self.state, self.status, self._request, width, self._silence)
        rule = headed_rule(Content.styled(self._run_name, "bold"), width, *(self._machine if width < 98 else [folder]))
        lines = [rule, stage, sparks, live_text.facts_line(self.state)]
        if width >= 98:
            stages = live_text.stages_line(self.state, self.status)
            lines.insert(3, _at_both_ends(stages, width, *self._machine))
        self.query_one("#header", Lines).show(*lines)

    def paint_curves(self) -> None:
        state, view, curves = self.state, self.view, self._curves
        # A run that has ended fills the plots; while it goes on they leave room for the epochs to come.
        n_epochs = state.epoch if state.ended or self.status == "interrupted" else state.n_epochs
        note = live_text.awaited(state, self.status)
        for what, picture in (("loss", loss_picture), ("accuracy", accuracy_picture)):
            heading = live_text.plot_heading(what, curves, view, n_epochs, terse=self._width < live_text.BEST_AT)
            self.query_one(f"#{what}", Plot).show(*heading, picture(curves, view, n_epochs, state.best), note)

    @property
    def epoch_range(self) -> tuple[int, int]:
        epochs = self.state.epochs
        return (epochs[0].epoch, epochs[-1].epoch) if epochs else (1, 0)

    @property
    def axis_end(self) -> int:
        return View().window(self.state.epoch, self.state.n_epochs)[1]

    @property
    def some_plot(self) -> Plot:
        return self.query_one("#loss", Plot)

    def on_resize(self) -> None:
        self._only_progress = False
        self._paint()

    # -- what can be done ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows: those that do something now."""
        active = self.alive and self.state.ended is None
        match action:
            case "stop":
                return active
            case "pause":
                return active and self.status != "paused"
            case "go_on":
                return active and self.status == "paused"
            case "detach":
                return active
            case "close":
                return not active
            case "result":
                return not active and bool(self.state.epochs)
            case "resume":
                return not active and self.status != "done" and self.state.saved_epoch is not None
        return True

    @work
    async def action_stop(self) -> None:
        sure = await asked(self, stop_question(printable(self._run_name), self.state.epoch, self.state.n_epochs))
        if sure and self.check_action("stop", ()):
            self._ask(self.source.stop, "stopping")

    def action_pause(self) -> None:
        self._ask(self.source.pause, "pausing")

    def action_go_on(self) -> None:
        self._ask(self.source.go_on, "going on")

    @work
    async def _ask(self, request: Callable[[], None], in_words: str) -> None:
        """Make a request of the run, and show that it is on its way until the run has answered. In a thread: its folder may lie
        on a slow disk."""
        self._request = in_words
        self._paint_header()
        try:
            await asyncio.to_thread(request)
        except NoodleError as error:
            self._request = ""
            self._paint_header()
            self.notify(clean(Content(one_line(error))).markup, title="The run can't be told", severity="error")

    def action_detach(self) -> None:
        self.post_message(self.Detach())

    action_close = action_detach  # the same key, of a run that has ended

    def action_result(self) -> None:
        if self.source.folder is not None:
            self.post_message(Open(self.source.folder, alive=False))

    def action_resume(self) -> None:
        if self.source.folder is not None:
            self.post_message(PickUp(self.source.folder))

    def action_copy(self) -> None:
        if self.source.folder is None:
            self.notify("There is no run folder yet.", severity="warning")
            return
        copy_path(self, self.source.folder)

    def action_full(self) -> None:
        """The curves alone, or the table and the log below them again."""
        self.toggle_class("-full")

    def action_overview(self) -> None:
        if groups := live_text.overview(self.state):
            self.app.push_screen(Help("This run", groups))
        else:
            self.notify("The run hasn't said anything yet.")

    async def action_back_out(self) -> None:
        """Escape: no cursor, then back to the screen before."""
        if not curve_keys.put_cursor_away(self):
            await self.run_action("app.back")


def _at_both_ends(left: Content, width: int, *rights: Content) -> Content:
    """A line with `left` and the first of `rights` that has room beside it."""
    gaps = (width - left.cell_length - right.cell_length for right in rights)
    return next((Content.assemble(left, " " * gap, right) for gap, right in zip(gaps, rights, strict=True) if gap >= 2), left)
