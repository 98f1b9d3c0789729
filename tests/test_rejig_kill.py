"""Rejig is killed, for real and at every single step: no photo is lost, and the next call finishes or rolls back."""

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError
from noodle_tui.rejig import apply_rejig, plan_rejig, undo_rejig


def photo(comment: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", comment=comment)
    return file.getvalue()


MEMORY = Path("/dev/shm")
STEPS = ["link", "symlink", "unlink", "rename", "mkdir", "rmdir", "fsync"]
PHOTOS = {f"{person}/{person}_{feeling}_C0{step}.jpg": photo(f"{person}{feeling}{step}")
          for person in ("1", "2") for feeling in ("Sa", "Ha") for step in (1, 2)}
LITTER = {"README.md": b"mine", "train/sad/.DS_Store": b"litter"}


def rejig(stimuli: Path, data: Path, val_fraction: float = 0.25, **options) -> None:
    apply_rejig(plan_rejig(RunConfig(stimuli=stimuli, data_dir=data, val_fraction=val_fraction, **options)))


def undo(stimuli: Path, data: Path) -> None:
    try:
        undo_rejig(data, stimuli=stimuli)
    except NoodleError as error:
        if "nothing to undo" not in str(error):  # said when only the last step was missing
            raise


def littered(stimuli: Path, data: Path) -> None:
    rejig(stimuli, data)
    for name, content in LITTER.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)


def made(**options) -> Callable[[Path, Path], None]:
    return lambda stimuli, data: rejig(stimuli, data, **options)


def nothing(stimuli: Path, data: Path) -> None:
    """Start from the stimuli alone."""


SCENES: dict[str, tuple[Callable[[Path, Path], None], Callable[[Path, Path], None]]] = {
    "move": (nothing, made()),
    "copy": (nothing, made(mode="copy")),
    "link": (nothing, made(mode="link")),
    "re-arrange among others' files": (littered, made(val_fraction=0.5)),
    "drop a class, take in another": (made(), made(classes=("one=C01", "ha two=Ha_C02"))),
    "move to copy": (made(), made(mode="copy")),
    "move to link": (made(), made(mode="link", val_fraction=0.5)),
    "copy to move": (made(mode="copy"), made(mode="move", val_fraction=0.5)),
    "undo of a move among others' files": (littered, undo),
    "undo of a copy": (made(mode="copy"), undo),
    "undo of links": (made(mode="link"), undo),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a folder: a kill is as real there, and hundreds of fsyncs are quick."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    place = MEMORY / f"noodle-rejig-test-{os.getpid()}"
    place.mkdir()
    yield place
    shutil.rmtree(place)


def set_up(folder: Path, data: Path, before: Callable[[Path, Path], None]) -> Path:
    for place in (folder, data.parent):
        shutil.rmtree(place, ignore_errors=True)
    for name, content in PHOTOS.items():
        (folder / "stimuli" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "stimuli" / name).write_bytes(content)
    data.parent.mkdir(parents=True, exist_ok=True)
    before(folder / "stimuli", data)
    return folder / "stimuli"


def killed_at(step: int, call: Callable[[], None]) -> bool:
    """Run `call` in a process that kills itself (SIGKILL) before its step-th change to the disk. False: it came to its end."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(do: Callable) -> Callable:
            def wrapper(*args, **kwargs):
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return do(*args, **kwargs)

            return wrapper

        done = False
        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            shutil.copyfile = counted(shutil.copyfile)
            shutil.copystat = counted(shutil.copystat)
            call()
            done = True
        finally:  # never back into pytest
            os._exit(0 if done else 1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the call failed without being killed"
    return False


def contents(*folders: Path) -> list[bytes]:
    return [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]


def picture(stimuli: Path, data: Path) -> dict[str, bytes | str]:
    """All that is there, but for the manifest's own bytes; and whether anything is left over."""
    seen: dict[str, bytes | str] = {}
    for root in (stimuli, data):
        for path in root.rglob("*"):
            name = f"{root.name}/{path.relative_to(root)}"
            if path.is_symlink():
                seen[name] = f"-> {os.readlink(path)}"
            elif path.is_file():
                seen[name] = path.read_bytes()
    for path in data.parent.iterdir():
        if path.name.startswith(".") and not path.name.endswith("lock"):
            seen["left over"] = path.name
    return seen


def kill_at_every_step(folder: Path, data: Path, before: Callable, then: Callable) -> int:
    stimuli = set_up(folder, data, before)
    then(stimuli, data)
    wanted = picture(stimuli, data)
    step = 1
    while True:
        stimuli = set_up(folder, data, before)
        if not killed_at(step, lambda: then(folder / "stimuli", data)):
            return step - 1
        assert set(PHOTOS.values()) <= set(contents(stimuli, data.parent)), f"lost by a kill at step {step}"
        then(stimuli, data)
        assert picture(stimuli, data) == wanted, f"not mended after a kill at step {step}"
        step += 1


def kill_and_undo_at_every_step(folder: Path, data: Path) -> int:
    step = 1
    while True:
        stimuli = set_up(folder, data, nothing)
        before = picture(stimuli, data)
        if not killed_at(step, lambda: rejig(folder / "stimuli", data)):
            return step - 1
        undo(stimuli, data)
        assert picture(stimuli, data) == before, f"after a kill at step {step}"
        step += 1


def kills(scene: str, folder: Path, data: Path) -> int:
    """How often it was killed. In a process of its own: each kill is a fork, slow where all that the tests import is loaded."""
    done = subprocess.run([sys.executable, __file__, scene, folder, data], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("scene", SCENES)
def test_a_kill_at_any_step_loses_nothing_and_is_mended(folder, scene):
    assert kills(scene, folder / "a", folder / "b" / "classify") >= 10


@pytest.mark.parametrize("scene", ["move", "undo of a move among others' files"])
def test_a_kill_between_two_filesystems(tmp_path, folder, scene):
    if folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem here")
    assert kills(scene, tmp_path / "a", folder / "classify") >= 10


def test_undo_after_a_kill_brings_everything_back(folder):
    assert kills("undone", folder / "a", folder / "b" / "classify") >= 20


def no_hard_link(*_, **__) -> None:
    """The one thing that no test machine can be asked for: os.link fails as it does on exFAT."""
    raise PermissionError(1, "Operation not permitted")


def test_a_filesystem_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", no_hard_link)
    folder, data = tmp_path / "a", tmp_path / "b" / "classify"
    stimuli = set_up(folder, data, littered)
    rejig(stimuli, data, val_fraction=0.5)
    assert not contents(stimuli)
    assert set(PHOTOS.values()) <= set(contents(data))
    undo(stimuli, data)
    assert sorted(contents(stimuli)) == sorted(PHOTOS.values())
    assert {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()} == set(LITTER)


def test_a_power_cut_finds_the_new_folder_on_the_disk_before_it_has_its_name_and_its_name_before_a_source_goes(
        tmp_path, monkeypatch):
    folder, data = tmp_path / "a", tmp_path / "classify"
    stimuli = set_up(folder, data, nothing)
    done: list[str] = []
    fsync, rename, unlink = os.fsync, os.rename, os.unlink

    def spy_fsync(handle: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def spy_rename(*args, **kwargs) -> None:
        done.append("rename")
        rename(*args, **kwargs)

    def spy_unlink(path, **kwargs) -> None:
        if str(path).startswith(str(stimuli)):
            done.append("unlink")
        unlink(path, **kwargs)

    for name, spy in (("fsync", spy_fsync), ("rename", spy_rename), ("unlink", spy_unlink)):
        monkeypatch.setattr(os, name, spy)
    rejig(stimuli, data)
    new = tmp_path / ".classify.rejig-new"
    whole = {str(new / name) for name in ("", "train", "val", "train/sad", "train/happy", "val/sad", "val/happy", "rejig.csv",
                                          "rejig.json")}
    renamed, removed = done.index("rename"), done.index("unlink")
    assert whole <= set(done[:renamed])
    assert str(tmp_path) in done[renamed:removed]


def test_a_power_cut_finds_every_copy_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Where there are no hard links."""
    folder, data = tmp_path / "a", tmp_path / "b" / "classify"
    stimuli = set_up(folder, data, nothing)
    synced, too_early = set[int](), list[str]()
    fsync, rename = os.fsync, os.rename

    def spy_fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def spy_rename(old, new) -> None:
        files = [old] if Path(old).suffix in (".jpg", ".part") else Path(old).rglob("*.jpg")
        too_early.extend(str(file) for file in files if os.stat(file).st_ino not in synced)
        rename(old, new)

    monkeypatch.setattr(os, "link", no_hard_link)
    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "rename", spy_rename)
    rejig(stimuli, data)
    assert (len(synced) >= len(PHOTOS), too_early) == (True, [])
    synced.clear()
    undo(stimuli, data)
    assert (len(synced), too_early) == (len(PHOTOS), [])


if __name__ == "__main__":
    SCENE, FOLDER, DATA = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if SCENE == "undone":
        print(kill_and_undo_at_every_step(FOLDER, DATA))
    else:
        print(kill_at_every_step(FOLDER, DATA, *SCENES[SCENE]))
