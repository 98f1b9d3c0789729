"""The app around its screens: what it says where, and what it does for Setup."""

from pathlib import Path

import pytest
from fake_runs import ReplaySource, fake_events
from small_app import until
from textual.widgets import Button
from textual.widgets._toast import Toast

from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.widgets.dialogs import Question

SMALL = {"weights": "none", "device": "cpu"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


async def test_what_was_said_before_does_not_cover_a_dialog_or_a_run() -> None:
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.notify("one line\nand another", timeout=60)
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.pause()
        assert not app.screen.query(Toast)
        app.notify("what comes while it is open", timeout=60)
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        toast = app.screen.query_one(Toast)
        await until(pilot, lambda: bool(toast.region))
        assert not any(toast.region.overlaps(button.region) for button in app.screen.query(Button))
        await pilot.press("escape")
        app.show_live(ReplaySource(fake_events(3, "done")), "run")
        await pilot.pause(0.3)
        assert not app.screen.query(Toast)
