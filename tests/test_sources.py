"""How a screen gets a long run's past: in parts, with room for keys between them."""

import asyncio
from pathlib import Path
from threading import Event as Flag

from fake_folders import fake_folder
from small_app import SmallApp, until
from textual import work
from textual.screen import Screen

from noodle_tui.events import EpochDone, Message, RunStarted
from noodle_tui.run_folder import EVENTS
from noodle_tui.tui.sources import FolderSource, hand_over


class Taking(Screen[None]):
    """Takes twenty parts, and notes whether the event loop had a turn since the part before."""

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.seen, self.left = 0, list[int](), Flag()

    def on_mount(self) -> None:
        self.follow()

    def on_unmount(self) -> None:
        self.left.set()

    @work(thread=True)
    def follow(self) -> None:
        for _ in range(20):
            hand_over(self, self.left, self.take)

    def take(self) -> None:
        self.seen.append(self.turns)
        asyncio.get_running_loop().call_soon(self.turn)

    def turn(self) -> None:
        self.turns += 1


async def test_between_two_parts_the_screen_has_a_turn() -> None:
    screen = Taking()
    async with SmallApp(screen).run_test() as pilot:
        await until(pilot, lambda: len(screen.seen) == 20)
    assert screen.seen == list(range(20))


async def test_who_leaves_in_the_midst_of_it_waits_for_nothing() -> None:
    screen = Taking()
    screen.take = lambda: screen.app.exit()  # type: ignore[method-assign]
    async with SmallApp(screen).run_test() as pilot:
        await pilot.pause()
    assert screen.left.is_set()


def test_what_another_version_says_in_a_run_folder_is_left_out_with_one_word(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", n_epochs=3)
    whole = (folder / EVENTS).read_text()
    (folder / EVENTS).write_text(whole.replace('{"event": "Saved"', '{"event": "Averaged"'))
    source = FolderSource(folder)
    events = source.read()
    assert isinstance(events[0], Message) and "of another version" in events[0].text
    assert isinstance(events[1], RunStarted) and events[0].time == events[1].time
    assert sum(isinstance(event, EpochDone) for event in events) == 3
    with open(folder / EVENTS, "a") as file:
        file.write('{"event": "Averaged"}\n' + whole.splitlines()[-1] + "\n")
    assert len(source.read()) == 1
