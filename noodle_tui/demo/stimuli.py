"""Stimuli of people who don't exist, for a machine that has no data, and the options of a run on them.

They are named and foldered as the photos that this program was made for: every person from neutral to happy and from neutral
to sad, in 20 steps. Every random choice comes from a generator seeded by (seed, person) or (seed, picture), so that the same
seed draws the same pixels, whatever the order.
"""

import io
import itertools
import os
import random
from pathlib import Path
from typing import Any

from PIL import Image

from noodle_tui.demo.canvas import Colour, Look
from noodle_tui.demo.portrait import Expression, HairStyle, Person, draw
from noodle_tui.errors import NoodleError
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.scan import image_endings

PEOPLE = 24
LEVELS = 20
EMOTIONS = ("Ha", "Sa")
COMMENT = "a person who does not exist, drawn by noodle demo"  # in each JPEG
PART = ".part"  # ends the name of a picture that is being written

SKINS: list[Colour] = [(255, 224, 200), (248, 208, 178), (240, 194, 158), (224, 172, 132), (198, 142, 104),
                       (168, 114, 80), (134, 88, 62), (104, 68, 50)]
HAIRS: list[Colour] = [(38, 30, 32), (62, 42, 34), (98, 62, 40), (142, 92, 52), (206, 160, 92), (232, 200, 138),
                       (168, 74, 40), (150, 146, 148)]
IRISES: list[Colour] = [(78, 52, 36), (104, 74, 44), (84, 112, 84), (82, 122, 160), (98, 110, 120)]
CLOTHES: list[Colour] = [(72, 128, 152), (206, 168, 92), (88, 136, 104), (126, 110, 160), (60, 72, 104), (54, 98, 96),
                         (120, 124, 130)]
WALLS: list[Colour] = [(190, 212, 222), (222, 212, 190), (200, 198, 222), (200, 220, 194), (186, 206, 204),
                       (210, 212, 206)]

HAIR_STYLES = {
    "crop": HairStyle((-0.35, -0.78, -0.98, -1.0, -0.98, -0.78, -0.35), 0.06),
    "quiff": HairStyle((-0.3, -0.72, -1.0, -0.92, -0.98, -0.8, -0.35), 0.2),
    "side": HairStyle((-0.25, -0.62, -0.72, -0.86, -1.04, -0.9, -0.35), 0.13),
    "receding": HairStyle((-0.3, -0.85, -1.16, -1.08, -1.16, -0.85, -0.3), 0.04),
    "mop": HairStyle((-0.25, -0.6, -0.74, -0.68, -0.76, -0.6, -0.25), 0.13, curls=True),
    "afro": HairStyle((-0.3, -0.78, -0.98, -1.0, -0.98, -0.78, -0.3), 0.25, curls=True),
    "fringe": HairStyle((-0.1, -0.58, -0.66, -0.68, -0.66, -0.58, -0.1), 0.12, 1.0, 1.12),
    "bob": HairStyle((0.1, -0.6, -0.8, -0.98, -1.06, -0.8, 0.1), 0.14, 1.05, 1.2),
    "long": HairStyle((0.2, -0.62, -0.95, -1.1, -0.95, -0.62, 0.2), 0.11, 2.4, 1.24),
    "swept": HairStyle((0.15, -0.5, -0.66, -0.84, -1.04, -0.86, 0.1), 0.13, 2.4, 1.18),
    "bun": HairStyle((-0.2, -0.78, -0.98, -1.04, -0.98, -0.78, -0.2), 0.07, bun=True),
    "waves": HairStyle((0.1, -0.62, -0.86, -1.0, -0.9, -0.66, 0.1), 0.14, 1.5, 1.18, curls=True),
}
FEMALE_STYLES = ("fringe", "bob", "long", "swept", "bun", "waves", "afro", "side")
MALE_STYLES = ("crop", "quiff", "side", "receding", "mop", "afro", "crop")


def invent_person(number: int, seed: int) -> Person:
    """Person `number` (from 1) of the people that belong to `seed`; the odd ones are women."""
    rng = random.Random(f"person {seed} {number}")
    sex = "F" if number % 2 else "M"
    skin = rng.randrange(len(SKINS))
    fair = skin < 4
    return Person(
        name=f"{number:02d}{sex}",
        skin=SKINS[skin],
        hair=rng.choice(HAIRS if fair else HAIRS[:3]),
        style=HAIR_STYLES[rng.choice(FEMALE_STYLES if sex == "F" else MALE_STYLES)],
        iris=rng.choice(IRISES if fair else IRISES[:2]),
        clothes=rng.choice(CLOTHES),
        face_width=rng.uniform(0.9, 1.0),
        jaw=rng.uniform(0.66, 0.76) + 0.08 * (sex == "M"),
        chin=rng.uniform(1.2, 1.34),
        eye_x=rng.uniform(0.37, 0.43),
        eye_size=rng.uniform(0.9, 1.12) + 0.06 * (sex == "F"),
        brow_y=rng.uniform(-0.53, -0.47),
        brow_thick=rng.uniform(0.03, 0.045) + 0.02 * (sex == "M"),
        nose_length=rng.uniform(0.3, 0.42),
        nose_width=rng.uniform(0.13, 0.2),
        mouth_y=rng.uniform(0.7, 0.77),
        mouth_width=rng.uniform(0.34, 0.4),
        lips=rng.uniform(0.8, 1.15) + 0.25 * (sex == "F"),
        rest=rng.uniform(-0.03, 0.03),
        vigour=rng.uniform(0.85, 1.15),
        lashes=sex == "F",
        glasses=rng.random() < 0.22,
        freckles=fair and rng.random() < 0.7,
        beard=rng.choice(("", "", "stubble", "moustache", "full")) if sex == "M" else "",
        spots=rng.randrange(2**32),
    )


def strength(level: int) -> float:
    """How far a morph step is from neutral: from 0 at level 0 to 1 at level 19, in steps that shrink a little."""
    return (level / (LEVELS - 1)) ** 0.6


def expression(emotion: str, s: float) -> Expression:
    """The face of `emotion` ("Ha" or "Sa") at strength `s`, from 0 (neutral, the same for both) to about 1."""
    if emotion == "Ha":
        return Expression(corners=s, widen=0.35 * s, part=max(0.0, s - 0.12) / 0.88, cheeks=s, flush=s, brow_inner=0.4 * s,
                          brow_outer=0.15 * s, upper_lid=-0.15 * s, lower_lid=-0.9 * s)
    return Expression(corners=-0.9 * s, widen=-0.1 * s, pout=s, flush=-s, tears=max(0.0, s - 0.1), brow_inner=0.9 * s,
                      brow_outer=-0.4 * s, upper_lid=-0.25 * s, droop=s, gaze=-0.8 * s)


def random_look(rng: random.Random) -> Look:
    """A small change of pose and light."""
    gain, warmth = rng.uniform(0.92, 1.1), rng.uniform(-0.02, 0.02)
    return Look(
        yaw=rng.uniform(-0.1, 0.1),
        pitch=rng.uniform(-0.06, 0.06),
        roll=rng.uniform(-0.07, 0.07),
        scale=rng.uniform(0.95, 1.04),
        shift=(rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)),
        light=(rng.uniform(-0.12, 0.12), rng.uniform(-0.08, 0.02)),
        tint=(gain + warmth, gain, gain - warmth),
        background=rng.choice(WALLS),
    )


def draw_stimuli(
    folder: Path,
    *,
    people: int = PEOPLE,
    seed: int = 42,
    progress: Progress = nothing,
    check: Check = nothing,
) -> int:
    """Draw `people` x 2 emotions x 20 levels into `folder`/<NN>/<NN><F|M>_Ne_to_<Ha|Sa>_C<00..19>.JPG; how many there are.

    Pictures that were drawn before with this seed are kept, so a stopped drawing is taken up again. `check()` is called
    before each picture (it may raise StopRun), `progress(done, total)` after it. NoodleError: the folder holds something
    else (drawn people must not mix with, or overwrite, photos of real ones), or it can't be written.
    """
    pictures = [(person, emotion, level) for person in (invent_person(number, seed) for number in range(1, people + 1))
                for emotion in EMOTIONS for level in range(LEVELS)]
    paths = [folder / person.name[:-1] / f"{person.name}_Ne_to_{emotion}_C{level:02d}.JPG"
             for person, emotion, level in pictures]
    comment = f"{COMMENT}, seed {seed}".encode()
    refuse_others(folder, set(paths), comment)
    for done, (path, (person, emotion, level)) in enumerate(zip(paths, pictures, strict=True)):
        check()
        if not path.exists():
            rng = random.Random(f"look {seed} {person.name} {emotion} {level}")
            face = expression(emotion, person.vigour * strength(level))
            save(draw(person, face, random_look(rng)), path, comment)
        progress(done + 1, len(paths))
    return len(paths)


def new_demo_folder() -> Path:
    """A folder that doesn't exist yet: noodle-demo, noodle-demo-2, ... in the working folder. It isn't made."""
    names = (f"noodle-demo-{number}" if number > 1 else "noodle-demo" for number in itertools.count(1))
    return next(path for path in map(Path, names) if not path.exists())


def refuse_others(folder: Path, ours: set[Path], comment: bytes) -> None:
    """NoodleError if `folder` holds anything but `ours`, drawn here with this comment, and what a killed drawing left."""
    if folder.exists() and not folder.is_dir():
        raise NoodleError(f"{folder} is a file; choose a folder to draw in")
    for path in sorted(folder.rglob("*")):
        if path.name.startswith("."):  # as Finder leaves them
            continue
        leftover = path.name.endswith(PART) and path.with_name(path.name.removesuffix(PART)) in ours
        if path.is_symlink() or not (path.is_dir() or leftover or (path in ours and is_drawn(path, comment))):
            raise NoodleError(f"{path} is not one of the demo's pictures; choose an empty folder to draw in")


def refuse_sorted_others(data_dir: Path) -> None:
    """NoodleError if `data_dir`, which the demo would sort anew, holds a photo that was not drawn."""
    for path in sorted(data_dir.rglob("*")):
        if path.is_file() and path.suffix.lower() in image_endings() and not is_drawn(path, COMMENT.encode()):
            raise NoodleError(f"{path} is not one of the demo's pictures; choose another folder for the demo")


def is_drawn(path: Path, comment: bytes) -> bool:
    """Whether the file starts like a picture that `save` wrote with this comment. NoodleError if it can't be read."""
    try:
        with open(path, "rb") as file:
            return comment in file.read(1000)
    except OSError as error:
        raise NoodleError(f"can't read {path}: {error.strerror or error}; choose an empty folder to draw in") from None


def save(image: Image.Image, path: Path, comment: bytes) -> None:
    """A JPEG of quality 90, whole or not at all: written beside its place, then renamed."""
    part, content = path.with_name(path.name + PART), io.BytesIO()
    image.save(content, "JPEG", quality=90, comment=comment)  # into a file Pillow would not notice that the disk takes a part
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getbuffer())
        os.replace(part, path)
    except OSError as error:
        raise NoodleError(f"can't draw {path}: {error.strerror or error}; choose another folder") from None


def demo_config_values(folder: Path) -> dict[str, Any]:
    """RunConfig's values for a run on the stimuli in `folder`/stimuli: about a minute and a half on two CPU cores.

    Whole people are held out. The network starts from nothing and sees small pictures, so it needs more epochs and another
    step size than a pretrained one on photos.
    """
    return {
        "stimuli": folder / "stimuli",
        "data_dir": folder / "classify",
        "save_dir": folder / "weights",
        "rejig_data": True,
        "split_by": "person",
        "mode": "copy",
        "val_fraction": 0.2,
        "weights": "none",
        "input_size": 40,
        "n_epochs": 8,
        "batch_size": 32,
        "lr": 0.002,
        "seed": 42,
        "namestr": "demo",
    }
