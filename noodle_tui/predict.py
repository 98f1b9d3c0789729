"""A trained model's answers on new images; and their score, where the images' names or folders tell what is right."""

import math
import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Evaluation, Prediction, evaluate
from noodle_tui.model_card import ModelCard, read_card
from noodle_tui.names import are_classes, classes_in, level_in, person_in, person_pattern
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.manifest import SPLITS, load_manifest
from noodle_tui.run_folder import CARD, MODEL, read_config
from noodle_tui.stats import interval_in_words, share_in_words
from noodle_tui.text import number_of

if TYPE_CHECKING:
    from regex import Pattern

CHUNK = 64  # images decoded and judged at a time: what one evaluation batch takes


@dataclass(frozen=True)
class Answer:
    path: Path
    predicted: str  # the class
    probabilities: dict[str, float]  # a class, in the order of the model's outputs
    true: str | None = None  # the class that its name or folder tells, if one


@dataclass
class PredictOutcome:
    answers: list[Answer] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)  # what could not be read, and why
    score: Evaluation | None = None  # of the answers whose `true` is known; None where none is
    classes: list[str] = field(default_factory=list)  # in the order of the model's outputs


@dataclass(frozen=True)
class ImageFile:
    path: Path
    name: str  # posix: from the folder that was given, or of a single file from its own; the class is told by it
    below: str  # posix: as the run's photos are called, below the stimuli or a class folder; the person is told by it


def predict(
    model_folder: Path,
    paths: list[Path],
    *,
    device: str = "auto",
    person: str = "",
    progress: Progress = nothing,
    check: Check = nothing,
) -> PredictOutcome:
    """Classify image files, and all images in folders, with the model of a run folder, or a given model.pth with its card.

    The transforms and the precision are those of the run's validation, so that a run's own validation folder gives its own
    accuracy. Which class an image is of is told as in the run's photos, else by a folder of the class' name; `person`, a
    regular expression, tells people ("": as in the run). NoodleError if the model can't be used or there is no image; a single
    unreadable file is one of the failures.
    """
    weights, card = find_model(model_folder)
    pattern = person_pattern(person or person_of(weights.parent))
    classes = {label for label in card.classes if card.tokens.get(label) != f"{label}/"}
    images = list({os.path.abspath(image.path): image for image in image_files(paths, classes)}.values())  # each once
    files = [image.path for image in images]
    if not files:
        raise NoodleError(f"no image in {', '.join(map(str, paths))}")

    import torch

    from noodle_tui.augment import central_square
    from noodle_tui.decode import BadImage, decode_in_threads
    from noodle_tui.device import pick_device, set_up
    from noodle_tui.forward import exact_softmax, predict_logits
    from noodle_tui.model import new_network
    from noodle_tui.weights import load_state_dict

    target = pick_device(device, card.precision)
    set_up(target)
    model = new_network(len(card.classes))
    try:
        model.load_state_dict(load_state_dict(weights))
    except RuntimeError as error:
        raise NoodleError(f"{weights}: doesn't fit {CARD} ({str(error).splitlines()[0]})") from None
    model = model.to(target.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    outcome = PredictOutcome(classes=card.classes)
    with warnings.catch_warnings(action="ignore"):  # Pillow's, of odd metadata
        squares = decode_in_threads(files, check, lambda image: central_square(image, card.input_size))
        decoded, predictions = zip(images, squares, strict=True), list[Prediction]()
        while chunk := list(islice(decoded, CHUNK)):
            outcome.failures += [(image.path, str(one)) for image, one in chunk if isinstance(one, BadImage)]
            readable = [(image, one.pixels) for image, one in chunk if not isinstance(one, BadImage)]
            if readable:
                stack = torch.stack([pixels for _, pixels in readable])
                rows = exact_softmax(predict_logits(model, stack, target))
                if not all(math.isfinite(value) for row in rows for value in row):
                    raise NoodleError(f"{weights}: answers NaN, no numbers, as weights do that grew without end: train again "
                                      "with a smaller --lr")
                for (image, _), row in zip(readable, rows, strict=True):
                    outcome.answers.append(answer(image, row, card))
                    predictions += judged(image, outcome.answers[-1], card.classes, pattern)
            progress(len(outcome.answers) + len(outcome.failures), len(files))
    if are_classes((one.person for one in predictions), [*card.classes, *card.tokens.values()], pattern):
        predictions = [replace(one, person=None) for one in predictions]
    outcome.score = evaluate(predictions, card.classes) if predictions else None
    return outcome


def find_model(place: Path) -> tuple[Path, ModelCard]:
    """The weights and the card of a run folder, or of a model.pth. NoodleError where there are none that can be used."""
    folder = place.parent if place.is_file() else place
    if not folder.is_dir():
        raise NoodleError(f"--load-dir {folder}: there is no such folder, and no run of that name; see `noodle runs`")
    if not (folder / CARD).exists():
        raise NoodleError(f"{folder}: no finished model in it ({CARD} and {MODEL}); see `noodle runs`")
    return place if place.is_file() else folder / MODEL, read_card(folder / CARD)


def person_of(folder: Path) -> str:
    """The regular expression by which a run told people; the default one where its folder doesn't say, or nothing usable."""
    with suppress(NoodleError, ValueError, KeyError):
        return RunConfig(person=read_config(folder)["person"]).person
    return DEFAULT_PERSON


def answer(image: ImageFile, probabilities: list[float], card: ModelCard) -> Answer:
    """The class with the highest probability; the first of several."""
    predicted = card.classes[probabilities.index(max(probabilities))]
    true = sorted_class(image.path, card) or true_class(image.name, card)
    return Answer(image.path, predicted, dict(zip(card.classes, probabilities, strict=True)), true)


def sorted_class(path: Path, card: ModelCard) -> str | None:
    """The class in whose folder of a sorted data folder, train/<class>/ or val/<class>/, an image is; None if in none. As in
    training it counts before the name, which says something else where a label was put right by hand."""
    folders = Path(os.path.abspath(path)).parts[:-1]
    return next((label for split, label in reversed(list(pairwise(folders)))
                 if split in SPLITS and label in card.classes), None)


def true_class(name: str, card: ModelCard) -> str | None:
    """The class that an image's name tells by the run's tokens, else by a folder of the class' name; None: none or several."""
    for tokens in (card.tokens, {label: f"{label}/" for label in card.classes}):
        if len(found := classes_in(name, tokens)) == 1:
            return found[0] if found[0] in card.classes else None
    return None


def judged(image: ImageFile, answer: Answer, classes: list[str], person: "Pattern[str]") -> Iterator[Prediction]:
    """The answer as it is scored, where it is known what is right."""
    if answer.true is not None:
        yield Prediction(str(image.path), person_in(image.below, person), level_in(image.below), classes.index(answer.true),
                         classes.index(answer.predicted), tuple(answer.probabilities.values()))


def below_class(path: str, classes: Collection[str]) -> str:
    """A photo's path below train/<class>/ or val/<class>/ or, of a folder like these, below <class>/: by that runs tell people
    in folders that were sorted by hand."""
    *folders, name = path.split("/")
    folders = folders[1:] if folders[:1] in (["train"], ["val"]) else folders
    folders = folders[1:] if folders and folders[0] in classes else folders
    return "/".join([*folders, name])


def score_in_words(outcome: PredictOutcome) -> list[str]:
    """What the answers are worth, in a line or two; nothing where that isn't known."""
    if (score := outcome.score) is None:
        return []
    overall, people = score.overall, score.people_interval
    numbers = f"{overall.correct}/{overall.count}, 95% interval {interval_in_words(overall.interval)}"
    numbers += f", with people resampled {interval_in_words(people)}" if people else ""
    whose = "" if overall.count == len(outcome.answers) else (
        f" of the {number_of(overall.count, 'image')} whose class is told by the name or folder")
    found = [one.recall for one in score.per_class if one.recall.count]
    classes = ", ".join(f"{one.name} {one.correct}/{one.count}" for one in found)
    return [f"{share_in_words(overall.accuracy)} are right{whose} ({numbers}): {classes}.",
            "That is a test of the model only if these photos, or better these people, had no part in its training or choice."]


def image_files(paths: list[Path], classes: Collection[str] = ()) -> Iterator[ImageFile]:
    """Files as given; of folders, every file with an image's ending, at any depth, sorted. NoodleError for a folder that can't
    be listed. `classes`: folders of these names are not part of how the stimuli were called."""
    from noodle_tui.rejig.scan import has_photo_name
    from noodle_tui.samples import walk

    @cache
    def sources(folder: Path) -> dict[str, str]:
        """{photo: its path below the stimuli} where the folder, or one or two above, is what rejig made."""
        for place in (folder, *folder.parents[:2]):
            with suppress(NoodleError, OSError):
                if (made := load_manifest(place)) is not None:
                    return {f"{place}/{file.target}": made.relative(file) for file in made.files}
        return {}

    parents = {os.path.dirname(os.path.abspath(path)) for path in paths if os.path.isdir(path)}
    are_parts = len(paths) > 1 and len(parents) == 1 and all(map(os.path.isdir, paths))  # of one folder: one a person, perhaps
    for path in paths:
        if os.path.isdir(path):
            found = sorted(Path(parent, name) for parent, _, names in walk(path) for name in names
                           if has_photo_name(name))
            top = os.path.basename(os.path.abspath(path))
            for file in found:
                below = file.relative_to(path).as_posix()
                name = f"{top}/{below}"
                source = sources(Path(os.path.abspath(path))).get(os.path.abspath(file))
                is_part = are_parts and ("/" not in below or top in {"train", "val", *classes})
                yield ImageFile(file, name, source or below_class(name if is_part else below, classes))
        else:  # whether it is there is seen when it is read: the others are answered all the same
            place = Path(os.path.abspath(path))
            yield ImageFile(path, f"{place.parent.name}/{place.name}", sources(place.parent).get(str(place), place.name))
