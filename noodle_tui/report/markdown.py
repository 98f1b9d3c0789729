"""report.md: a run's result for its reader, as a paper's supplement needs it."""

import math
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from noodle_tui import __version__
from noodle_tui.evaluate import RESAMPLES, Count, Evaluation
from noodle_tui.report.as_json import options_without_folders, utc
from noodle_tui.report.distrust import what_to_distrust
from noodle_tui.report.facts import IMAGENET_MEAN, IMAGENET_STD, RunFacts, verdict
from noodle_tui.stats import interval_in_words, share_in_words
from noodle_tui.text import are, number_of, printable

REFERENCES = """\
- G. W. Brier (1950), Verification of forecasts expressed in terms of probability. Monthly Weather Review 78, 1-3.
- C. A. Field, A. H. Welsh (2007), Bootstrapping clustered data. J. Royal Statistical Society B 69, 369-390.
- C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), On calibration of modern neural networks. ICML, 1321-1330.
- K. He, X. Zhang, S. Ren, J. Sun (2016), Deep residual learning for image recognition. CVPR, 770-778 (ResNet18).
- A. Paszke et al. (2019), PyTorch: an imperative style, high-performance deep learning library. NeurIPS 32, 8024-8035.
- O. Russakovsky et al. (2015), ImageNet large scale visual recognition challenge. IJCV 115, 211-252.
- E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference. JASA 22, 209-212."""
LR_WITHIN = re.compile(r"lr \S+ up to batch \d+ of epoch (\d+), then (\S+)")  # of RunFacts.changes
MAX_ROWS = 200  # of people, levels or skipped files; report.json has all


def _escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", printable(text))


def _code(text: str) -> str:
    """A name as code, fenced with more backticks than it holds."""
    text = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if not text or "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers. Rows beyond MAX_ROWS are counted."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows[:MAX_ROWS]]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return text + (f"\n\n{len(rows) - MAX_ROWS} more are in report.json." if len(rows) > MAX_ROWS else "")


def _number(value: float | None) -> str:
    """'0.412'; '3.0e-04' where three digits would show none. What is below the rounding of the answers is 0.000."""
    if value is None or math.isnan(value):
        return "undefined"
    return f"{value:.1e}" if 1e-7 < value < 0.0005 else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "undefined" if value is None or math.isnan(value) else share_in_words(value)


def _count_row(count: Count) -> list[str]:
    interval = interval_in_words(count.interval, fine=True)
    return [_code(count.name), f"{count.correct}/{count.count}", _share(count.accuracy), interval]


def report_markdown(facts: RunFacts, evaluation: Evaluation) -> str:
    """The report for a reader, fit for a paper's supplement."""
    warnings = "\n".join(f"- {_escape(sentence)}" for sentence in what_to_distrust(facts, evaluation))
    sections = [
        f"# {_code(facts.name)}",
        verdict(facts, evaluation),
        "This file names photos and people: it is meant to stay on this machine; look through it before you share it.",
        "## What to distrust",
        warnings or "Nothing that the numbers show.",
        "## Results",
        _results(facts, evaluation),
        "## Methods",
        methods(facts),
        "## Data",
        _data(facts),
        "## References",
        _references(facts),
        "## Software and options",
        _table(["what", "value"], [[name, _escape(value)] for name, value in facts.environment.items()]),
        _table(["option", "value"], [[name, _code(_option_text(value))]
                                     for name, value in options_without_folders(facts.config).items()]),
    ]
    return "\n\n".join(sections) + "\n"


def _references(facts: RunFacts) -> str:
    """What the report names; ImageNet only where training started from it."""
    return "\n".join(line for line in REFERENCES.splitlines() if facts.weights == "imagenet" or "ImageNet" not in line)


def _option_text(value: Any) -> str:
    return " ".join(value) if isinstance(value, list | tuple) else str(value)


def _about_intervals(facts: RunFacts, evaluation: Evaluation) -> str:
    """What the table of scores can't say of them: how the second interval was made, and what neither allows for."""
    people, known = len(evaluation.per_person), sum(person.count for person in evaluation.per_person)
    if evaluation.people_interval:
        second = f"are percentiles of {RESAMPLES:,} draws of {people} people with replacement"
    elif known < evaluation.overall.count:
        second = "are undefined, since the people on some images are unknown"
    else:
        second = "are undefined, since " + ("there is one person" if people < 2 else "all people have the same accuracy")
    chosen = ", nor for the choice of the epoch by these images" if len(facts.validated) > 1 else ""
    both = len(facts.train_people & facts.val_people)
    known_faces = (f" {both} of these people {are(both)} in training, too: neither interval is about new people alone."
                   if both else "")
    return (f"The bounds with people resampled {second}.{known_faces} The intervals are of one trained model: they do not "
            f"allow for another seed or split{chosen}. Guessing gives a balanced accuracy of "
            f"{1 / len(evaluation.classes):.3f}.")


def _results(facts: RunFacts, evaluation: Evaluation) -> str:
    overall, n = evaluation.overall, len(evaluation.classes)
    names = [_code(name) for name in evaluation.classes]
    people = interval_in_words(evaluation.people_interval) if evaluation.people_interval else "undefined"
    scores = [
        ["accuracy", f"{_share(overall.accuracy)} ({overall.correct}/{overall.count})"],
        ["95% interval (Wilson 1927; takes images for independent)", interval_in_words(overall.interval)],
        ["95% interval (people resampled; Field and Welsh 2007)", people],
        [f"always answering {_code(evaluation.majority.name)}", _share(evaluation.majority.accuracy)],
        ["balanced accuracy", _share(evaluation.balanced_accuracy)],
        ["log loss (natural logarithm)", _number(evaluation.log_loss)],
        [f"Brier score (Brier 1950; 0 to {1 if n == 2 else 2})", _number(evaluation.brier)],
        ["expected calibration error (10 bins; Guo et al. 2017)", _number(evaluation.calibration_error)],
    ]
    if n == 2:
        scores.append([f"area under the ROC curve of {names[1]}", _share(evaluation.roc_auc)])
    confusion = [[name, *map(str, row)] for name, row in zip(names, evaluation.confusion, strict=True)]
    per_class = [[*_count_row(c.recall), _share(c.precision), _share(c.f1)] for c in evaluation.per_class]
    bins = [[f"{b.low:.1f} to {b.high:.1f}", str(b.count), _number(b.confidence), _share(b.accuracy)]
            for b in evaluation.calibration if b.count]
    worst = [[_code(p.path), names[p.true], names[p.predicted], _number(p.confidence)] for p in evaluation.worst]
    interval = "95% interval (Wilson)"
    parts = [
        _table(["score", "value"], scores),
        _about_intervals(facts, evaluation),
        "### Confusion matrix", _table(["true \\ predicted", *names], confusion),
        "### Per class", _table(["class", "right", "recall", interval, "precision", "F1"], per_class),
    ]
    if evaluation.per_person:
        rows = [_count_row(count) for count in evaluation.per_person]
        parts += ["### Per person", _table(["person", "right", "accuracy", interval], rows)]
    if evaluation.per_level:
        rows = [[*_count_row(count), *(f"{one.correct}/{one.count}" for one in by_class)]
                for count, by_class in zip(evaluation.per_level, evaluation.levels_by_class.values(), strict=True)]
        of_each = [f"right of {name}" for name in names]
        parts += ["### Per morph level", _table(["level", "right", "accuracy", interval, *of_each], rows)]
    parts += ["### Calibration", _table(["confidence", "images", "mean confidence", "accuracy"], bins)]
    if worst:
        parts += ["### Most confident mistakes", _table(["image", "true", "predicted", "probability"], worst)]
    return "\n\n".join(parts)


def _data(facts: RunFacts) -> str:
    counts = zip(facts.classes, facts.train_counts, facts.val_counts, strict=True)
    rows = [[_code(name), str(train), str(val)] for name, train, val in counts]
    rows.append(["people", str(len(facts.train_people)), str(len(facts.val_people))])
    parts = [
        _table(["number of", "training", "validation"], rows),
        f"People on both sides: {len(facts.train_people & facts.val_people)}. Images whose name tells no person: "
        f"{facts.unknown_people}. Fingerprint of the data: {_code(facts.fingerprint)}. "
        f"Images left out because they could not be used: {len(facts.skipped)}." + _left_out(facts),
    ]
    if facts.skipped:
        parts.append(_table(["left out", "why"], [[_code(file), _escape(why)] for file, why in facts.skipped]))
    return "\n\n".join(parts)


def _left_out(facts: RunFacts) -> str:
    """What rejig left out of the stimuli, where it did."""
    if not facts.left_out:
        return ""
    reasons = "; ".join(f"{count}: {_escape(reason)}" for reason, count in facts.left_out.items())
    return f" Files of the stimuli that were left out when they were sorted: {sum(facts.left_out.values())} ({reasons})."


def _learning_rate(facts: RunFacts) -> str:
    """The learning rate; of a run that was picked up with others, each with its epochs."""
    changed_within = {(int(change[1]), change[2]) for change in map(LR_WITHIN.fullmatch, facts.changes) if change}
    parts: list[tuple[float | None, int, int]] = []  # rate (None: it changed within the epoch), first and last epoch
    for epoch in facts.epochs:
        rate = None if (epoch.epoch, str(epoch.lr)) in changed_within else epoch.lr
        first = parts.pop()[1] if parts and rate is not None and parts[-1][0] == rate else epoch.epoch
        parts.append((rate, first, epoch.epoch))
    if len(parts) > 1 or (parts and parts[0][0] is None):
        return "learning rate " + ", ".join(
            f"changed within epoch {last}" if rate is None else
            f"{rate:g} in epoch{f' {last}' if first == last else f's {first} to {last}'}" for rate, first, last in parts)
    constant = "" if any(change.startswith("lr ") for change in facts.changes) else "constant "
    return f"{constant}learning rate {facts.epochs[-1].lr if facts.epochs else facts.config['lr']:g}"


def _split(facts: RunFacts) -> str:
    """How training and validation were divided, in a sentence."""
    seed = "" if facts.split_seed is None else f" (seed {facts.split_seed})"
    seed += f"; {number_of(facts.by_hand, 'image')} came to training or validation by hand" if facts.by_hand else ""
    if facts.split_by == "file":
        return f"Single images were held out for validation, stratified by class{seed}."
    if facts.split_by == "person":
        both = len(facts.train_people & facts.val_people)
        but = f", but {number_of(both, 'person')} came to be on both sides" if both else ""
        return f"Whole people were held out for validation, stratified by class as nearly as whole people allow{seed}{but}."
    return "The images came already divided into training and validation."


def _batches(facts: RunFacts) -> str:
    """The batches of an epoch, as large as they were."""
    n = sum(facts.train_counts)
    size = min(facts.config["batch_size"], n)
    return f"batches of {size}" + (f" (an epoch's last of {n % size})" if n % size else "")


def _seeded(facts: RunFacts) -> str:
    """What follows from the seed."""
    if facts.weights == "none":
        return "The first weights, order and augmentation"
    drawn = "The new layer's first weights, order" if facts.new_head else "Order"
    return f"{drawn} and augmentation"


def _shared(facts: RunFacts) -> str:
    """How a batch was shared by processes, if it was."""
    if facts.processes == 1:
        return ""
    norm = "over the whole batch" if facts.config.get("sync_bn") else "over each one's share"
    return f", each shared by {facts.processes} processes with batch normalisation {norm},"


def _start(facts: RunFacts) -> str:
    """What training started from, in words."""
    head = {True: " but for a new last layer", False: ", the last layer included", None: ""}[facts.new_head]
    if facts.weights == "imagenet":
        return f"ImageNet weights (torchvision's IMAGENET1K_V1){head}"
    if facts.weights == "none":
        return "random weights"
    run = f" of the run {_code(facts.origin.run)}" if facts.origin else ""
    digest = f" (SHA-256 {facts.weights_digest[:12]}…)" if facts.weights_digest else ""
    return f"the weights {_code(PurePath(facts.weights).name)}{run}{digest}{head}"


def _among(facts: RunFacts, people: set[str]) -> str:
    """Of how many people a side's images are, as far as is known."""
    at_least = "at least " if facts.unknown_people else ""
    return f" of {at_least}{number_of(len(people), 'person')}" if people else ""


def methods(facts: RunFacts) -> str:
    """The Methods paragraph, in words made from the options as run."""
    o, env, size = facts.config, facts.environment, facts.config["input_size"]
    used = {"noodle-tui": __version__, **env, **facts.terms}  # who judges a finished run anew may have other versions
    arithmetic = {"bf16": "bfloat16 mixed precision", "fp32": "32-bit floating point"}[facts.trained_in]
    deterministic = ", by deterministic algorithms and without TensorFloat-32" if facts.device.startswith("cuda") else ""
    again = f", in {facts.resumed + 1} parts," if facts.resumed else ""
    seconds = number_of(round(facts.seconds), "second") if facts.seconds >= 0.5 else "less than a second"
    among, val_among = _among(facts, facts.train_people), _among(facts, facts.val_people)
    # a learning rate is told by its epochs, but for one that changed within an epoch
    others = [change for change in facts.changes if not (change.startswith("lr ") and "up to epoch" in change)]
    n_epochs, validated = len(facts.epochs), len(facts.validated)
    when = "each epoch" if validated == n_epochs else f"each of {validated} epochs"
    sentences = [
        f"A {facts.architecture} network (torchvision) with {len(facts.classes)} outputs started from {_start(facts)}; all its",
        f"layers were trained on {number_of(sum(facts.train_counts), 'image')}{among} for",
        f"{number_of(n_epochs, 'epoch')} in {_batches(facts)}{_shared(facts)} by stochastic gradient descent on the",
        f"cross entropy ({_learning_rate(facts)}, momentum {o['momentum']:g}, no weight decay).",
        "Images were turned upright as their EXIF data say. Training images",
        f"were cropped at random (area 8% to 100%, aspect ratio 3/4 to 4/3), resized to {size} x {size} pixels",
        "(bilinear, antialiased) and mirrored with probability 1/2; validation images were resized in the same way to",
        f"{size} pixels on the shorter side and cropped in the centre; all were",
        f"normalised with ImageNet's mean {IMAGENET_MEAN} and standard deviation {IMAGENET_STD}.",
        _split(facts),
        f"After {when} the network answered the",
        f"{number_of(sum(facts.val_counts), 'validation image')}{val_among}; the weights of the epoch with the most right",
        f"answers were kept (epoch {facts.best_epoch}; the earliest of equals), and the results are of their answers to these",
        "same images.",
        f"{_seeded(facts)} follow from the seed {o['seed']}.",
        f"The arithmetic was {arithmetic} on {_escape(facts.trained_on)}{deterministic}; training took{again}",
        f"{seconds} and finished {utc(facts.finished)}. Software: noodle-tui {used['noodle-tui']},",
        f"Python {env['python']}, PyTorch {used['torch']}, torchvision {used['torchvision']}.",
        *([f"Training was picked up on other terms: {_escape('; '.join(others))}."] if others else []),
    ]
    return " ".join(sentences)
