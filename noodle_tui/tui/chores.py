"""What the app does besides training, in a thread: sort photos, put them back, draw a demo. No screen in here."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError, StopRun, one_line
from noodle_tui.progress import Check, Progress
from noodle_tui.text import number_of, printable

if TYPE_CHECKING:
    from noodle_tui.preflight.photos import Photos
    from noodle_tui.rejig.manifest import Manifest


class Done(Message):
    """What a chore came to, in words."""

    def __init__(self, text: str, failed: bool = False):
        super().__init__()
        self.text, self.failed = text, failed


class DemoDrawn(Message):
    """The demo's photos are there: the options for a run on them."""

    def __init__(self, values: dict[str, Any]):
        super().__init__()
        self.values = values


class Chore:
    """Something that is done to photos, in a thread of its own: launch.py lets it end, whatever becomes of the app."""

    def __init__(self, doing: str, do: Callable[[Progress, Check], Message], tell: Callable[[Message], object], way_on: str):
        """Begins at once.

        doing   in words, e.g. "sorting the photos"
        do      the work; the Check that it gets raises StopRun once `stop` was called
        tell    is called at the end, in the chore's thread, with what `do` returned, or a Done that says what kept it
        way_on  what becomes of the rest once it was stopped, as a sentence ends
        """
        self._doing, self._do, self._tell, self._way_on = doing, do, tell, way_on
        self._so_far: tuple[int, int | None] = 0, None
        self._at_work, self._to_stop = True, threading.Event()
        self.last_words = ""  # of one that was to stop: the app may have gone when it does
        self._thread = threading.Thread(target=self._work, name="chore")
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def stop(self) -> None:
        """Have it end after the photo that it is at."""
        self._to_stop.set()

    def in_words(self) -> str:
        """What is done now, and how far it is: "sorting the photos: 40%". "" when it is done."""
        done, total = self._so_far
        so_far = f": {done / total:.0%}" if total else ""
        return f"{self._doing}{so_far}" if self._at_work else ""

    def _work(self) -> None:
        try:
            message = self._do(self._progress, self._check)
        except StopRun:
            self.last_words = f"Stopped {self._doing}: every photo is whole, and {self._way_on}."
            message = Done(self.last_words)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a chore is said; the app stays
            message = Done(one_line(error), failed=True)
            self.last_words = f"Not done {self._doing}: {printable(message.text)}" if self._to_stop.is_set() else ""
        self._at_work = False
        self._tell(message)

    def _progress(self, done: int, total: int | None) -> None:
        self._so_far = done, total

    def _check(self) -> None:
        if self._to_stop.is_set():
            raise StopRun


def rejig(config: RunConfig, progress: Progress, check: Check) -> str:
    """Sort the stimuli into the data folder. NoodleError if that can't be done. Looking at them is half of the progress."""
    from noodle_tui.rejig import apply_rejig, plan_rejig

    plan = plan_rejig(config, check, lambda done, total: progress(done, 2 * total if total else None))
    apply_rejig(plan, progress=lambda done, total: progress((total or 0) + done, 2 * total if total else None), check=check)
    if plan.already_done:
        return f"{config.data_dir} is already as asked for; nothing was changed."
    return f"{number_of(len(plan.files), 'photo')} sorted into {config.data_dir}."


def look_at_undo(data_dir: Path) -> "Manifest":
    """What an undo would take back in this data folder. NoodleError where there is nothing."""
    from noodle_tui.rejig.manifest import load_manifest

    made = load_manifest(data_dir)
    if made is None:
        raise NoodleError(f"{data_dir} was not made by rejig: there is nothing to undo")
    return made


def undo(data_dir: Path, stimuli: Path, progress: Progress, check: Check) -> str:
    """Put the photos back into `stimuli`. NoodleError if they came from elsewhere, or something is in their way."""
    from noodle_tui.rejig import undo_rejig, undone_in_words

    undone = undo_rejig(data_dir, stimuli=stimuli, progress=progress, check=check)
    return " ".join(undone_in_words(undone, data_dir, dry_run=False))


def may_move_photos(folder: Path) -> bool:
    """Whether the run was ever started with options that move photos, or doesn't say with which. The next start takes those
    in its checkpoint, those of one of the earlier starts; but to look there takes torch."""
    from noodle_tui.events import RunStarted
    from noodle_tui.run_folder import Follower

    starts = [event for event in Follower(folder).read() if isinstance(event, RunStarted)]
    return not starts or any(_moves_photos(start.config) for start in starts)


def photos_to_move(folder: Path, check: Check) -> "tuple[RunConfig, Photos] | None":
    """What a run would move if it were picked up now, with its options; None where it leaves all photos where they are.

    check  called between files; may raise StopRun
    Raises what keeps the run from being picked up.
    """
    from noodle_tui.pick_up import pick_up, sorts_first
    from noodle_tui.preflight.photos import look_at_photos

    config = pick_up(folder, RunConfig(load_dir=folder)).config
    if not (_moves_photos(config.model_dump()) and sorts_first(config, is_picked_up=True)):
        return None
    photos = look_at_photos(config, check)
    return (config, photos) if photos.rejig == "needed" else None


def _moves_photos(options: Mapping[str, Any]) -> bool:
    return bool(options.get("rejig_data")) and options.get("mode", "move") == "move"


def is_demo(given: Mapping[str, Any]) -> bool:
    """Whether these are a demo's options, and it is drawn."""
    from noodle_tui.demo import demo_config_values

    stimuli = Path(str(given.get("stimuli", "")))
    wanted = {name: str(value) for name, value in demo_config_values(stimuli.parent).items()
              if value != RunConfig.model_fields[name].default}
    return {name: str(value) for name, value in given.items()} == wanted and stimuli.is_dir()


def draw_demo(progress: Progress, check: Check) -> dict[str, Any]:
    """Draw invented people in a new folder; the options for a run on them."""
    from noodle_tui.demo import demo_config_values, draw_stimuli, new_demo_folder

    values = demo_config_values(new_demo_folder())
    draw_stimuli(values["stimuli"], progress=progress, check=check)
    return values
