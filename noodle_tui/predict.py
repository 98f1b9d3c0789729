"""A trained model's answers on new images; and their score, where the images' names or folders tell what is right."""

import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Evaluation, Prediction, evaluate
from noodle_tui.model_card import ModelCard, read_card
from noodle_tui.names import classes_in, level_in, number_of, person_in
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.run_folder import CARD, MODEL, read_config
from noodle_tui.stats import interval_in_words

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


@dataclass(frozen=True)
class ImageFile:
    path: Path
    name: str  # posix: from the folder that was given, or of a single file from its own; the class is told by it
    below: str  # posix: the same without that folder, as the stimuli's names are; the person is told by it


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
    pattern = re.compile(person or person_of(weights.parent))
    images = list({os.path.abspath(image.path): image for image in image_files(paths)}.values())  # each once
    files = [image.path for image in images]
    if not files:
        raise NoodleError(f"no image in {', '.join(map(str, paths))}")

    import torch
    from torchvision.models import resnet18

    from noodle_tui.augment import central_square
    from noodle_tui.decode import BadImage, decode_in_threads
    from noodle_tui.device import pick_device, set_up
    from noodle_tui.forward import exact_softmax, predict_logits
    from noodle_tui.weights import load_state_dict

    target = pick_device(device, card.precision)
    set_up(target)
    model = resnet18(num_classes=len(card.classes))
    try:
        model.load_state_dict(load_state_dict(weights))
    except RuntimeError as error:
        raise NoodleError(f"{weights}: doesn't fit {CARD} ({str(error).splitlines()[0]})") from None
    model = model.to(target.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    outcome = PredictOutcome()
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
    return Answer(image.path, predicted, dict(zip(card.classes, probabilities, strict=True)), true_class(image.name, card))


def true_class(name: str, card: ModelCard) -> str | None:
    """The class that an image's name tells by the run's tokens, else by a folder of the class' name; None: none or several."""
    for tokens in (card.tokens, {label: f"{label}/" for label in card.classes}):
        if len(found := classes_in(name, tokens)) == 1:
            return found[0] if found[0] in card.classes else None
    return None


def judged(image: ImageFile, answer: Answer, classes: list[str], person: re.Pattern[str]) -> Iterator[Prediction]:
    """The answer as it is scored, where it is known what is right."""
    if answer.true is not None:
        yield Prediction(str(image.path), person_in(image.below, person), level_in(image.below), classes.index(answer.true),
                         classes.index(answer.predicted), tuple(answer.probabilities.values()))


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
    return [f"{overall.accuracy:.3f} are right{whose} ({numbers}): {classes}.",
            "That is a test of the model only if these photos, or better these people, had no part in its training or choice."]


def image_files(paths: list[Path]) -> Iterator[ImageFile]:
    """Files as given; of folders, every file with an image's ending, at any depth, sorted. NoodleError for a folder that can't
    be listed."""
    from noodle_tui.rejig.scan import image_endings
    from noodle_tui.samples import walk

    for path in paths:
        if os.path.isdir(path):
            found = sorted(Path(parent, name) for parent, _, names in walk(path) for name in names
                           if os.path.splitext(name)[1].lower() in image_endings())
            top = os.path.basename(os.path.abspath(path))
            for file in found:
                below = file.relative_to(path).as_posix()
                yield ImageFile(file, f"{top}/{below}", below)
        else:  # whether it is there is seen when it is read: the others are answered all the same
            place = Path(os.path.abspath(path))
            yield ImageFile(path, f"{place.parent.name}/{place.name}", place.name)
