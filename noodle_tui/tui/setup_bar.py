"""The bar of the Setup screen: Start, whether it can, and in wide windows more of what can be done."""

from collections.abc import Collection

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Static

from noodle_tui.tui.setup_panel import update

MORE_BUTTONS = {"rejig_only": "Rejig only", "undo_rejig": "Undo rejig", "demo": "Demo", "reset": "Reset",
                "command": "Copy command"}


class Bar(Horizontal):
    """Its buttons are named after the screen's actions."""

    def compose(self) -> ComposeResult:
        yield Button("Start  ^r", variant="primary", id="start", compact=True)
        yield Static(id="headline")
        for name, label in MORE_BUTTONS.items():
            yield Button(label, id=name, compact=True, classes="more")

    def show(self, headline: Content, possible: Collection[str], first: str) -> None:
        """`possible`: the actions that do something now; `first`: what the first button says."""
        self.query_one("#start", Button).label = f"{first}  ^r"
        update(self.query_one("#headline", Static), headline)
        for button in self.query(Button):
            button.disabled = button.id not in possible
