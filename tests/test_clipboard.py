"""Copying: through the terminal, and through tmux, which is a script here that notes what it is handed."""

from pathlib import Path
from typing import Any

import pytest
from small_app import SmallApp, until
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets._toast import Toast

from noodle_tui.config import RunConfig
from noodle_tui.tui.clipboard import copy_text
from noodle_tui.tui.command import CommandLine


@pytest.fixture
def tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app runs in a tmux, the only program that there is."""
    script = tmp_path / "bin" / "tmux"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\n{{ echo "$@"; while read -r line; do echo "$line"; done; }} > "{tmp_path}/taken"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    return script


def said(pilot: Pilot[Any]) -> list[str]:
    return [f"{note.title} {note.message}".strip() for note in pilot.app._notifications]


async def test_in_tmux_a_text_is_handed_to_tmux_too(tmux: Path, tmp_path: Path) -> None:
    screen = Screen[None]()
    async with SmallApp(screen).run_test() as pilot:
        copy_text(screen, "noodle runs\n", "the command")
        await until(pilot, lambda: said(pilot) == ["Copied the command"])
        assert (tmp_path / "taken").read_text() == "load-buffer -w -\nnoodle runs\n"
        assert pilot.app.clipboard == "noodle runs\n"


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", None])
async def test_what_tmux_does_not_take_is_shown_and_not_said_to_be_copied(tmux: Path, script: str | None) -> None:
    tmux.write_text(script) if script else tmux.unlink()
    screen = Screen[None]()
    async with SmallApp(screen).run_test() as pilot:
        copy_text(screen, "noodle [runs]\x1b", "the command")
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot) == ["tmux doesn't take it; copy it by hand noodle [runs]�"]


async def test_without_tmux_none_is_looked_for(tmux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX")
    screen = Screen[None]()
    async with SmallApp(screen).run_test() as pilot:
        copy_text(screen, "noodle runs", "the command")
        await until(pilot, lambda: said(pilot) == ["Copied the command"])
        await pilot.pause(0.2)
    assert not (tmp_path / "taken").exists()


async def test_what_was_copied_in_a_window_is_said_there_alone() -> None:
    below = Screen[None]()
    async with SmallApp(below).run_test(notifications=True) as pilot:
        window = CommandLine(RunConfig())
        pilot.app.push_screen(window)
        await until(pilot, lambda: pilot.app.screen is window)
        await pilot.press("c")
        await until(pilot, lambda: bool(window.query(Toast)))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is below)
        await pilot.pause(0.1)
        assert not below.query(Toast)
