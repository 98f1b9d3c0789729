"""CSS in the whole app: parsed once, and anew for other colours."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_app import until
from textual.css import stylesheet

from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.runs import RunsScreen
from noodle_tui.tui.themes import THEMES


async def test_a_screen_that_brings_css_has_no_other_parsed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: Counter[Any] = Counter()
    parse = stylesheet.parse  # type: ignore[attr-defined]
    monkeypatch.chdir(tmp_path)
    async with NoodleApp({}, recall_last=False).run_test() as pilot:
        await pilot.pause()
        monkeypatch.setattr(stylesheet, "parse", lambda scope, css, read_from, *rest, **named: (
            parsed.update([read_from]) or parse(scope, css, read_from, *rest, **named)))
        before = set(pilot.app.stylesheet.source)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
        assert "runs.py" in {Path(place).name for place, _ in parsed}
        assert not parsed.keys() & before and set(parsed.values()) == {1}
        parsed.clear()
        pilot.app.theme = next(theme.name for theme in THEMES if theme.name != pilot.app.theme)
        await until(pilot, lambda: parsed.keys() == pilot.app.stylesheet.source.keys())
