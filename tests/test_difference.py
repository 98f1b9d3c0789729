"""What is written to the terminal: what it doesn't show yet, and all of that."""

import random
from pathlib import Path
from typing import Any

import pyte
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from small_app import until
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Input

from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.difference import Difference, Shown

WIDTH, HEIGHT = 40, 6
CONSOLE = Console(color_system="256", force_terminal=True)
STYLES = [Style.parse(words)
          for words in ("red on black", "green on black", "red on blue", "underline red on black", "reverse")]


def strip(rng: random.Random, width: int) -> Strip:
    """Words, blanks and wide letters in several styles."""
    segments: list[Segment] = []
    while (room := width - Strip(segments).cell_length) > 0:
        text = rng.choice(["a", "loss", "   ", "─", "日"])
        segments.append(Segment(text if Segment(text).cell_length <= room else " ", rng.choice(STYLES)))
    return Strip(segments)


def whole(rows: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[row.crop(0, 15), row.crop(15)] for row in rows], Region(0, 0, WIDTH, len(rows)))


def part(rows: list[Strip], y: int, left: int, right: int) -> ChopsUpdate:
    """Some columns of a row, as Textual has it: in the pieces of two widgets."""
    chops = [{0: row.crop(0, 15), 15: row.crop(15)} for row in rows]
    return ChopsUpdate(chops, [(y, left, right)], [[15, WIDTH]] * len(rows))


def written(update: LayoutUpdate | ChopsUpdate, shown: Shown) -> str:
    return Difference(update, shown).render_segments(CONSOLE)


def seen(screen: pyte.Screen) -> list[list[Any]]:
    """What a person sees: no ink of a blank."""
    cells = [[screen.buffer[y][x] for x in range(WIDTH)] for y in range(HEIGHT)]
    return [[cell if cell.data != " " or cell.underscore or cell.reverse else (cell.data, cell.bg) for cell in row]
            for row in cells]


@pytest.mark.parametrize("seed", range(5))
def test_the_terminal_shows_what_it_would_show_if_all_were_written(seed: int) -> None:
    rng, shown, terminal = random.Random(seed), Shown(), pyte.Screen(WIDTH, HEIGHT)
    rows = [strip(rng, WIDTH) for _ in range(HEIGHT)]
    pyte.Stream(terminal).feed(written(whole(rows), shown))
    for _ in range(20):
        if rng.random() < 0.2:
            rows = [strip(rng, WIDTH) for _ in range(HEIGHT)]
            update = whole(rows)
        else:
            y, left, right = rng.randrange(HEIGHT), rng.randrange(15), 15 + rng.randrange(WIDTH - 15)
            rows[y] = Strip.join((rows[y].crop(0, left), strip(rng, right - left), rows[y].crop(right)))
            update = part(rows, y, left, right)
        pyte.Stream(terminal).feed(written(update, shown))
        expected = pyte.Screen(WIDTH, HEIGHT)
        pyte.Stream(expected).feed(written(whole(rows), Shown()))
        assert seen(terminal) == seen(expected)


def test_what_is_there_is_not_written_again_until_it_is_forgotten() -> None:
    frame, shown = whole([strip(random.Random(y), WIDTH) for y in range(HEIGHT)]), Shown()
    everything = written(frame, shown)
    assert written(frame, shown) == ""
    shown.forget()
    assert written(frame, shown) == everything


def test_of_a_row_the_changed_cells_are_written() -> None:
    before, after = (Strip([Segment(f"loss {number}", STYLES[0])]).adjust_cell_length(WIDTH) for number in ("0.41", "0.40"))
    shown = Shown()
    written(whole([before]), shown)
    assert written(whole([after]), shown) == f"\x1b[1;9H{Strip([Segment('0', STYLES[0])]).render(CONSOLE)}"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NoodleApp:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return NoodleApp({"weights": "none", "device": "cpu"}, recall_last=False)


@pytest.mark.parametrize("cause", [pytest.param(lambda app: app.post_message(Resize(app.size, app.size)), id="window"),
                                   pytest.param(lambda app: app.simulate_key("ctrl+l"), id="key")])
async def test_all_is_drawn_anew_after(cause: Any, app: NoodleApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """window: made smaller and larger again, before the app has seen it. It has lost what it showed."""
    done: list[str] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.5)
        monkeypatch.setattr(Shown, "forget", lambda self: done.append("forgotten"))
        monkeypatch.setattr(NoodleApp, "_display", lambda app, screen, update: done.append(type(update).__name__))
        cause(app)
        await until(pilot, lambda: "forgotten" in done and "LayoutUpdate" in done[done.index("forgotten"):])


async def test_the_palette_at_rest_writes_nothing(app: NoodleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        assert not app.screen.query_one(Input).cursor_blink
