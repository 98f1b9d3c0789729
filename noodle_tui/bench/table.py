"""What `noodle bench` found out: a table, a verdict, or one JSON object."""

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from noodle_tui.bench.compare import PLAIN, TRAINER, BatchResult, BenchResult
from noodle_tui.bench.trainer import VALIDATED
from noodle_tui.text import number_of

BUSY, MOSTLY_BUSY = 0.9, 0.75  # shares of the ceiling
DISTURBED = 1.5  # a contender's fastest round against its slowest
IMPOSSIBLE = 1.1  # share of the ceiling, which nothing passes by more than chance
PAYS = 1.1  # a larger batch pays where it is so many times as fast as the next smaller one that does


def print_result(result: BenchResult) -> None:
    """The table, the notes and the verdict on stdout."""
    console = Console(highlight=False, markup=False, width=None if Console().is_terminal else 110)
    console.print(f"{result.device_name} ({result.device}), {result.precision}, torch {result.torch_version}")
    console.print(f"{result.photos}; the network sees {result.input_size} x {result.input_size}; pixels in {result.where}")
    console.print(_table(result))
    for line in [*_start_up_in_words(result), *(f"note: {note}" for note in result.notes)]:
        console.print(line)
    console.print(verdict(result), style="bold")


def result_as_json(result: BenchResult) -> str:
    """One JSON object: all that was measured, medians, ratios, notes and the verdict."""
    values: dict[str, Any] = asdict(result)
    values["batches"] = [_batch_as_json(batch) for batch in result.batches]
    return json.dumps({**values, "verdict": verdict(result)})


def _batch_as_json(batch: BatchResult) -> dict[str, Any]:
    return {
        "batch_size": batch.batch_size,
        "images_per_second": {group: {name: batch.median(group, name) for name in members}
                              for group, members in batch.rates.items()},
        "rounds": batch.rates,
        "best_ceiling": batch.best_ceiling,
        "train_only_to_ceiling": batch.busy,
        "with_validation_to_plain": {name: batch.times_plain(name) for name in batch.rates.get(PLAIN, {})},
    }


def _table(result: BenchResult) -> Table:
    table = Table(title=f"images a second, medians of {number_of(result.rounds, 'round')}", title_justify="left")
    table.add_column("")
    for batch in result.batches:
        table.add_column(f"batch {batch.batch_size}", justify="right")
    members = [(group, name) for group, names in result.batches[0].rates.items() for name in names]
    for group, name in members:
        cells = [f"{batch.median(group, name):,.1f}" if name in batch.rates.get(group, {}) else "" for batch in result.batches]
        words = "this trainer" if group == TRAINER else group
        table.add_row(f"{words}, {name}", *cells, end_section=(group, name) == members[-1])
    table.add_row("train only / best ceiling", *(f"{batch.busy:.2f} ({batch.best_ceiling})" for batch in result.batches))
    for name in result.batches[0].rates[PLAIN]:
        cells = [f"{batch.times_plain(name):.1f}" if PLAIN in batch.rates else "" for batch in result.batches]
        table.add_row(f"with validation / plain loop, {name}", *cells)
    return table


def _start_up_in_words(result: BenchResult) -> list[str]:
    s = result.start_up
    return [
        f"decoding: {result.decode_rate:,.0f} images/s",
        f"start-up of `noodle run` on {s['photos']:.0f} photos: first word after {s['first_word']:.1f} s, photos decoded after "
        f"{s['photos_decoded']:.1f} s, network ready after {s['network_ready']:.1f} s, first epoch done after "
        f"{s['first_epoch_done']:.1f} s",
        f"a whole job on them, {s['whole_job_epochs']:.0f} epochs, from decoding to the saved model and report: "
        f"{s['whole_job']:.1f} s, and {s['imports']:.1f} s of imports before",
    ]


def verdict(result: BenchResult) -> str:
    """One sentence: is the device kept busy, and which batch size pays? Another one where neither can be told."""
    unsteadiness = max(batch.unsteadiness for batch in result.batches)
    if unsteadiness > DISTURBED:
        return (f"Not to be relied on: the rounds of one contender differ by {unsteadiness:.1f} times, so something else used "
                "the machine; run it again when it is quiet, or with more --rounds.")
    busiest = max(batch.busy for batch in result.batches)
    if busiest > IMPOSSIBLE:  # of a single round nothing else tells it
        return (f"Not to be relied on: this trainer comes to {busiest:.0%} of the ceiling, which can't be, so something else "
                "used the machine; run it again when it is quiet, or with more --rounds.")
    pays = batch_that_pays(result.batches)
    share = f"{pays.busy:.0%} of what it can do at batch {pays.batch_size}"
    if pays.busy >= BUSY:
        busy = f"The device is kept busy ({share})"
    elif pays.busy >= MOSTLY_BUSY:
        busy = f"The device is mostly kept busy ({share}; the rest is cropping, feeding and counting)"
    else:
        busy = f"The device is not kept busy ({share}): reading and cropping the photos is what limits it"
    if len(result.batches) == 1:
        return f"{busy}; to see whether a larger batch pays, name several, e.g. --batch-size {pays.batch_size}," \
               f"{4 * pays.batch_size}."
    smallest = min(result.batches, key=lambda batch: batch.batch_size)
    if pays is smallest:
        return f"{busy}; batch {pays.batch_size} pays: no larger one is {PAYS} times as fast."
    gain = pays.median(TRAINER, VALIDATED) / smallest.median(TRAINER, VALIDATED)
    return f"{busy}; batch {pays.batch_size} pays: {gain:.1f} times as many images a second as batch {smallest.batch_size}."


def batch_that_pays(batches: list[BatchResult]) -> BatchResult:
    """The largest batch that is worth it: going up in size, one pays where it is PAYS times as fast as the last that did.

    A larger batch also takes fewer steps an epoch, so it must earn its place.
    """
    ordered = sorted(batches, key=lambda batch: batch.batch_size)
    pays = ordered[0]
    for batch in ordered[1:]:
        if batch.median(TRAINER, VALIDATED) >= PAYS * pays.median(TRAINER, VALIDATED):
            pays = batch
    return pays
