"""A trained model's answers on new images."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.model_card import ModelCard, read_card
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.run_folder import CARD, MODEL

CHUNK = 64  # images decoded and judged at a time: what one evaluation batch takes


@dataclass(frozen=True)
class Answer:
    path: Path
    predicted: str  # the class
    probabilities: dict[str, float]  # a class, in the order of the model's outputs


@dataclass
class PredictOutcome:
    answers: list[Answer] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)  # what could not be read, and why


def predict(
    model_folder: Path,
    paths: list[Path],
    *,
    device: str = "auto",
    progress: Progress = nothing,
    check: Check = nothing,
) -> PredictOutcome:
    """Classify image files, and all images in folders, with the model of a run folder, or a given model.pth with its card.

    The transforms and the precision are those of the run's validation, so that a run's own validation folder gives its own
    accuracy. NoodleError if the model can't be used or there is no image; a single unreadable file is one of the failures.
    """
    weights, card = find_model(model_folder)
    files = list(image_files(paths))
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
        decoded = zip(files, decode_in_threads(files, check, lambda image: central_square(image, card.input_size)), strict=True)
        while chunk := list(islice(decoded, CHUNK)):
            outcome.failures += [(file, str(one)) for file, one in chunk if isinstance(one, BadImage)]
            readable = [(file, one.pixels) for file, one in chunk if not isinstance(one, BadImage)]
            if readable:
                images = torch.stack([pixels for _, pixels in readable])
                rows = exact_softmax(predict_logits(model, images, target))
                outcome.answers += [answer(file, row, card.classes) for (file, _), row in zip(readable, rows, strict=True)]
            progress(len(outcome.answers) + len(outcome.failures), len(files))
    return outcome


def find_model(place: Path) -> tuple[Path, ModelCard]:
    """The weights and the card of a run folder, or of a model.pth. NoodleError where there are none that can be used."""
    folder = place.parent if place.is_file() else place
    if not folder.is_dir():
        raise NoodleError(f"--load-dir {folder}: there is no such folder, and no run of that name; see `noodle runs`")
    if not (folder / CARD).exists():
        raise NoodleError(f"{folder}: no finished model in it ({CARD} and {MODEL}); see `noodle runs`")
    return place if place.is_file() else folder / MODEL, read_card(folder / CARD)


def answer(file: Path, probabilities: list[float], classes: list[str]) -> Answer:
    """The class with the highest probability; the first of several."""
    return Answer(file, classes[probabilities.index(max(probabilities))], dict(zip(classes, probabilities, strict=True)))


def image_files(paths: list[Path]) -> Iterator[Path]:
    """Files as given; of folders, every file with an image's ending, at any depth, sorted. NoodleError for a folder that can't
    be listed."""
    from noodle_tui.rejig.scan import image_endings
    from noodle_tui.samples import walk

    for path in paths:
        if os.path.isdir(path):
            yield from sorted(Path(parent, name) for parent, _, names in walk(path) for name in names
                              if os.path.splitext(name)[1].lower() in image_endings())
        else:  # whether it is there is seen when it is read: the others are answered all the same
            yield path
