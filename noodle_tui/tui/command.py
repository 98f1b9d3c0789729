"""The filled form as a command line and as a Slurm script, to be copied."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from noodle_tui.config import RunConfig
from noodle_tui.export import command_line, sbatch_script
from noodle_tui.tui.clipboard import copy_text
from noodle_tui.tui.widgets.painting import clean


class CommandLine(ModalScreen[None]):
    """Shows both; one key copies each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy_command", "Copy the command"),
        Binding("s", "copy_script", "Copy the script"),
        Binding("escape,q", "close", "Close"),
    ]

    def __init__(self, config: RunConfig):
        super().__init__()
        self.command, self.script = command_line(config), sbatch_script(config)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "This run without the app"
            dialog.border_subtitle = "c copies the command, s the script, esc closes"
            yield Static(Content.styled("In a terminal or a batch job", "bold"))
            yield Static(clean(Content(self.command)), classes="code")
            yield Static(Content.styled("As a Slurm script: sbatch FILE", "bold"))
            yield Static(clean(Content(self.script.rstrip())), classes="code")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Copy command (c)", id="copy_command", variant="primary", compact=True)
                yield Button("Copy script (s)", id="copy_script", compact=True)

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.run_action(str(event.button.id))

    def action_close(self) -> None:
        self.app.clear_notifications()  # else the screen below says again what was copied here
        self.dismiss()

    def action_copy_command(self) -> None:
        copy_text(self, self.command, "the command")

    def action_copy_script(self) -> None:
        copy_text(self, self.script, "the script")
