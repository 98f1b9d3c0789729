"""Small drawn faces, a sorted data folder of them, and one finished run that the tests of the core share."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_stimuli import draw_seed_like
from PIL import Image, ImageDraw

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: steps this small gain nothing from more threads

from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.events import Event
from noodle_tui.run import Outcome, run
from noodle_tui.samples import find_samples

gc.disable()  # until all is imported and collected: nothing of it is garbage


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def no_state_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the app remembers, and what is copied: neither hers comes into a test, nor a test's to her."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    os.environ.pop("TMUX", None)


PEOPLE = ("07F", "09F", "25M", "34M")
TRAIN_LEVELS, VAL_LEVELS = (5, 12, 19), (8,)  # of the morph from neutral: 24 and 8 images
EMOTIONS = {"happy": "Ha", "sad": "Sa"}


def draw_face(path: Path, person: str, emotion: str, level: int, size: tuple[int, int] = (40, 52)) -> None:
    """A head with eyes and a mouth that bends with the morph level, saved in the seed's naming's spirit: a colour JPEG."""
    number = int(person[:2])
    width, height = size
    image = Image.new("RGB", size, (90 + number, 110, 150 - number))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.1, height * 0.05, width * 0.9, height * 0.95), fill=(235 - 2 * number, 190 - number, 150))
    for x in (0.35, 0.65):
        draw.ellipse((width * (x - 0.05), height * 0.35, width * (x + 0.05), height * 0.42), fill=(40, 30, 20 + number))
    bend = height * (0.02 + 0.01 * level) * (1 if emotion == "Ha" else -1)
    draw.line([(width * 0.3, height * 0.72), (width * 0.5, height * 0.72 + bend), (width * 0.7, height * 0.72)],
              fill=(150, 20, 30), width=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=92)


def draw_data_folder(folder: Path) -> Path:
    """train/ and val/ with a folder a class, as rejig leaves them: 24 and 8 images of four people."""
    for split, levels in (("train", TRAIN_LEVELS), ("val", VAL_LEVELS)):
        for label, emotion in EMOTIONS.items():
            for person in PEOPLE:
                for level in levels:
                    draw_face(folder / split / label / f"{person}_Ne_to_{emotion}_C{level:02}.JPG", person, emotion, level)
    return folder


def load_folder(folder: Path, size: int, device: Any, **options: Any) -> Any:
    """`load_dataset` of all that is in a data folder."""
    from noodle_tui.dataset import load_dataset

    return load_dataset(folder, find_samples(folder, DEFAULT_PERSON), size, device, **options)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn data folder, for tests that only read it."""
    return draw_data_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture
def own_data_dir(tmp_path: Path) -> Path:
    """A drawn data folder that the test may change."""
    return draw_data_folder(tmp_path / "data")


@pytest.fixture
def runs_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for run folders, emptied after the test: a run takes 180 MB."""
    folder = tmp_path / "runs"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="session")
def config_for(data_dir: Path) -> MakeConfig:
    """Makes the options of a run of seconds: 32 x 32 pixels, three batches an epoch (10, 10 and 4 images), on the CPU."""

    def make(save_dir: Path, **changes: Any) -> RunConfig:
        small = {"data_dir": data_dir, "save_dir": save_dir, "weights": "none", "input_size": 32, "batch_size": 10,
                 "n_epochs": 3, "lr": 0.01, "device": "cpu", "precision": "fp32"}
        return RunConfig(**{**small, **changes})

    return make


@dataclass(frozen=True)
class FinishedRun:
    """A run of three epochs, undisturbed. Read it, don't change it."""

    folder: Path
    config: RunConfig
    outcome: Outcome
    events: list[Event]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, config_for: MakeConfig) -> Iterator[FinishedRun]:
    config = config_for(tmp_path_factory.mktemp("finished"))
    events: list[Event] = []
    outcome = run(config, [events.append])
    yield FinishedRun(outcome.folder, config, outcome, events)
    shutil.rmtree(config.save_dir, ignore_errors=True)


@pytest.fixture
def stimuli(tmp_path: Path) -> Path:
    """Drawn photos named as the seed's, to be sorted."""
    draw_seed_like(tmp_path / "stimuli")
    return tmp_path / "stimuli"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder that they are sorted into, which isn't there yet."""
    return tmp_path / "classify"
