"""What is asked before photos are touched, or what stands in the Setup screen's form."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noodle_tui.config import RunConfig
from noodle_tui.text import number_of, printable
from noodle_tui.tui.setup_form import label_of
from noodle_tui.tui.setup_text import rejig_in_words
from noodle_tui.tui.widgets.dialogs import Question

if TYPE_CHECKING:
    from noodle_tui.preflight.photos import Photos
    from noodle_tui.rejig.manifest import Manifest


def sort_question(config: RunConfig, photos: "Photos") -> Question:
    return Question("Sort the photos?", rejig_in_words(config, photos), yes="Sort them (y)", no="Leave them (n)")


def move_question(config: RunConfig, photos: "Photos") -> Question:
    if not (photos.new or photos.originals):
        return Question("Rearrange the photos and train?", rejig_in_words(config, photos), yes="Rearrange and train (y)",
                        no="Not yet (n)")
    text = f"{rejig_in_words(config, photos)} With mode copy or link the originals stay where they are."
    return Question("Move the photos and train?", text, yes="Move them and train (y)", no="Not yet (n)")


def resume_question(config: RunConfig, photos: "Photos", name: str) -> Question:
    text = f"{printable(name)} sorts its photos first. {rejig_in_words(config, photos, 'f3 in Setup')}"
    return Question("Move the photos and resume?", text, yes="Move them and resume (y)", no="Not yet (n)")


def undo_question(data_dir: Path, made: "Manifest") -> Question:
    stimuli, here, count = printable(made.stimuli), printable(str(data_dir)), len(made.files)
    what = {"move": f"{number_of(count, 'photo')} will go back from {here} to {stimuli}. Nothing is overwritten.",
            "copy": f"{number_of(count, 'copied photo')} will be removed from {here}; the originals are in {stimuli}.",
            "link": f"{number_of(count, 'link')} will be removed from {here}; the photos stay in {stimuli}."}[made.mode]
    return Question("Undo the rejig?", what, yes="Undo it (y)", no="Leave them (n)")


def reset_question(given: Mapping[str, Any]) -> Question:
    text = f"{number_of(len(given), 'option')} will have the default again."
    return Question("Reset the form?", text, yes="Reset (y)", no="Keep the form (n)")


def demo_question(given: Mapping[str, Any]) -> Question:
    text = ("Photos of invented people are drawn in a new folder here, and the form is filled in anew for them. "
            f"What is set there now goes: {_names(list(given))}.")
    return Question("Fill the form in for the demo?", text, yes="Fill it in (y)", no="Keep the form (n)")


def options_question(given: Mapping[str, Any], name: str) -> Question:
    text = f"It gets the options of {printable(name)}. What is set there now goes: {_names(list(given))}."
    return Question("Fill the form in anew?", text, yes="Fill it in (y)", no="Keep the form (n)")


def _names(options: Sequence[str]) -> str:
    return ", ".join(label_of(name) for name in options)
