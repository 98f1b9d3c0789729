"""What the command palette lists before something is typed; imported when it is opened first."""

from textual.command import DiscoveryHit, Hits
from textual.system_commands import SystemCommandsProvider


class Commands(SystemCommandsProvider):
    """The app's commands in its own order, what the screen can do first. Textual's are sorted by title."""

    async def discover(self) -> Hits:
        for title, text, callback, discover in self.app.get_system_commands(self.screen):
            if discover:
                yield DiscoveryHit(title, callback, help=text)
