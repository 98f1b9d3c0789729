"""The readers that the fuzz calls: each spoils files in a fresh box and names the calls that the product makes on them."""

import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fake_folders import fake_folder
from fuzz_mutators import TEXTS, spoil_bytes, spoil_json, spoil_lines, spoil_place, spoil_table, weird
from PIL import Image
from torch import nn

from noodle_tui import cli, control, run_folder
from noodle_tui.answers import run_as_row
from noodle_tui.checkpoint import read_checkpoint, restore, save_session, session_content
from noodle_tui.config import RunConfig, make_config, options
from noodle_tui.control import PAUSE_FILE, STOP_FILE
from noodle_tui.decode import BadImage, decode_file
from noodle_tui.errors import NoodleError
from noodle_tui.events import Event, Message, RunStarted
from noodle_tui.listeners.console import in_words
from noodle_tui.listeners.record import Recorder
from noodle_tui.model_card import read_card
from noodle_tui.pick_up import folder_to_pick_up, pick_up
from noodle_tui.predict import image_files
from noodle_tui.preflight.estimate import photo_bytes
from noodle_tui.rejig import load_manifest, plan_rejig, rejig_options, undo_rejig
from noodle_tui.rejig.manifest import PlannedFile, write_manifest
from noodle_tui.rejig.scan import unreadable
from noodle_tui.remember import recall, remember, remembered_file
from noodle_tui.run_query import KEYS, parse_query
from noodle_tui.run_state import RunState
from noodle_tui.samples import find_samples
from noodle_tui.session import new_session
from noodle_tui.settings import load_settings, masked
from noodle_tui.summaries import Summaries, as_json, pin
from noodle_tui.trash import deletions, empty_trash, move_to_trash, restore_last
from noodle_tui.tui import live_text, result_text, runs_text
from noodle_tui.tui.confusion import confusion_lines
from noodle_tui.tui.curves import Curves, View, accuracy_picture, loss_picture
from noodle_tui.tui.result import read_facts
from noodle_tui.tui.sources import FolderSource
from noodle_tui.tui.widgets.drawing import draw
from noodle_tui.tui.widgets.photo import thumbnail
from noodle_tui.weights import load_state_dict

WIDTHS = (40, 80, 160)
PERSON = RunConfig().person


@dataclass
class Box:
    """A fresh folder for one input, with what there is of chance for it. `outside` must stay as it is."""

    root: Path
    outside: Path
    chance: Random

    def write(self, files: dict[str, bytes], folder: Path) -> None:
        for name, content in files.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


@dataclass(frozen=True)
class Call:
    do: Callable[[], object]
    allowed: tuple[type[BaseException], ...] = (NoodleError,)


Reader = Callable[[Box], list[Call]]


# -- what is spoiled ----------------------------------------------------------------------------------------------------


@cache
def run_files() -> dict[str, bytes]:
    """{name: content} of a small finished run's folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = fake_folder(Path(place), "neuro_ml", n_epochs=6, report=True)
        files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "model.pth"}
    lines = files["predictions.csv"].splitlines(keepends=True)
    return {**files, "predictions.csv": b"".join(lines[:12]), "run.lock": b"process 1 on nowhere\n"}


@cache
def images() -> list[tuple[str, bytes]]:
    """Small pictures in every format that Pillow writes, some in several modes."""
    Image.init()
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (20, 16, 3), dtype=np.uint8))
    found = []
    for kind in sorted(set(Image.SAVE) - {"PDF", "EPS"}):
        for mode in ("RGB",) if kind == "AVIF" else ("RGB", "L", "1", "P", "RGBA", "CMYK", "I;16", "F"):  # AVIF is slow
            out = io.BytesIO()
            try:
                picture.convert("I" if mode == "I;16" else mode).convert(mode).save(out, kind, exif=_exif())
            except (OSError, ValueError, TypeError, KeyError):  # not every format takes every mode
                continue
            found.append((f"{kind}-{mode}", out.getvalue()))
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        found.append((f"TIFF-{compression}", _saved(picture, "TIFF", compression=compression)))
    found.append(("JPEG-progressive", _saved(picture, "JPEG", progressive=True, icc_profile=b"icc" * 50, exif=_exif())))
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        found.append((f"{kind}-animated", _saved(picture, kind, save_all=True, append_images=[picture.rotate(90)] * 2)))
    found.append(("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n/x 1 def showpage\n%%EOF\n"))
    found += [("text", b"hello\n"), ("nothing", b"")]
    return found


def _saved(picture: Image.Image, kind: str, **how: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photo"  # turned; with a description
    return exif.tobytes()


@cache
def photo() -> bytes:
    return _saved(Image.new("RGB", (8, 10), (200, 120, 90)), "JPEG")


class Evil:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ../outside/pickle-was-run",)


@cache
def torch_files() -> list[bytes]:
    """Checkpoints and state dicts: a good one each, hostile pickles, and one of another kind."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        save_session(Path(place), session_content(tiny_session(), RunConfig().model_dump(mode="json")))
        found.append((Path(place) / "checkpoint.pt").read_bytes())
    for content in (tiny_session().model.state_dict(), Evil(), {"model": Evil(), "version": 1}, [1, 2], {"a": "b"}):
        for zipped in (True, False):
            out = io.BytesIO()
            torch.save(content, out, _use_new_zipfile_serialization=zipped)
            found.append(out.getvalue())
    return found


def tiny_session() -> Any:
    return new_session(nn.Linear(3, 2), RunConfig(lr=0.1), torch.device("cpu"))


def spoil_run(box: Box, folder: Path) -> None:
    """A run folder of which some files are spoiled, gone, or no files at all."""
    chance, files = box.chance, dict(run_files())
    for name in chance.sample(sorted(files), chance.choice((0, 1, 1, 2, 4))):
        files[name] = spoil_named(chance, name, files[name])
    folder.mkdir(parents=True)
    box.write(files, folder)
    for name in chance.sample([*files, "pinned", PAUSE_FILE, STOP_FILE, "checkpoint.pt", "model.pth"],
                              chance.choice((0, 0, 1, 1, 2))):
        spoil_place(chance, folder / name, box.outside)


def spoil_named(chance: Random, name: str, data: bytes) -> bytes:
    if name.endswith(".json"):
        return spoil_json(chance, data)
    if name.endswith(".jsonl"):
        return spoil_lines(chance, data)
    return spoil_table(chance, data) if name.endswith(".csv") else spoil_bytes(chance, data)


def odd_name(chance: Random) -> str:
    """A name that a file system takes, seldom a nice one."""
    if chance.random() < 0.5:
        return f"neuro_ml-20261123-1015{chance.randrange(60):02}"
    text = os.fsencode(chance.choice([t for t in TEXTS if "\ud800" not in t])).replace(b"/", b"_").replace(b"\0", b"")
    name = os.fsdecode(text[:100]) + chance.choice(("", "-20261123-101500", "-99999999-999999"))
    return "x" if name in ("", ".", "..") else name


# -- the readers --------------------------------------------------------------------------------------------------------


def settings(box: Box) -> list[Call]:
    good = {"username": "me", "apikey": "0123456789abcdef", "restapikey": None, "project": "faces"}
    file = box.root / "settings.json"
    file.write_bytes(spoil_json(box.chance, json.dumps(good).encode()))
    if box.chance.random() < 0.15:
        spoil_place(box.chance, file, box.outside)
    variables = {name: str(box.chance.choice(TEXTS)) for name in ("COMET_API_KEY", "COMET_WORKSPACE", "COMET_PROJECT_NAME")
                 if box.chance.random() < 0.2}

    def read() -> None:
        found = load_settings(file, variables)
        if found.apikey:
            masked(found.apikey)
        assert all(text.isprintable() for text in found.warnings)

    return [Call(read)]


def config(box: Box) -> list[Call]:
    """Options as the command line, the form and a checkpoint bring them."""
    good = RunConfig().model_dump(mode="json")
    names = box.chance.sample([*good, "nonsense", ""], box.chance.choice((1, 1, 2, 5)))
    values = {name: box.chance.choice((weird(box.chance), str(weird(box.chance)))) for name in names}
    return [Call(lambda: make_config({**good, **values}).model_dump(mode="json"))]


def form(box: Box) -> list[Call]:
    """The form's last values."""
    file = remembered_file(box.root)
    remember({o.name: o.default for o in options()}, box.root)
    file.write_bytes(spoil_json(box.chance, file.read_bytes()))
    if box.chance.random() < 0.2:
        spoil_place(box.chance, file, box.outside)

    def read() -> None:
        values, note = recall(box.root)
        assert values.keys() <= set(RunConfig.model_fields)
        assert note.isprintable() and len(note) < 300, note

    return [Call(read)]


def events(box: Box) -> list[Call]:
    """A run that is watched: read in pieces, folded, and put into words and curves as the screens do."""
    folder, lines = box.root / "run", run_files()["events.jsonl"]
    folder.mkdir()
    spoiled = spoil_lines(box.chance, lines)
    file = folder / "events.jsonl"
    cut = box.chance.randrange(len(spoiled) + 1)
    file.write_bytes(spoiled[:cut])
    if box.chance.random() < 0.08:
        spoil_place(box.chance, file, box.outside)
    source, found = FolderSource(folder), list[Event]()
    width = box.chance.choice(WIDTHS)

    def first() -> None:
        found.extend(source.read())

    def rest() -> None:
        if file.is_file() and not file.is_symlink() and file.stat().st_size == cut:
            file.write_bytes(spoiled)
        found.extend(source.read())
        show_live(RunState.fold(found), source.alive(), width)
        for event in found:
            in_words(event, width)

    # OSError: a disk that is gone; the screens wait for it
    return [Call(first, (NoodleError, OSError)), Call(rest, (NoodleError, OSError))]


def show_live(state: RunState, alive: bool, width: int) -> None:
    """What the Live screen makes of a state."""
    status = live_text.status_of(state, alive)
    curves, view = Curves(), View(log=width == 80, smoothing=0.6 if width == 160 else 0.0)
    curves.update(state.epochs)
    live_text.stage_line(state, status, "", width)
    live_text.stages_line(state, status)
    live_text.sparks_line(curves, width)
    live_text.facts_line(state)
    live_text.verdict(state, status)
    live_text.best_text(state.best)
    show_curves(state, curves, view, state.n_epochs, width)


def show_curves(state: RunState, curves: Curves, view: View, n_epochs: int, width: int) -> None:
    for what, picture in (("loss", loss_picture), ("accuracy", accuracy_picture)):
        live_text.plot_heading(what, curves, view)
        draw(picture(curves, view, n_epochs, state.best), width, 12)


def run_folders(box: Box) -> list[Call]:
    """A save_dir with run folders: the list, `noodle runs`, the filter, and one of them in detail."""
    save_dir = box.root / "weights"
    folder = save_dir / odd_name(box.chance)
    spoil_run(box, folder)
    if box.chance.random() < 0.1:
        spoil_place(box.chance, save_dir / "other", box.outside)
    width, query = box.chance.choice(WIDTHS), random_query(box.chance)
    summaries = Summaries()

    def listed() -> None:
        runs = summaries.read(save_dir)
        summaries.read(save_dir)
        for run in runs:
            json.dumps(as_json(run))
            run_as_row(run)
            runs_text.row(run, width, runs_text.longest_texts(runs), "a")
            runs_text.account(run, width)
            runs_text.detail_lines(run, width, 3)
            draw(runs_text.curve(run), width, 10)
        for column in runs_text.SORTABLE:
            runs_text.sorted_runs(runs, column, True)

    def filtered() -> None:
        test = parse_query(query)
        for run in summaries.read(save_dir):
            test(run)

    def opened() -> None:
        found = run_folder.find_run(save_dir, box.chance.choice((None, folder.name, str(folder), "", "..", "\0")))
        run_folder.read_state(found)

    return [Call(listed), Call(filtered), Call(opened, (NoodleError, OSError)), Call(lambda: run_folder.read_config(folder))]


def random_query(chance: Random) -> str:
    keys = [*KEYS, "cfg.lr", "cfg.classes", "seed", "cfg.", "nonsense", "-status", ""]
    terms = [f"{chance.choice(('', '-', '--'))}{chance.choice(keys)}{chance.choice((':', '=', '!=', '<', '>=', ''))}"
             f"{chance.choice([*TEXTS, '0.5', 'done', '1e999', '-1'])}" for _ in range(chance.randrange(4))]
    return chance.choice((" ", "\t", "\n", '"')).join(terms)


def result(box: Box) -> list[Call]:
    """The Result screen."""
    folder = box.root / "weights" / odd_name(box.chance)
    spoil_run(box, folder)
    for name in ("report.json", "predictions.csv"):
        if box.chance.random() < 0.4 and (folder / name).is_file() and not (folder / name).is_symlink():
            (folder / name).write_bytes(spoil_named(box.chance, name, run_files()[name]))
    width = box.chance.choice(WIDTHS)

    def read() -> None:
        facts = read_facts(folder)
        result_text.head_lines(facts, width)
        result_text.distrust_lines(facts, width)
        result_text.distrust_lines(facts, width, brief=True)
        result_text.file_lines(facts, width)
        result_text.mistake_header(facts.classes)
        for mistake in facts.mistakes:
            result_text.mistake_row(mistake, facts.classes, width)
            assert not Path(mistake.path).is_absolute() and ".." not in Path(mistake.path).parts
        if facts.report is not None:
            found = facts.report.result
            confusion_lines(facts.report.classes, found.confusion, width)
            result_text.scores_line(found, width)
            for scores in (found.per_class, found.per_person, found.per_level):
                result_text.bar_lines(scores, width)
        curves = Curves()
        curves.update(facts.state.epochs)
        show_curves(facts.state, curves, View(), facts.state.epoch, width)

    return [Call(read, (NoodleError, OSError))]  # OSError, as documented: the screen says it


def card(box: Box) -> list[Call]:
    """A model's card."""
    file = box.root / "model.json"
    file.write_bytes(spoil_json(box.chance, run_files()["model.json"]))
    if box.chance.random() < 0.15:
        spoil_place(box.chance, file, box.outside)
    return [Call(lambda: read_card(file))]


def trash(box: Box) -> list[Call]:
    """A run is deleted, and had back."""
    save_dir = box.root / "weights"
    folder = save_dir / odd_name(box.chance)
    spoil_run(box, folder)
    if box.chance.random() < 0.4:
        spoil_place(box.chance, save_dir / ".trash", box.outside)
    asked = box.chance.choice([folder] * 6 + [save_dir, box.root, box.outside / "kept", save_dir / "..", folder / "..",
                                              save_dir / ".trash", folder / "report.md", save_dir / "\0", Path("/")])
    if box.chance.random() < 0.15:
        asked = save_dir / "linked"
        asked.symlink_to(box.chance.choice((folder, box.outside / "kept")))
    empty = box.chance.random() < 0.5
    strange = box.chance.choice((box.outside / "kept", save_dir / ".trash" / "..", folder, Path("\0")))

    def get_rid() -> None:
        empty_trash(save_dir, [*deletions(save_dir), strange])

    return [Call(lambda: move_to_trash(save_dir, [asked])),
            Call(get_rid if empty else lambda: restore_last(save_dir), (NoodleError, OSError))]


def requests(box: Box) -> list[Call]:
    """What is asked of a run by files in its folder; its lock; its record when it is picked up."""
    folder = box.root / "weights" / "run"
    spoil_run(box, folder)
    for name in (PAUSE_FILE, STOP_FILE, "pinned", "run.lock", "events.jsonl", "metrics.csv"):
        if box.chance.random() < 0.3:
            spoil_place(box.chance, folder / name, box.outside)

    def lock() -> None:
        with run_folder.locked(folder):
            control.clear_requests(folder)
            run_folder.clear_leftovers(folder)

    def record() -> None:
        told: list[Event] = []
        recorder = Recorder(folder, told.append)
        recorder(RunStarted("x", "x", {}, 3, 1, "h", resumed_at=box.chance.choice((0, 2))))
        recorder(Message("info", "hello"))
        assert all("\n" not in event.text for event in told if isinstance(event, Message))

    calls = [lambda: control.request_stop(folder), lambda: control.request_pause(folder),
             lambda: control.request_go_on(folder), lambda: pin(folder, True), lambda: pin(folder, False), lock, record]
    return [Call(do) for do in box.chance.sample(calls, 3)]


def data_folder(box: Box, files: int = 6) -> tuple[Path, Path]:
    """(stimuli, data) as a rejig leaves them: photos in the data folder, and the manifest."""
    stimuli, data = box.root / "stimuli", box.root / "data"
    stimuli.mkdir()
    mode, rows = box.chance.choice(("move", "copy", "link")), []
    for i in range(files):
        split, label = ("val" if i < 2 else "train"), ("sad", "happy")[i % 2]
        name = f"{i:02}M_Ne_to_{'Sa' if label == 'sad' else 'Ha'}_C{i:02}.JPG"
        source, target = stimuli / "34" / name, f"{split}/{label}/{name}"
        (data / split / label).mkdir(parents=True, exist_ok=True)
        source.parent.mkdir(exist_ok=True)
        if mode == "link":
            (data / target).symlink_to(source)
        else:
            (data / target).write_bytes(photo() + bytes([i]))
        if mode != "move":
            source.write_bytes(photo() + bytes([i]))
        rows.append(PlannedFile(str(source), target, label, split, f"{i:02}M", i))
    write_manifest(data, data, stimuli, rows, {"mode": mode, "split_by": "file"})
    return stimuli, data


def spoil_data(box: Box, data: Path, stimuli: Path) -> None:
    chance = box.chance
    table, made = data / "rejig.csv", data / "rejig.json"
    kind = chance.random()
    if kind < 0.5:
        text = table.read_bytes()
        for _ in range(chance.choice((1, 1, 3))):  # rows that lead out, all else right
            away, here = chance.choice(((b"../outside", b"train"), (os.fsencode(box.outside), os.fsencode(stimuli)),
                                        (b"/..", b"/34"), (b"..", b"sad"), (b"/", b""), (b"../kept.txt", b"happy"),
                                        (b"train/sad/../..", b"train/sad"), (os.fsencode(box.outside / "kept"), b"val")))
            text = text.replace(here, away, chance.choice((1, -1)))
        table.write_bytes(text)
    elif kind < 0.75:
        table.write_bytes(spoil_table(chance, table.read_bytes()))
    if chance.random() < 0.4:
        made.write_bytes(spoil_json(chance, made.read_bytes()))
    elif chance.random() < 0.3:  # a whole and consistent manifest that names another folder
        away = str(box.outside / "kept")
        made.write_text(json.dumps({**json.loads(made.read_bytes()), "stimuli": away,
                                    "stimuli_from_here": chance.choice(("../../outside/kept", away, "..", "\0"))}))
        table.write_bytes(table.read_bytes().replace(os.fsencode(stimuli), os.fsencode(away)))
    places = ["rejig.csv", "rejig.json", "train", "val", "train/sad", "val/happy", "../stimuli/34", "../.data.rejig-old",
              "../.data.rejig-new", "../.data.rejig-lock", "train/sad/02M_Ne_to_Sa_C02.JPG"]
    for name in chance.sample(places, chance.choice((0, 0, 0, 1, 1, 2))):
        place = data / name
        if place.parent.is_dir() and not place.parent.is_symlink():
            if place.is_dir() and not place.is_symlink() and chance.random() < 0.7:
                os.rename(place, box.root / f"was-{place.name}")
            spoil_place(chance, place, box.outside)


def manifest(box: Box) -> list[Call]:
    """A data folder from somebody else: its manifest read, a plan made on it, a rejig taken back."""
    stimuli, data = data_folder(box)
    spoil_data(box, data, stimuli)
    reads: list[Callable[[], object]] = [
        lambda: load_manifest(data),
        lambda: rejig_options(data),
        lambda: find_samples(data, PERSON),
        lambda: plan_rejig(RunConfig(stimuli=stimuli, data_dir=data, val_fraction=0.3,
                                     split_by=box.chance.choice(("file", "person")),
                                     mode=box.chance.choice(("move", "copy", "link")))),
    ]
    last = [lambda: undo_rejig(data, stimuli=stimuli)] if box.chance.random() < 0.8 else []
    return [Call(do) for do in [*box.chance.sample(reads, 2), *last]]


def image_file(box: Box) -> list[Call]:
    """One image: its header as rejig looks at it, its pixels as training reads them."""
    _, content = box.chance.choice(images())
    name = "x" + box.chance.choice((".jpg", ".png", ".tif", ".gif", ".eps", ".webp"))
    (box.root / name).write_bytes(spoil_bytes(box.chance, content))
    if box.chance.random() < 0.05:
        spoil_place(box.chance, box.root / name, box.outside)

    def read() -> None:
        with warnings.catch_warnings():  # as load_dataset and predict do
            warnings.simplefilter("ignore")
            pixels = decode_file(box.root / name).pixels
        assert pixels.dtype == torch.uint8 and pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.numel()

    def look() -> None:
        if os.path.isfile(box.root / name):  # scan leaves all else out
            reasons = unreadable(str(box.root), [name], lambda: None, lambda done, total: None)
            assert all("\n" not in reason for reason in reasons.values())

    return [Call(look), Call(read, (BadImage,)), Call(lambda: thumbnail(box.root / name, 20, 10)),
            Call(lambda: photo_bytes([box.root / name]))]


def checkpoint(box: Box) -> list[Call]:
    """A session that is picked up."""
    folder, good = box.root / "run", torch_files()[0]
    folder.mkdir()
    for name in ("checkpoint.pt", "checkpoint.prev.pt"):
        content = box.chance.choice((good, good, box.chance.choice(torch_files())))
        (folder / name).write_bytes(spoil_checkpoint(box.chance, content))
        if box.chance.random() < 0.1:
            spoil_place(box.chance, folder / name, box.outside)
    given = RunConfig(load_dir=folder)

    def load() -> None:
        content, warning = read_checkpoint(folder)
        assert warning.isprintable() and len(warning) < 600, warning
        restore(tiny_session(), content)

    def go_on() -> None:
        place = folder_to_pick_up(given)
        if place is not None:
            picked = pick_up(place, given)
            picked.check_data("other", "other")

    return [Call(load), Call(go_on)]


def spoil_checkpoint(chance: Random, data: bytes) -> bytes:
    """Bytes spoiled, or the content changed and saved anew, so that all checksums are right."""
    if chance.random() < 0.5:
        return spoil_bytes(chance, data)
    try:
        content = torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # noqa: BLE001 - one of the hostile ones: as it is
        return data
    if not isinstance(content, dict) or "version" not in content:
        return data
    key = chance.choice(list(content))
    if chance.random() < 0.5 and isinstance(content[key], dict) and content[key]:
        content[key] = {**content[key], chance.choice(list(content[key])): weird(chance)}
    else:
        content[key] = chance.choice((weird(chance), torch.zeros(3), {"a": torch.ones(2, 2)}))
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def weights(box: Box) -> list[Call]:
    """A state dict from somebody else."""
    file = box.root / "model.pth"
    content = box.chance.choice(torch_files())
    file.write_bytes(spoil_bytes(box.chance, content) if box.chance.random() < 0.8 else content)
    if box.chance.random() < 0.1:
        spoil_place(box.chance, file, box.outside)
    return [Call(lambda: load_state_dict(file)), Call(lambda: list(image_files([file, box.root])))]


def command(box: Box) -> list[Call]:
    """The whole command on any of these."""
    chance = box.chance
    save_dir = box.root / "weights"
    folder = save_dir / odd_name(chance)
    spoil_run(box, folder)
    stimuli, data = data_folder(box)
    if chance.random() < 0.7:
        spoil_data(box, data, stimuli)
    (folder / "checkpoint.pt").unlink(missing_ok=True) if not (folder / "checkpoint.pt").is_dir() else None
    weights_file = box.root / "w.pth"
    weights_file.write_bytes(spoil_bytes(chance, chance.choice(torch_files())))
    (data / "val" / "sad" / "broken_Sa_.jpg").write_bytes(b"no image") if (data / "val" / "sad").is_dir() else None
    odd = chance.choice([t[:400] for t in TEXTS if "\ud800" not in t])
    arguments = chance.choice((
        ["runs", "--save-dir", str(save_dir), "--format", chance.choice(("table", "json"))],
        ["watch", "--headless", "--save-dir", str(save_dir), *chance.choice(([], ["--json"])), folder.name],
        ["watch", "--headless", "--save-dir", str(save_dir), "--", odd],
        ["stop", "--save-dir", str(save_dir), "--", chance.choice((folder.name, odd))],
        ["rejig", "--undo", "--data-dir", str(data), "--stimuli", str(stimuli)],
        ["rejig", "--dry-run", "--data-dir", str(data), "--stimuli", str(stimuli)],
        ["predict", "--load-dir", str(folder), "--device", "cpu", str(data)],
        ["run", "--headless", "--data-dir", str(data), "--save-dir", str(box.root / "new"), "--weights", str(weights_file),
         "--device", "cpu", "--n-epochs", "1"],
        ["run", "--headless", "--load-dir", str(folder), "--data-dir", str(data), "--save-dir", str(box.root / "new"),
         "--n-epochs", "1", "--device", "cpu"],
        ["run", "--headless", "--" + chance.choice([o.flag for o in options() if o.name != "debug"]), odd],
        [chance.choice(("run", "rejig", "predict", "runs", "watch", "stop", "nonsense", "")), odd, "--headless"],
    ))
    if any(word.startswith("--device") for word in arguments) is False and arguments[:1] == ["run"]:
        arguments += ["--device", "cpu", "--data-dir", str(box.root / "none"), "--save-dir", str(box.root / "new")]
    arguments = [word for word in arguments if "\0" not in word]  # none can be given to a process

    def run() -> None:
        code: Any = 0
        with captured(box.root) as (out, error):
            try:
                cli.call(arguments)
            except SystemExit as leave:
                code = leave.code
            said, complaint = out(), error()
        what = f"noodle {arguments}: {code}: {(said + complaint)[:2000]}"
        assert code in (0, 1, 2, 130), what
        assert "Traceback" not in said + complaint and "(a bug, or" not in said + complaint, what
        assert (said + complaint).translate({ord(c): None for c in "\n\udcff"}).isprintable(), what
        assert complaint.count("\n") <= 1 + {"predict": 8, "watch": 1}.get(arguments[0], 0) and len(complaint) < 2000, what

    return [Call(run, ())]


@contextmanager
def captured(folder: Path) -> Iterator[tuple[Callable[[], str], Callable[[], str]]]:
    """(stdout so far, stderr so far) as functions, of what is printed inside; by files, as commands ask for their number."""
    real = sys.stdout, sys.stderr
    files = [folder / name for name in ("stdout", "stderr")]
    sys.stdout, sys.stderr = (file.open("w", encoding="utf-8") for file in files)

    def reader(stream: Any, file: Path) -> Callable[[], str]:
        def read() -> str:
            stream.flush()
            return file.read_text("utf-8", "surrogateescape")

        return read

    try:
        yield reader(sys.stdout, files[0]), reader(sys.stderr, files[1])
    finally:
        sys.stdout.close()
        sys.stderr.close()
        sys.stdout, sys.stderr = real


READERS: dict[Reader, int] = {  # with how many of a hundred inputs each gets
    settings: 8, config: 6, form: 5, events: 14, run_folders: 12, result: 9, card: 4, trash: 6, requests: 5, manifest: 10,
    image_file: 14, checkpoint: 3, weights: 2, command: 2,
}
