"""The right side of the Runs screen, in wide windows: an account of the picked run, and its curve."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from noodle_tui.summaries import RunSummary
from noodle_tui.text import printable
from noodle_tui.tui import runs_text
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sheet import Sheet


class Preview(Vertical):
    """Shows one run."""

    def compose(self) -> ComposeResult:
        yield Sheet(id="runs-account")
        yield Plot(id="runs-curve")

    def show(self, run: RunSummary) -> None:
        self.query_one(Sheet).show(lambda width: runs_text.account(run, width), printable(run.name))
        self.query_one(Plot).show(
            Content.styled("validation accuracy", "bold"), [Content.styled("95% interval", "$quiet")], runs_text.curve(run))
