"""CSS that is parsed once: Textual would parse all of it anew whenever a screen is opened first that brings a file of its
own."""

from textual.css.stylesheet import Stylesheet


class KeptStylesheet(Stylesheet):
    """Keeps what it has parsed, until a theme brings other colours."""

    def reparse(self) -> None:
        self.parse()
