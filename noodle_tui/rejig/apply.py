"""Doing what a plan says, so that a kill at any point leaves every photo whole.

    1. link or copy every photo into a hidden staging folder next to the data folder, and the manifest with them
    2. publish: one rename (of an existing data folder: renamed aside first, taken apart afterwards)
    3. only then unlink the sources of moved photos

Killed in 1 or within 2: the next call rolls back (undo.recover). Killed later: the next plan and apply finish.
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from noodle_tui.atomic import sync
from noodle_tui.errors import NoodleError
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.disk import (
    copy_photo,
    errors_in_words,
    link_or_copy,
    locked,
    make_symbolic_link,
    names_in_words,
    refuse_others_folder,
    refuse_standing_in,
    refuse_stuck_folder,
    same_photo,
)
from noodle_tui.rejig.manifest import load_manifest, manifest_stamp, record_options, write_manifest
from noodle_tui.rejig.plan import RejigPlan
from noodle_tui.rejig.spoiled import refuse_spoiled_sources
from noodle_tui.rejig.undo import aside_folder, clear_aside, recover_locked, staging_folder
from noodle_tui.text import printable


def apply_rejig(plan: RejigPlan, *, progress: Progress = nothing, check: Check = nothing) -> None:
    """Arrange the data folder as planned. Where the plan is `already_done` only its options are put on record.

    `progress` is called with (photos done, photos in all); `check` between photos, and may raise StopRun: then either
    nothing has changed, or the photos stand in the data folder and the next rejig removes the rest of the sources.
    Raises NoodleError: another rejig is at work on the folder, the folder or a photo has changed since the plan, no
    room, no right to write. Every photo is whole then, in its old place or in its new one.
    """
    if plan.already_done:
        if not plan.recorded:
            _note_options(plan)
        return
    with errors_in_words(f"rejig {printable(str(plan.data_dir))}"):
        plan.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with locked(plan.data_dir):
            recover_locked(plan.data_dir)
            if manifest_stamp(plan.data_dir) != plan.before:
                raise NoodleError(f"{printable(str(plan.data_dir))} has changed since this plan was made: "
                                  "call noodle rejig again")
            if not plan.arranged:
                refuse_standing_in(plan.data_dir)
                refuse_others_folder(plan.data_dir, "sort these photos anew; choose another --data-dir")
                refuse_stuck_folder(plan.data_dir)
                if plan.before_mode == "copy" and (plan.mode != "copy" or plan.leaving):
                    _refuse_lost_copies(plan, progress, check)
                _refuse_full_disk(plan)
                _publish(plan, _stage(plan, progress, check))
            if plan.mode == "move":
                _remove_sources(plan, check)


def _note_options(plan: RejigPlan) -> None:
    """Put the plan's options on record. Who may only read there, or comes while another is at work, goes on without."""
    with suppress(OSError, NoodleError), locked(plan.data_dir):
        if manifest_stamp(plan.data_dir) == plan.before:
            record_options(plan.data_dir, plan.options)


def _refuse_lost_copies(plan: RejigPlan, progress: Progress, check: Check) -> None:
    """Before copies are removed: those that leave, or all where the mode is another."""
    made = load_manifest(plan.data_dir)
    assert made is not None  # as the plan found it
    stay = {file.source for file in plan.files} if plan.mode == "copy" else set[str]()
    refuse_spoiled_sources(plan.data_dir, made, check, progress, removed={file.source for file in made.files} - stay)


def _refuse_full_disk(plan: RejigPlan) -> None:
    """Before anything is copied: is there room for it?"""
    there = plan.data_dir.parent
    if plan.mode == "link" or (plan.mode == "move" and os.stat(plan.stimuli).st_dev == os.stat(there).st_dev):
        return
    to_copy = [file.source for file in plan.files if not _stays_on_disk(plan, file.source)]
    needed = sum(os.stat(plan.standing_at.get(source, source)).st_size for source in to_copy)
    free = shutil.disk_usage(there).free
    if needed > free:
        raise NoodleError(f"no room for {needed / 2**30:.2f} GiB of photos in {printable(str(there))} "
                          f"({free / 2**30:.2f} GiB are free): make room, choose another --data-dir or --mode link")


def _stays_on_disk(plan: RejigPlan, source: str) -> bool:
    """Whether a photo stands in the data folder and is only linked to its new place there."""
    return source in plan.standing_at and (plan.mode == "move" or plan.before_mode == "copy")


def _stage(plan: RejigPlan, progress: Progress, check: Check) -> Path:
    """Put the whole arrangement together in the staging folder. If anything goes wrong it is removed again."""
    staging = staging_folder(plan.data_dir)
    os.mkdir(staging, 0o700)  # until it is published nobody else looks in
    folders = sorted({f"{staging}/{file.split}/{file.label}" for file in plan.files})
    try:
        for folder in folders:
            with names_in_words(os.path.basename(folder), "class"):
                os.makedirs(folder)
        for done, file in enumerate(plan.files, start=1):
            check()
            with names_in_words(os.path.basename(file.target), "photo"):
                _bring(plan, file.source, f"{staging}/{file.target}")
            if done % 100 == 0 or done == len(plan.files):
                progress(done, len(plan.files))
        write_manifest(staging, plan.data_dir, plan.stimuli, plan.rows, plan.options)
        for folder in [*folders, *(f"{staging}/{split}" for split in ("train", "val")), str(staging)]:
            sync(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)  # the next rejig would remove what is left
        raise
    return staging


def _bring(plan: RejigPlan, source: str, target: str) -> None:
    origin = plan.standing_at.get(source, source)
    try:
        if plan.mode == "link":
            make_symbolic_link(source, target)
        elif plan.mode == "move" or _stays_on_disk(plan, source):
            link_or_copy(origin, target)
        else:
            copy_photo(origin, target)
    except FileNotFoundError:
        if os.path.lexists(origin):
            raise
        raise NoodleError(f"{printable(origin)} was there when the plan was made and is gone now: call noodle rejig "
                          "again") from None


def _publish(plan: RejigPlan, staging: Path) -> None:
    data_dir, aside = plan.data_dir, aside_folder(plan.data_dir)
    with suppress(OSError):  # a file system without rights of its own
        os.chmod(staging, _openness(plan, staging))
    try:
        if data_dir.is_dir() and any(data_dir.iterdir()):
            os.rename(data_dir, aside)
        os.rename(staging, data_dir)
    except OSError as error:
        recover_locked(data_dir)
        raise NoodleError(f"{printable(str(data_dir))} can't be replaced ({error.strerror}): close what is open in it; where "
                          "it is in a container's image, noodle rejig --undo first, or choose another --data-dir") from None
    sync(str(data_dir.parent))
    if os.path.lexists(aside):
        clear_aside(data_dir)


def _openness(plan: RejigPlan, staging: Path) -> int:
    """The rights of the data folder: those that it has; of a new one the usual ones, for those who get at the photos where they
    are: files that lie open in a private folder don't come out of it."""
    if plan.data_dir.is_dir():
        return plan.data_dir.stat().st_mode & 0o7777
    usual = os.stat(staging / plan.files[0].split).st_mode & 0o7777  # by the umask
    others = 0o077
    for folder in (plan.stimuli, *plan.stimuli.resolve().parents):
        allowed = folder.stat().st_mode
        others &= (0o070 if allowed & stat.S_IXGRP else 0) | (0o007 if allowed & stat.S_IXOTH else 0)
    listed = plan.stimuli.stat().st_mode
    return usual & (0o7700 | others & listed)


def _remove_sources(plan: RejigPlan, check: Check) -> None:
    """The photos are published and on the disk: now they may leave the stimuli. A source that differs stays."""
    for file in plan.files:
        check()
        if os.path.lexists(file.source) and same_photo(file.source, f"{plan.data_dir}/{file.target}"):
            os.unlink(file.source)
