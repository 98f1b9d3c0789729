"""The Runs screen: every run of a save_dir, newest first, live ones ticking."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input, Static

from noodle_tui.errors import NoodleError, one_line
from noodle_tui.paths import options_today
from noodle_tui.summaries import RunSummary, pin
from noodle_tui.text import number_of, printable
from noodle_tui.tui import runs_chores, runs_keys, runs_text
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.clipboard import copy_path
from noodle_tui.tui.compare import CompareScreen
from noodle_tui.tui.messages import CopyOptions, MoreEpochs, Open, PickUp
from noodle_tui.tui.run_watch import RunWatch
from noodle_tui.tui.runs_preview import Preview
from noodle_tui.tui.runs_selection import Selection
from noodle_tui.tui.runs_text import LETTERS
from noodle_tui.tui.themes import styles
from noodle_tui.tui.widgets.dialogs import Question, asked, help_on, stop_question
from noodle_tui.tui.widgets.key_bar import KeyBar
from noodle_tui.tui.widgets.line_input import LineInput
from noodle_tui.tui.widgets.painting import Lines, headed_rule
from noodle_tui.tui.widgets.pick_list import PickList
from noodle_tui.tui.widgets.too_small import TooSmall

PREVIEW_AT = 130  # cells of width from which the picked run's account has room beside the list
LEAST_DETAIL, MOST_DETAIL = 2, 6  # lines below the list about the picked run
PREVIEW_AFTER = 0.12  # seconds: a picked run is drawn once the cursor rests


class Query(LineInput):
    """The filter's line. While it is typed in, the footer says what leads out of it."""

    BINDINGS: ClassVar[list[BindingType]] = [*runs_keys.QUERY_BINDINGS]


class RunsScreen(Screen[None]):
    """The list of runs. It reads the folders in a thread every two seconds, and repaints what changed."""

    CSS, SCOPED_CSS = styles("runs", "widgets/plot"), False
    is_current = only_on_top
    AUTO_FOCUS = "#runs-list"
    BINDINGS: ClassVar[list[BindingType]] = [*runs_keys.BINDINGS]
    KEYS = runs_keys.KEYS
    action_help = help_on("Runs: keys", KEYS)

    def __init__(self, save_dir: Path, picked: Path | None = None):
        """picked: the folder of the run that the cursor is on at first"""
        super().__init__()
        self.save_dir = save_dir
        self._first_picked = picked
        self.selection = Selection()
        self._trash = runs_chores.Trash(save_dir)
        self._loaded = False
        self._error = ""
        self._picked_kind: tuple[str, bool] | None = None
        self._preview_timer: Timer | None = None
        self.folder_watch = RunWatch(save_dir)

    def compose(self) -> ComposeResult:
        yield Lines(id="runs-title")
        with Horizontal(id="runs-filter"):
            yield Static("/", id="runs-filter-sign")
            query = Query(placeholder="filter: words, status:done, acc>0.9, cfg.lr>=1e-3, -test", id="runs-query", compact=True)
            query.cursor_blink = False
            yield query
        yield Static(id="runs-trouble")
        with Horizontal(id="runs-body"):
            yield PickList(id="runs-list")
            yield Preview(id="runs-preview")
        yield Lines(id="runs-detail")
        yield Static(id="runs-empty")
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        self._paint_title()
        self._follow()

    def on_unmount(self) -> None:
        self.folder_watch.end()

    def on_screen_suspend(self) -> None:
        self.folder_watch.hidden.set()

    def on_screen_resume(self) -> None:
        self.folder_watch.hidden.clear()
        self.folder_watch.look_now()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= PREVIEW_AT, "-preview")
        self._paint_title()
        self._paint_picked()

    # -- from the folders to the list ---------------------------------------------------------------------------------

    @work(thread=True, group="follow")
    def _follow(self) -> None:
        """Look at the folders until the screen closes. In a thread, as in live.py."""
        self.folder_watch.follow(lambda runs, error, whole: self.call_later(self._take, runs, error, whole))

    def _take(self, runs: Sequence[RunSummary], error: str, whole: bool) -> None:
        """Show what there is, or why it can't be read. `whole`: these are all runs, not only the newest."""
        self._error, self._loaded = error, True
        self._paint_trouble()
        if self._error and self.selection.runs:  # of a network disk, and passing: they are read again
            return
        marked = self.selection.marked
        self.selection.take(runs, whole)
        if self.selection.marked != marked:  # runs that are gone took their marks along, and what could be done to those
            self.refresh_bindings()
        self.set_class(not runs, "-empty")
        if not runs:
            self.query_one("#runs-empty", Static).update(runs_text.empty_text(self.save_dir, self._error))
        elif self.focused is None:  # a list that was hidden has lost the keyboard
            self.call_after_refresh(self._list.focus)
        self._refill()
        if whole:
            self._first_picked = None

    def _refill(self) -> None:
        """Filter and sort anew; the cursor stays on its run."""
        picked, before = self._first_picked or (self.picked and self.picked.folder), self._list.cursor
        self.selection.arrange()
        shown = self.selection.shown
        cursor = next((i for i, run in enumerate(shown) if run.folder == picked), before)
        unfit = bool(self.selection.runs) and not self.selection.query_error
        self._list.show(len(shown), self._row, self._header, cursor, runs_text.NONE_FITS if unfit else "")
        self._paint_title()
        self._paint_picked()

    @property
    def _list(self) -> PickList:
        return self.query_one("#runs-list", PickList)

    @property
    def picked(self) -> RunSummary | None:
        """The run that the cursor is on."""
        shown, cursor = self.selection.shown, self._list.cursor
        return shown[cursor] if cursor < len(shown) else None

    # -- from the list to the screen ----------------------------------------------------------------------------------

    def _row(self, index: int, width: int) -> Content:
        run = self.selection.shown[index]
        return runs_text.row(run, width, self.selection.longest, self.selection.letter(run.folder))

    def _header(self, width: int) -> Content:
        return runs_text.header(width, self.selection.longest, self.selection.sort, self.selection.reverse)

    def _paint_title(self) -> None:
        title = Content.assemble(("Runs", "bold"), (f"  {printable(str(self.save_dir))}", "$quiet"))
        detail = Content.styled(self.selection.count_in_words() if self._loaded else "reading …", "$quiet")
        self.query_one("#runs-title", Lines).show(headed_rule(title, max(self.size.width - 2, 1), detail))

    def _paint_trouble(self) -> None:
        """What is wrong with the filter, or why the runs that are shown may be others by now."""
        error = self._error if self.selection.runs else ""
        trouble = self.query_one("#runs-trouble", Static)
        trouble.update(Content(f"✗ {printable(error)}" if error else f"! {printable(self.selection.query_error)}"))
        trouble.display = bool(error or self.selection.query_error)

    def _paint_picked(self) -> None:
        """What there is to say of the picked run: beside the list where there is room, else in two lines below it."""
        run = self.picked
        if (kind := run and (run.status, run.resumable)) != self._picked_kind:  # the footer is rewritten only where it changes
            self._picked_kind = kind
            self.refresh_bindings()
        self.query_one(Preview).visible = run is not None
        if run is None:
            self.query_one("#runs-detail", Lines).show()
        elif self.has_class("-preview"):
            self.query_one(Preview).show(run)
        else:
            detail = self.query_one("#runs-detail", Lines)
            detail.show(*runs_text.detail_lines(run, detail.size.width, self._detail_height()))

    def _detail_height(self) -> int:
        """As many lines as a short list leaves free; the same for each run, so that nothing jumps."""
        detail = self.query_one("#runs-detail", Lines)
        free = self._list.size.height + detail.size.height - len(self.selection.shown) - 1  # its header
        height = min(max(free, LEAST_DETAIL), MOST_DETAIL)
        detail.styles.height = height
        return height

    @on(PickList.Moved)
    def _picked_another(self) -> None:
        self._first_picked = None
        if self._preview_timer is not None:
            self._preview_timer.stop()
        self._preview_timer = self.set_timer(PREVIEW_AFTER, self._paint_picked)

    # -- what can be done ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows: those that do something now."""
        run = self.picked if self.is_mounted else None
        if isinstance(self.focused, Query) and action in runs_keys.ACTIONS:  # its letters are typed
            return action in ("back_out", "help")
        match action:
            case "open" | "mark" | "copy_path" | "pin":
                return run is not None
            case "filter" | "sort":
                return bool(self.selection.runs)
            case "copy_options":
                return run is not None and bool(run.config)
            case "overlay":
                return len(self.selection.to_compare()) > 1
            case "resume":
                return run is not None and run.resumable
            case "more_epochs":
                return run is not None and run.status == "done"
            case "stop":
                return run is not None and run.alive
            case "delete":
                runs = self.selection.to_delete(run)
                return bool(runs) and not any(one.alive for one in runs)
            case "restore":
                return self._trash.is_used or bool(parameters)
            case "say_why_not":
                return run is not None and not self.check_action(str(parameters[0]), ())
        return True

    @on(PickList.Chosen)
    def action_open(self) -> None:
        if (run := self.picked) is None:
            return
        if run.status == "broken":
            self.notify(printable(run.error), title="This run can't be read", severity="error", markup=False)
        else:
            self.post_message(Open(run.folder, run.alive))

    def action_mark(self) -> None:
        if (run := self.picked) is None:
            return
        if self.selection.toggle_mark(run.folder):
            self._list.action_move(1)
            self._show_marks()
        else:
            self.notify(f"{len(LETTERS)} runs are marked: more can't be told apart.", severity="warning")

    def _show_marks(self) -> None:
        self._list.repaint()
        self._paint_title()
        self.refresh_bindings()

    def action_overlay(self) -> None:
        runs = self.selection.to_compare()
        if (rest := len(runs) - len(LETTERS)) > 0:
            self.notify(f"An overlay holds {len(LETTERS)}: {number_of(rest, 'pinned run')} had no room.", timeout=4)
        self.app.push_screen(CompareScreen(runs[: len(LETTERS)]))

    def action_sort(self) -> None:
        shown = runs_text.columns_for(self._list.size.width - 1, self.selection.longest)
        self.selection.sort_by_next([column for column, _ in shown])
        self._refill()

    def action_reverse(self) -> None:
        self.selection.reverse = not self.selection.reverse
        self._refill()

    @on(PickList.HeaderClicked)
    def _header_clicked(self, message: PickList.HeaderClicked) -> None:
        column = runs_text.column_at(message.x, self._list.size.width, self.selection.longest)
        if column is self.selection.sort:
            self.action_reverse()
        elif column is not None and column.key is not None:
            self.selection.sort_by(column)
            self._refill()

    def action_filter(self) -> None:
        self.set_focus(self.query_one("#runs-query"))  # at once: what is typed next is for it

    @on(Input.Changed, "#runs-query")
    def _filter(self, message: Input.Changed) -> None:
        self.selection.filter(message.value)
        self._paint_trouble()
        self._refill()

    @on(Input.Submitted, "#runs-query")
    def _filtered(self) -> None:
        self._list.focus()

    async def action_back_out(self) -> None:
        """Escape: from the filter to the list, then no filter, then no marks, then back to the screen before."""
        query = self.query_one("#runs-query", Input)
        if query.has_focus or query.value:
            query.value = ""
            self._list.focus()
        elif self.selection.marked:
            self.selection.marked.clear()
            self._show_marks()
        else:
            await self.run_action("app.back")

    def action_resume(self) -> None:
        if run := self.picked:
            self.post_message(PickUp(run.folder))

    def action_more_epochs(self) -> None:
        if run := self.picked:
            self.post_message(MoreEpochs(run.folder))

    def action_say_why_not(self, action: str) -> None:
        """Of a key that does nothing now, say why."""
        if run := self.picked:
            run = next((one for one in self.selection.to_delete(run) if one.alive), run) if action == "delete" else run
            self.notify(runs_text.why_not(action, run, len(self.selection.to_compare())), severity="warning", timeout=4,
                        markup=False)

    @work
    async def action_copy_options(self) -> None:
        """In a thread it is looked where the run's files are now: some lie on slow network disks."""
        if run := self.picked:
            today = await asyncio.to_thread(options_today, run.config, run.cwd, run.folder_then, run.folder)
            if self.is_current:
                self.post_message(CopyOptions(today))

    async def action_new_run(self) -> None:
        await self.run_action("app.home")

    def action_copy_path(self) -> None:
        if run := self.picked:
            copy_path(self, run.folder)

    # -- what can be done to a folder ---------------------------------------------------------------------------------

    def action_stop(self) -> None:
        if run := self.picked:
            question = stop_question(printable(run.folder.name), run.epoch, run.n_epochs)
            self._do_if_sure(question, lambda: runs_chores.stop(run.folder))

    @work
    async def action_delete(self) -> None:
        runs = self.selection.to_delete(self.picked)
        folders, hidden = [run.folder for run in runs], sum(run not in self.selection.shown for run in runs)
        if await self._asked_after_a_look(lambda: self._trash.question(folders, hidden)):
            self._do(lambda: self._trash.put(folders))

    @work
    async def action_restore(self, earlier: bool = False) -> None:
        """Bring the last deleted runs back, with the cursor on them: the next key is for those."""
        try:
            said, folders = await asyncio.to_thread(self._trash.take_back)
        except (NoodleError, OSError) as error:
            return self._say_done(one_line(error), failed=True)
        if folders:
            self._first_picked = folders[0]
        self._say_done(said)

    @work
    async def action_empty_trash(self) -> None:
        try:
            gone = await asyncio.to_thread(self._trash.in_it)
            if not gone:
                self.notify("The trash is empty.", timeout=4)
            elif await self._asked_after_a_look(lambda: self._trash.question_to_empty(gone)):
                self._do(lambda: self._trash.empty(gone))
        except (NoodleError, OSError) as error:  # it may be emptied elsewhere between the two looks
            self._say_done(one_line(error), failed=True)

    async def _asked_after_a_look(self, question: Callable[[], Question]) -> bool:
        """Whether the answer is yes to a question that takes a look at the disk, in a thread. Not asked of who has gone on into
        the filter meanwhile: what is typed there must not become a yes."""
        focused = self.focused
        asks = await asyncio.to_thread(question)
        return self.focused is focused and await asked(self, asks)

    def action_pin(self) -> None:
        if run := self.picked:
            said = "" if run.pinned else "Pinned: it stays on top, and goes into overlays."
            self._do(lambda: pin(run.folder, not run.pinned) or said)

    @work
    async def _do_if_sure(self, question: Question, what: Callable[[], str]) -> None:
        if await asked(self, question):
            self._do(what)

    @work
    async def _do(self, what: Callable[[], str]) -> None:
        """Do something to a folder, in a thread; it returns what to say of it ("" where the list shows it anyway)."""
        try:
            self._say_done(await asyncio.to_thread(what))
        except (NoodleError, OSError) as error:
            self._say_done(one_line(error), failed=True)

    def _say_done(self, text: str, failed: bool = False) -> None:
        if text:
            self.app.clear_notifications()  # what was said before of the same folder may hold no longer
            self.notify(printable(text), severity="error" if failed else "information", timeout=4, markup=False)
        self.folder_watch.look_now()
        self.refresh_bindings()
