"""`--load-dir`: pick a run up where its checkpoint stands, or start a new one from trained weights."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noodle_tui.config import OF_ONE_START, REFUSED, TOLD, RunConfig, make_config, options, shown
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.paths import options_today, working_folder
from noodle_tui.rejig.manifest import links_lead_astray, rejig_options
from noodle_tui.run_folder import CHECKPOINT, CONFIG, MODEL, PREVIOUS, has_checkpoint, is_alive
from noodle_tui.text import as_argument, number_of

if TYPE_CHECKING:
    from noodle_tui.checkpoint import Checkpoint

MOST_UNKNOWN = 20  # of another version's options and parts, in a line


def sorts_first(config: RunConfig, is_picked_up: bool) -> bool:
    """Whether a run begins by sorting photos. One that is picked up has done so, and goes on with those: what came to the
    stimuli since is not for it. It sorts again where that was undone, done otherwise, or by links to where the
    stimuli no longer are."""
    if not (config.rejig_data and is_picked_up):
        return config.rejig_data
    made = rejig_options(config.data_dir)
    if made is None or made.get("stimuli") != os.path.realpath(config.stimuli):
        return True
    if made.get("mode") == "link" and links_lead_astray(config.data_dir):
        return True
    return (set(made.get("classes", ())) != set(config.classes)
            or any(made.get(name) != getattr(config, name) for name in ("val_fraction", "split_by", "person", "seed")))


@dataclass(frozen=True)
class PickedUp:
    """A run as its checkpoint left it."""

    config: RunConfig  # as stored, with what was given anew
    stored: "Checkpoint"
    warnings: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)  # other options than before, where they decide what is learnt

    @property
    def times(self) -> int:
        """How often the run has been picked up, this time included if any epoch is left."""
        return self.stored.times + (self.stored.epoch < self.config.n_epochs)

    def other_terms(self, now: dict[str, str]) -> list[str]:
        """In what it is trained otherwise from here on, if it is: see Session.terms. "auto" may have meant something else."""
        if self.stored.epoch >= self.config.n_epochs:
            return []
        before = self.stored.terms  # not always were they kept
        return [f"{name} {before[name]} up to {self.stored.so_far}, then {value}" for name, value in now.items()
                if before.get(name, value) != value]

    def check_data(self, fingerprint: str, order: str) -> None:
        """NoodleError if the photos are not those that the checkpoint was trained on, or stand in another order."""
        if fingerprint != self.stored.fingerprint:
            raise NoodleError(
                f"the photos in {self.config.data_dir} are not those that this run was trained on (fingerprint "
                f"{fingerprint[:12]}, then {self.stored.fingerprint[:12]}): put them back, or start a new run "
                "from its weights with --load-dir RUN/model.pth"
            )
        if order != self.stored.order:
            raise NoodleError(
                f"the photos in {self.config.data_dir} have other names than when this run was trained on them, and names "
                "decide what makes up a batch: give them their names back, or start a new run from its weights with --load-dir "
                "RUN/model.pth"
            )


def folder_to_pick_up(config: RunConfig) -> Path | None:
    """The run folder with a checkpoint that --load-dir names; None if there is none to go on in.

    UsageError if --load-dir names nothing that can be used.
    """
    place = config.load_dir
    if place is None:
        return None
    if place.name == PREVIOUS and place.is_file():
        raise UsageError(f"--load-dir {place}: name the run folder; the previous checkpoint is taken where the last is damaged")
    if place.name == CHECKPOINT and place.is_file():
        place = place.parent
    if place.is_dir() and has_checkpoint(place):
        return place
    if place.is_dir() and is_alive(place):
        raise UsageError(f"--load-dir {place}: a run is going on in it that has saved nothing yet; watch or stop it first")
    weights_to_start_from(config)
    return None


def weights_to_start_from(config: RunConfig) -> RunConfig:
    """The options with --load-dir's model.pth as the weights of a new run."""
    place = config.load_dir
    if place is None:
        return config
    file = place / MODEL if place.is_dir() else place
    if file.is_file():
        return config.model_copy(update={"weights": str(file)})
    if (place / CONFIG).is_file():
        raise UsageError(f"--load-dir {place}: the run in it ended before it had saved anything; start a new one ({CONFIG} has "
                         "its options)")
    if not place.exists():
        raise UsageError(f"--load-dir {place}: there is no such file or folder; see `noodle runs`")
    raise UsageError(f"--load-dir {place}: neither a run folder with a checkpoint nor a {MODEL}")


def weights_left_out(config: RunConfig) -> str:
    """What to say where both --weights and --load-dir's model.pth were given to start from; "" where they weren't."""
    if config.load_dir is None or "weights" not in config.model_fields_set or folder_to_pick_up(config) is not None:
        return ""
    return f"--weights {config.weights}: --load-dir {config.load_dir} names the weights to start from; leave one of them out"


def pick_up(folder: Path, given: RunConfig) -> PickedUp:
    """Load the checkpoint in `folder`; the options are the stored ones but for those that were given explicitly.

    UsageError if one was given that would make it another run; NoodleError if no checkpoint can be read.
    """
    from noodle_tui.checkpoint import read_checkpoint

    checkpoint, warning = read_checkpoint(folder)
    known = {option.name for option in options()}
    stored = {key: value for key, value in checkpoint.config.items() if key in known}
    folder_then = str(Path(str(stored.get("save_dir", "")), os.path.basename(os.path.join(working_folder(), folder))))
    stored = options_today(stored, checkpoint.cwd, folder_then, folder)
    before = make_config(stored)
    if "n_epochs" in given.model_fields_set and given.n_epochs < checkpoint.epoch:
        raise UsageError(f"--n-epochs {given.n_epochs}: the run in {folder} has done {number_of(checkpoint.epoch, 'epoch')} "
                         "already; give more, or leave the option out")
    warnings = [warning] if warning else []
    if unknown := unknown_parts(checkpoint, known):
        told = ", ".join(f"{name} ({value})" for name, value in unknown.items())
        warnings.append(f"another version of this program has trained it: this one knows nothing of {told} and goes on without")
    changed = [option for option in options() if option.anew != OF_ONE_START and option.name in given.model_fields_set
               and not _same(option.name, getattr(given, option.name), getattr(before, option.name))]
    values, changes = dict(stored), list[str]()
    for option in changed:
        then, now = getattr(before, option.name), getattr(given, option.name)
        if option.anew == REFUSED:
            raise UsageError(
                f"--{option.flag} {_in_words(now)}: the run in {folder} was started with {_in_words(then)}; leave the option "
                f"out, or start a new run from its weights with --load-dir {as_argument(folder / MODEL)}"
            )
        if option.anew == TOLD:
            changes.append(f"{option.name} {then} up to {checkpoint.so_far}, then {now}")
        warnings.append(f"picked up with another {option.name}: {then} before, {now} now")
        values[option.name] = now
    if "save_dir" in given.model_fields_set and not _same("save_dir", given.save_dir, folder.parent):
        warnings.append(f"--save-dir {given.save_dir}: not used, the run goes on in its own folder")
    changes += [f"{name} {value} up to {checkpoint.so_far}, then without" for name, value in unknown.items()]
    config = make_config({**values, "save_dir": folder.parent, "load_dir": None, "debug": given.debug})
    if config.n_epochs == checkpoint.epoch and checkpoint.history and checkpoint.history[-1].val_correct is None:
        warnings.append(f"epoch {checkpoint.epoch}, the last one now, was not validated: the best of those that were is judged")
    return PickedUp(config, checkpoint, warnings, changes)


def unknown_parts(checkpoint: "Checkpoint", known: set[str]) -> dict[str, str]:
    """{name: value}, both as a line shows them, of what another version has trained with: options that aren't among the
    `known`, parts of the checkpoint that this one wouldn't store."""
    parts = [(name, shown(value)) for name, value in sorted(checkpoint.config.items()) if name not in known]
    parts += [(name, "in the checkpoint") for name in sorted(checkpoint.model_extra or {})]
    return {shown(name): value for name, value in parts[:MOST_UNKNOWN]}


def _in_words(value: Any) -> Any:
    return " ".join(value) if isinstance(value, tuple) else value


def _same(name: str, one: Any, other: Any) -> bool:
    """Whether two values of the option `name` are the same: two paths, where they lead to the same place; classes in any
    order, since they are sorted by name."""
    if name == "classes":
        return set(one) == set(other)
    if isinstance(one, Path) or name == "weights":  # a name or a path, as text
        here = working_folder()
        return os.path.normpath(os.path.join(here, one)) == os.path.normpath(os.path.join(here, other))
    return one == other
