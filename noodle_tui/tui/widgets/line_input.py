"""A line to type in that takes its keys in the order in which they were pressed."""

from textual import events
from textual.widgets import Input

from noodle_tui.tui.widgets.painting import CONTROLS

# What each editing key does; enter is whoever asks for the line's.
EDITING = {key: binding.action for binding in Input.BINDINGS for key in binding.key.split(",")  # type: ignore[union-attr]
           if binding.action != "submit"}  # type: ignore[union-attr]


class LineInput(Input):
    """Textual's, but for bursts of keys, as slow lines deliver them: Textual gives letters to the field at once and looks
    editing keys up later, so that of ctrl+u 1 5 nothing would be left."""

    async def _on_key(self, event: events.Key) -> None:
        if action := EDITING.get(event.key):
            event.stop()
            event.prevent_default()  # Input's own _on_key, which would come next
            await self.run_action(action)

    def _on_paste(self, event: events.Paste) -> None:
        """Input's own comes next: what it gets has no control codes, which no name of a file that is typed has."""
        event.text = event.text.translate({code: None for code in CONTROLS if chr(code) not in "\r\n"})

    def action_copy(self) -> None:
        """Copy what is selected; where nothing is, ctrl+c is what it is elsewhere: it says how to quit."""
        if self.selected_text:
            super().action_copy()
        else:
            self.app.action_help_quit()
