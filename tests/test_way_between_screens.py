"""The app: from screen to screen and back, and the command palette."""

from pathlib import Path

from fake_folders import fake_folder
from small_app import until

from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.result import ResultScreen
from noodle_tui.tui.runs import RunsScreen
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.sources import FolderSource


async def test_out_of_a_result_the_way_leads_to_where_it_was_opened(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "stopped")
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test() as pilot:
        app.show_live(FolderSource(folder), "run")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.state.ended is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.facts is not None)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        app.show_runs(tmp_path)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
