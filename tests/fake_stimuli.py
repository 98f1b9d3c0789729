"""Drawn photos in the seed's naming, and short words for what the tests of rejig do with them."""

import itertools
from pathlib import Path

import pytest
from PIL import Image

from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig import RejigPlan, apply_rejig, load_manifest, plan_rejig
from noodle_tui.rejig.manifest import PlannedFile

CLASSES = ("sad=_Sa_", "happy=_Ha_")
PEOPLE = ("07F", "09F", "25M", "34M", "36M", "40M")
ODD_NAMES = [b"new\nline_Sa_.jpg", b"carriage\r_Sa_.jpg", "\N{GRINNING FACE}_Sa_.jpg".encode(), b"\xff\xfe_Sa_.jpg",
             b"[red]markup[_Sa_].jpg", b'quote",_Sa_.jpg', b"_Sa_" + b"x" * 247 + b".jpg", b" _Sa_ .jpg"]
colours = itertools.count(1)


def draw(path: Path, kind: str = "JPEG") -> Path:
    """A photo of its own: no two have the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = next(colours)
    Image.new("RGB", (8, 10), (colour % 256, colour // 256 % 256, 90)).save(path, kind, comment=str(colour).encode())
    return path


def have_pil_warn(photo: Path) -> None:
    """Let a JPEG say of itself that it is a stereo photo, which it is not."""
    content = photo.read_bytes()
    photo.write_bytes(content[:2] + b"\xff\xe2\0\x0aMPF\0junk" + content[2:])


def draw_seed_like(stimuli: Path, people: tuple[str, ...] = PEOPLE, steps: int = 5) -> None:
    for person, feeling, step in itertools.product(people, ("Ha", "Sa"), range(steps)):
        draw(stimuli / person[:2] / f"{person}_Ne_to_{feeling}_C{step:02d}.JPG")


def make_plan(stimuli: Path, data: Path, check: Check = nothing, progress: Progress = nothing, **options) -> RejigPlan:
    return plan_rejig(RunConfig(stimuli=stimuli, data_dir=data, **options), check, progress)


def rejig(stimuli: Path, data: Path, **options) -> RejigPlan:
    plan = make_plan(stimuli, data, **options)
    apply_rejig(plan)
    return plan


def files_in(data: Path) -> tuple[PlannedFile, ...]:
    """What the manifest says."""
    made = load_manifest(data)
    assert made is not None
    return made.files


def tree(folder: Path) -> dict[str, bytes]:
    """{relative path: bytes} of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def splits(plan: RejigPlan) -> dict[str, str]:
    return {Path(file.source).name: file.split for file in plan.files}


def error_of(call, *args, **kwargs) -> str:
    with pytest.raises(NoodleError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stop_after(count: int):
    calls = itertools.count(1)

    def check() -> None:
        if next(calls) > count:
            raise StopRun

    return check
