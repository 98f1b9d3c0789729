"""What the app does besides training, in a thread: sort photos, put them back, draw a demo. No screen in here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError
from noodle_tui.names import number_of
from noodle_tui.progress import Check

if TYPE_CHECKING:
    from noodle_tui.preflight.photos import Photos


def rejig(config: RunConfig) -> str:
    """Sort the stimuli into the data folder. NoodleError if that can't be done."""
    from noodle_tui.rejig import apply_rejig, plan_for

    plan = plan_for(config)
    if plan.already_done:
        return f"{config.data_dir} is already as asked for; nothing was changed."
    apply_rejig(plan)
    return f"{number_of(len(plan.files), 'photo')} sorted into {config.data_dir}."


@dataclass(frozen=True)
class Undo:
    """What an undo of a rejig would do."""

    mode: str  # of the rejig: "move", "copy" or "link"
    stimuli: Path  # where the photos came from
    count: int


def look_at_undo(data_dir: Path) -> Undo:
    """What it would be in this data folder. NoodleError where there is nothing to undo."""
    from noodle_tui.rejig.manifest import load_manifest

    made = load_manifest(data_dir)
    if made is None:
        raise NoodleError(f"{data_dir} was not made by rejig: there is nothing to undo")
    return Undo(made.mode, Path(made.stimuli), len(made.files))


def undo(data_dir: Path, stimuli: Path) -> str:
    """Put the photos back into `stimuli`. NoodleError if they came from elsewhere, or something is in their way."""
    from noodle_tui.rejig import undo_rejig

    count = undo_rejig(data_dir, stimuli=stimuli)
    return f"{number_of(count, 'photo')} taken out of {data_dir}; moved ones are back where they came from."


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
    from noodle_tui.pick_up import pick_up
    from noodle_tui.preflight.photos import look_at_photos

    config = pick_up(folder, RunConfig(load_dir=folder)).config
    if not _moves_photos(config.model_dump()):
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


def draw_demo() -> dict[str, Any]:
    """Draw invented people in a new folder; the options for a run on them."""
    from noodle_tui.demo import demo_config_values, draw_stimuli, new_demo_folder

    values = demo_config_values(new_demo_folder())
    draw_stimuli(values["stimuli"])
    return values
