"""Rejig's manifest and folders from somebody else: refused in a line, and nothing is touched."""

import csv
import json
import os
from pathlib import Path

import pytest
from fake_stimuli import draw, error_of, files_in, make_plan, rejig, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from noodle_tui.errors import NoodleError
from noodle_tui.rejig import load_manifest, undo_rejig


def test_undo_of_what_rejig_didnt_make(tmp_path, data):
    for missing in (data, tmp_path / "none" / "none"):
        assert error_of(undo_rejig, missing) == f"{missing}: there is no such folder, nothing to undo"
    draw(data / "train" / "sad" / "x.jpg")
    assert error_of(undo_rejig, data) == f"{data} was not made by noodle rejig: there is nothing to undo"
    assert len(tree(data)) == 1


def rewrite(data: Path, change) -> None:
    with open(data / "rejig.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    change(rows)
    with open(data / "rejig.csv", "w", newline="") as stream:
        csv.writer(stream).writerows(rows)


HOSTILE = {
    "target climbs": lambda rows: rows[1].__setitem__(1, "train/sad/../../../outside.jpg"),
    "target is a parent": lambda rows: rows[1].__setitem__(1, "train/sad/.."),
    "target is absolute": lambda rows: rows[1].__setitem__(1, "/etc/passwd"),
    "class climbs": lambda rows: rows[1].__setitem__(slice(1, 3), ["train/../x.jpg", ".."]),
    "source outside": lambda rows: rows[1].__setitem__(0, "/etc/cron.d/x"),
    "source is relative": lambda rows: rows[1].__setitem__(0, "here/x.jpg"),
    "source climbs": lambda rows: rows[1].__setitem__(0, rows[1][0].replace("/stimuli/", "/stimuli/../")),
    "NUL": lambda rows: rows[1].__setitem__(1, "train/sad/a\0b.jpg"),
    "a level in words": lambda rows: rows[1].__setitem__(5, "high"),
    "a column missing": lambda rows: rows[1].pop(),
    "a row missing": lambda rows: rows.pop(),
    "a row twice": lambda rows: rows.__setitem__(1, rows[2]),
    "two rows of one source": lambda rows: rows[1].__setitem__(0, rows[2][0]),
    "other columns": lambda rows: rows[0].reverse(),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_or_broken_manifest_is_refused_and_nothing_touched(stimuli, data, change):
    rejig(stimuli, data)
    rewrite(data, change)
    before = tree(data.parent)
    for call in (load_manifest, undo_rejig):
        assert "is broken" in error_of(call, data)
    assert "is broken" in error_of(make_plan, stimuli, data)
    assert tree(data.parent) == before


@pytest.mark.parametrize("made", ["", "[]", "{", "null", '{"version": 1}', "[" * 100_000, '{"version": 1, "mode": 3}'])
def test_a_broken_json_is_refused(stimuli, data, made):
    rejig(stimuli, data)
    (data / "rejig.json").write_text(made)
    assert "is broken" in error_of(load_manifest, data)


@pytest.mark.parametrize("name", ["rejig.csv", "rejig.json"])
@pytest.mark.parametrize("make", [lambda file, old: file.symlink_to(old), lambda file, old: os.mkfifo(file)],
                         ids=["link", "pipe"])
def test_a_manifest_that_is_no_plain_file_is_neither_followed_nor_waited_for(stimuli, data, tmp_path, name, make):
    rejig(stimuli, data)
    (data / name).rename(tmp_path / "elsewhere")
    make(data / name, tmp_path / "elsewhere")
    assert "is broken" in error_of(load_manifest, data)


def test_a_giant_json_is_not_read(stimuli, data):
    rejig(stimuli, data)
    file = data / "rejig.json"
    file.write_text(file.read_text() + " " * 1_000_000)
    assert "is broken" in error_of(load_manifest, data)


def test_stimuli_that_climb_are_refused(stimuli, data, tmp_path):
    rejig(stimuli, data)
    made = json.loads((data / "rejig.json").read_text())
    made["stimuli"] = f"{tmp_path}/x/../stimuli"
    (data / "rejig.json").write_text(json.dumps(made))
    rewrite(data, lambda rows: [row.__setitem__(0, row[0].replace(str(stimuli), made["stimuli"])) for row in rows[1:]])
    assert "stimuli is no absolute path" in error_of(load_manifest, data)


def test_undo_follows_no_links_out(stimuli, data, tmp_path):
    rejig(stimuli, data)
    outside = tmp_path / "outside"
    (data / "train" / "sad").rename(outside)
    (data / "train" / "sad").symlink_to(outside)
    before = tree(outside)
    assert "links are not followed" in error_of(undo_rejig, data)
    assert "links are not followed" in error_of(make_plan, stimuli, data)
    assert tree(outside) == before
    (data / "train" / "sad").unlink()
    outside.rename(data / "train" / "sad")
    (stimuli / "34").rmdir()
    (tmp_path / "victim").mkdir()
    (stimuli / "34").symlink_to(tmp_path / "victim")
    assert "leads out of the stimuli by a link" in error_of(undo_rejig, data)
    assert not tree(tmp_path / "victim")


def test_undo_puts_photos_back_only_into_the_stimuli_that_it_is_told(stimuli, data, tmp_path):
    rejig(stimuli, data)
    made = json.loads((data / "rejig.json").read_text())
    victim = tmp_path / "victim"
    victim.mkdir()
    made |= {"stimuli": str(victim), "stimuli_from_here": "../victim"}
    (data / "rejig.json").write_text(json.dumps(made))
    rewrite(data, lambda rows: [row.__setitem__(0, row[0].replace(str(stimuli), str(victim))) for row in rows[1:]])
    assert str(victim) in error_of(undo_rejig, data, stimuli=stimuli)
    assert not tree(victim)


@settings(max_examples=150, deadline=None)
@given(table=st.binary(max_size=300), made=st.one_of(st.binary(max_size=100), st.none()))
def test_no_manifest_makes_a_traceback(tmp_path_factory, table, made):
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    header = b"source,target,class,split,person,level\r\n"
    (folder / "rejig.csv").write_bytes(header + table)
    options = {"version": 1, "mode": "move", "stimuli": "/s", "stimuli_from_here": "../s", "files": table.count(b"\n")}
    (folder / "rejig.json").write_bytes(json.dumps(options).encode() if made is None else made)
    files, said = (), ""
    try:
        files = files_in(folder)
    except NoodleError as error:
        said = str(error)
    assert "\n" not in said
    assert all(row.target.split("/")[0] in ("train", "val") for row in files)


@pytest.mark.parametrize("name", [".classify.rejig-new", ".classify.rejig-old"])
def test_what_stands_at_a_working_folders_place_is_neither_waited_for_nor_removed(stimuli, data, tmp_path, name):
    rejig(stimuli, data)
    os.mkfifo(tmp_path / name)
    for call in (lambda: undo_rejig(data), lambda: make_plan(stimuli, data)):
        assert "is no folder of an interrupted rejig" in error_of(call)
    assert (tmp_path / name).is_fifo()


def test_a_giant_manifest_is_not_read(stimuli, data):
    rejig(stimuli, data)
    os.truncate(data / "rejig.csv", 2**31)
    assert "is larger than 256 MiB" in error_of(load_manifest, data)


def test_a_name_that_no_file_system_takes_is_refused(stimuli, data):
    rejig(stimuli, data)
    rewrite(data, lambda rows: rows[1].__setitem__(1, "train/sad/" + "x" * 256))
    assert "is broken" in error_of(undo_rejig, data)
