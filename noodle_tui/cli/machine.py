"""The commands that ask what this machine can do: is all there, how fast is it, does a run survive here?"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from noodle_tui.cli.flags import given, number, whole_number, with_options
from noodle_tui.config import make_config
from noodle_tui.errors import UsageError
from noodle_tui.terminal import ended_at_interrupt, interrupted_by_signals

MOST_KILLS = 5


@with_options(["device", "precision", "save_dir", "debug"])
def doctor_command(**values: Any) -> None:
    """Look whether all is there that a run needs. Device, versions, ImageNet weights, settings, disk, terminal."""
    from noodle_tui.doctor import examine, print_findings

    raise typer.Exit(print_findings(examine(make_config(given(values)))))


@with_options(["device", "precision", "compile", "debug"])
def bench_command(
    *,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="measure on these photos [default: drawn ones]",
                                                  metavar="PATH")] = None,
    size: Annotated[str | None, typer.Option("--size", help="of the photos that are drawn where no --data-dir is given "
                                             "[default: 562x762]", metavar="WxH")] = None,
    count: Annotated[int | None, whole_number("--count", "how many are drawn [default: 2400]")] = None,
    batch_size: Annotated[list[str] | None, typer.Option("--batch-size", metavar="N,N…", help="images a step; several tell "
                                                         "which pays [default: 24; with --parity 32]")] = None,
    input_size: Annotated[int | None, whole_number("--input-size", "pixels a side that the network sees [default: 224; with "
                                                   "--parity 64]")] = None,
    rounds: Annotated[int | None, whole_number("--rounds", "turns of each contender [default: 3]")] = None,
    seconds: Annotated[float | None, number("--seconds", "a turn lasts, about [default: 2]")] = None,
    workers: Annotated[int | None, whole_number("--workers", "loader processes of the plain loop [default: one a processor, "
                                                "12 at most]")] = None,
    parity: Annotated[bool, typer.Option("--parity", help="instead of speed: does it learn as well as a plain fp32 loop?")]
    = False,
    seeds: Annotated[int | None, whole_number("--seeds", "with --parity [default: 5]")] = None,
    epochs: Annotated[int | None, whole_number("--epochs", "with --parity [default: 12]")] = None,
    lr: Annotated[float | None, number("--lr", "with --parity [default: 0.002; with --weights 0.001]")] = None,
    weights: Annotated[str | None, typer.Option("--weights", help="with --parity: what both start from: imagenet, none, or a "
                                                "ResNet18 state-dict file [default: none]", metavar="TEXT")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    **values: Any,
) -> None:
    """Measure how fast training is here. Against this device's ceiling and a plain loop; progress goes to stderr."""
    from noodle_tui.bench.options import bench_options, parity_options

    asked = given({**values, "data_dir": data_dir, "size": size, "count": count, "batch_size": batch_size,
                   "input_size": input_size, "rounds": rounds, "seconds": seconds, "workers": workers, "seeds": seeds,
                   "epochs": epochs, "lr": lr, "weights": weights})
    say = partial(print, file=sys.stderr, flush=True)
    if parity:
        learning = parity_options(asked)
        with ended_at_interrupt():
            from noodle_tui.bench.parity import parity as compare_learning
            from noodle_tui.bench.parity import parity_as_json, print_parity

        with interrupted_by_signals():
            learnt = compare_learning(learning, say)
        print(parity_as_json(learnt)) if json else print_parity(learnt)
        return
    options = bench_options(asked)
    with ended_at_interrupt():
        from noodle_tui.bench.compare import bench
        from noodle_tui.bench.table import print_result, result_as_json

    with interrupted_by_signals():
        result = bench(options, say)
    print(result_as_json(result)) if json else print_result(result)


@with_options(["device", "precision", "seed", "debug"])
def verify_resume_command(
    *,
    kills: Annotated[int, whole_number("--kills", f"how often the run is killed, at most {MOST_KILLS}")] = 3,
    **values: Any,
) -> None:
    """Prove that a killed run is resumed exactly. On this device: bit for bit what one gives that was not killed."""
    if not 1 <= kills <= MOST_KILLS:
        raise UsageError(f"--kills: {kills} is out of bounds: at least 1, at most {MOST_KILLS}")
    config = make_config(given(values))
    with ended_at_interrupt():
        from noodle_tui.verify_resume import verify_resume
    with interrupted_by_signals():
        same = verify_resume(config.device, config.precision, kills, config.seed, say=print)
    print("the same, bit for bit" if same else "NOT the same: don't pick runs up on this device where that matters")
    raise typer.Exit(0 if same else 1)
