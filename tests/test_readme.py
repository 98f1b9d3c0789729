"""The README's table of options is RunConfig's. After a change: NOODLE_UPDATE_README=1 pytest tests/test_readme.py"""

import os
import re
from pathlib import Path

from noodle_tui.cli.flags import default_in_words
from noodle_tui.config import options

README = Path(__file__).parent.parent / "README.md"
BETWEEN = re.compile(r"(?<=<!-- options -->\n).*(?=<!-- /options -->)", re.S)


def options_table() -> str:
    lines = ["| option | default | what it does |", "| --- | --- | --- |"]
    for option in options():
        default = default_in_words(option).replace("|", "\\|")
        what = option.help + (f" ({option.bounds})" if option.bounds else "")
        what += f": {', '.join(option.choices)}" if option.choices else ""
        lines.append(f"| `--{option.flag}` | `{default}` | {what} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_options_is_run_configs():
    text = README.read_text()
    if os.environ.get("NOODLE_UPDATE_README"):
        README.write_text(BETWEEN.sub(lambda _: options_table(), text))
        text = README.read_text()
    found = BETWEEN.search(text)
    assert found is not None
    assert found.group() == options_table()


def test_every_command_is_named():
    from noodle_tui.cli import app

    text = README.read_text()
    for command in app.registered_commands:
        assert f"noodle {command.name}" in text, command.name


def test_pictures_and_links_are_there():
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
