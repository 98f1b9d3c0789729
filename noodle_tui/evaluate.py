"""What a model's answers on the validation images are worth: counts, intervals and scores.

Pure functions of plain values. Nothing here reads a file, and everything can be computed again from `predictions.csv`.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from noodle_tui.errors import NoodleError
from noodle_tui.stats import wilson_interval

MAX_WORST = 20
CALIBRATION_BINS = 10
RESAMPLES, SEED = 10_000, 42


@dataclass(frozen=True)
class Prediction:
    """The model's answer on one validation image."""

    path: str  # relative to the data folder, e.g. "val/sad/34M_Ne_to_Sa_C08.JPG"
    person: str | None  # None where the name tells none
    level: int | None  # morph level, None where the name has none
    true: int  # index into the classes
    predicted: int
    probabilities: tuple[float, ...]  # one a class

    @property
    def confidence(self) -> float:
        """The probability of the class that was answered."""
        return self.probabilities[self.predicted]


@dataclass(frozen=True)
class Count:
    """`correct` of `count` images, under a name (a class, a person, a level)."""

    name: str
    correct: int
    count: int

    @property
    def accuracy(self) -> float:
        """correct / count; NaN when count is 0."""
        return self.correct / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the accuracy. It takes the images for independent."""
        return wilson_interval(self.correct, self.count)


@dataclass(frozen=True)
class ClassResult:
    """One class against the others. A value is None where it is undefined: 0/0."""

    recall: Count  # of the images of this class, how many were found; its name is the class
    precision: float | None
    f1: float | None


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose confidence lies in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float | None  # the mean of it; None in an empty bin
    accuracy: float | None


@dataclass(frozen=True)
class Evaluation:
    """All results of one model on one validation set."""

    classes: list[str]
    overall: Count
    people_interval: tuple[float, float] | None  # 95%, people resampled; None where it can't be had
    majority: Count  # what always answering the commonest class would score
    confusion: list[list[int]]  # rows: true class, columns: predicted class
    per_class: list[ClassResult]
    per_person: list[Count]  # sorted by name
    per_level: list[Count]  # sorted by level
    levels_by_class: dict[int, list[Count]]  # of each level the images of each class, in the order of `classes`
    balanced_accuracy: float
    log_loss: float  # mean of -ln(probability of the true class)
    brier: float
    roc_auc: float | None  # for two classes; None otherwise
    calibration_error: float
    calibration: list[CalibrationBin]
    worst: list[Prediction]  # wrong answers, the most confident first


def evaluate(predictions: Sequence[Prediction], classes: Sequence[str]) -> Evaluation:
    """Score the predictions. NoodleError when there are none, or one doesn't fit the classes or isn't finite."""
    if not predictions:
        raise NoodleError("there are no predictions to evaluate: the validation set is empty")
    for prediction in predictions:
        _check(prediction, len(classes))
    confusion = [[0] * len(classes) for _ in classes]
    for p in predictions:
        confusion[p.true][p.predicted] += 1
    per_class = [_class_result(name, i, confusion) for i, name in enumerate(classes)]
    recalls = [result.recall.accuracy for result in per_class if result.recall.count]
    commonest = max(per_class, key=lambda result: result.recall.count).recall
    calibration = calibration_bins(predictions)
    wrong = [p for p in predictions if p.predicted != p.true]
    return Evaluation(
        classes=list(classes),
        overall=Count("all", len(predictions) - len(wrong), len(predictions)),
        people_interval=people_interval(predictions),
        majority=Count(commonest.name, commonest.count, len(predictions)),
        confusion=confusion,
        per_class=per_class,
        per_person=_counts_by(predictions, lambda p: p.person),
        per_level=_counts_by(predictions, lambda p: p.level),
        levels_by_class=_levels_by_class(predictions, classes),
        balanced_accuracy=sum(recalls) / len(recalls),
        log_loss=log_loss(predictions),
        brier=brier_score(predictions),
        roc_auc=roc_auc(predictions) if len(classes) == 2 else None,
        calibration_error=calibration_error(calibration),
        calibration=calibration,
        worst=sorted(wrong, key=lambda p: -p.confidence)[:MAX_WORST],
    )


def _check(p: Prediction, n_classes: int) -> None:
    if not (0 <= p.true < n_classes and 0 <= p.predicted < n_classes and len(p.probabilities) == n_classes):
        raise NoodleError(f"the prediction for {p.path!r} does not fit {n_classes} classes: use the run's own classes")
    if not all(0 <= probability <= 1.000001 for probability in p.probabilities):  # NaN fails too; a rounded 1 passes
        raise NoodleError(f"the prediction for {p.path!r} has a probability outside 0 to 1: {p.probabilities}; "
                          "a model with NaN in its weights does this: train again with a smaller --lr")


def _class_result(name: str, i: int, confusion: list[list[int]]) -> ClassResult:
    hits, true_count = confusion[i][i], sum(confusion[i])
    predicted_count = sum(row[i] for row in confusion)
    return ClassResult(
        recall=Count(name, hits, true_count),
        precision=hits / predicted_count if predicted_count else None,
        f1=2 * hits / (true_count + predicted_count) if true_count + predicted_count else None,
    )


def _counts_by(predictions: Iterable[Prediction], key: Callable[[Prediction], str | int | None]) -> list[Count]:
    """Right answers by person or by level, sorted; images without one are left out."""
    tally: dict[str | int, list[int]] = defaultdict(lambda: [0, 0])
    for p in predictions:
        group = key(p)
        if group is not None:
            tally[group][0] += p.predicted == p.true
            tally[group][1] += 1
    return [Count(str(group), *tally[group]) for group in sorted(tally)]  # pyright: ignore[reportArgumentType]


def _levels_by_class(predictions: Sequence[Prediction], classes: Sequence[str]) -> dict[int, list[Count]]:
    """Right answers by level and true class: a faint expression may well be told in one class and not in another."""
    tally: dict[int, list[list[int]]] = defaultdict(lambda: [[0, 0] for _ in classes])
    for p in predictions:
        if p.level is not None:
            tally[p.level][p.true][0] += p.predicted == p.true
            tally[p.level][p.true][1] += 1
    return {level: [Count(name, *pair) for name, pair in zip(classes, tally[level], strict=True)] for level in sorted(tally)}


def log_loss(predictions: Sequence[Prediction]) -> float:
    """Mean of -ln(probability given to the true class); a probability of 0 counts as 2.2e-16, as in scikit-learn."""
    return sum(-math.log(max(p.probabilities[p.true], 2.0**-52)) for p in predictions) / len(predictions)


def brier_score(predictions: Sequence[Prediction]) -> float:
    """Mean squared error of the probabilities, 0 is perfect.

    Summed over the classes (0 to 2), and halved for two classes (0 to 1), as scikit-learn and most papers do.
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
    """
    total = sum((q - (i == p.true)) ** 2 for p in predictions for i, q in enumerate(p.probabilities))
    return total / len(predictions) / (2 if len(predictions[0].probabilities) == 2 else 1)


def roc_auc(predictions: Sequence[Prediction]) -> float | None:
    """Area under the ROC curve of the second of two classes; None when all images are of one class.

    It is the chance that an image of the second class gets a higher probability of it than one of the first (ties count
    half), computed from the rank sum: J. A. Hanley and B. J. McNeil, Radiology 143 (1982). Written out because it takes
    five lines, while importing scikit-learn takes longer than a whole small run.
    """
    import numpy as np

    positive = np.array([p.true == 1 for p in predictions])
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    scores = np.array([p.probabilities[1] for p in predictions])
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2  # 1 is the lowest; equal scores share their mean rank
    rank_sum = float(mean_ranks[inverse][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def calibration_bins(predictions: Sequence[Prediction]) -> list[CalibrationBin]:
    """Confidence against accuracy in ten bins of equal width, (0, 0.1] to (0.9, 1]."""
    members: list[list[Prediction]] = [[] for _ in range(CALIBRATION_BINS)]
    for p in predictions:
        index = math.ceil(p.confidence * CALIBRATION_BINS) - 1
        members[min(max(index, 0), CALIBRATION_BINS - 1)].append(p)
    return [
        CalibrationBin(
            low=i / CALIBRATION_BINS,
            high=(i + 1) / CALIBRATION_BINS,
            count=len(ps),
            confidence=sum(p.confidence for p in ps) / len(ps) if ps else None,
            accuracy=sum(p.predicted == p.true for p in ps) / len(ps) if ps else None,
        )
        for i, ps in enumerate(members)
    ]


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, bins weighted by their images.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.accuracy - b.confidence) for b in bins
               if b.accuracy is not None and b.confidence is not None) / total


def people_interval(predictions: Sequence[Prediction]) -> tuple[float, float] | None:
    """95% percentile interval of the accuracy when whole people, not images, are resampled (the cluster bootstrap).

    Images of one person are alike and say less than as many independent ones, so that Wilson's interval is too narrow.
    C. A. Field and A. H. Welsh, "Bootstrapping clustered data", JRSS B 69 (2007). With few people this one is narrow
    too: simulated with 20 images a person it held the truth 54 to 66 times in 100 with 2 people, 83 to 84 with 6, 93
    with 20 (Wilson's: 59 to 86 at any number).

    None where it can't be had: an image of an unknown person, fewer than two people, or no difference between people.
    """
    import numpy as np

    people = _counts_by(predictions, lambda p: p.person)
    if sum(person.count for person in people) != len(predictions):
        return None
    if len({person.accuracy for person in people}) < 2:  # resampling equal people gives an interval of no width
        return None
    correct = np.array([person.correct for person in people])
    count = np.array([person.count for person in people])
    generator = np.random.default_rng(SEED)
    accuracies = []
    for _ in range(RESAMPLES // 100):  # a hundred resamples at a time: thousands of people fit in memory too
        drawn = generator.multinomial(len(people), np.full(len(people), 1 / len(people)), size=100)
        accuracies.append(drawn @ correct / (drawn @ count))
    low, high = np.quantile(np.concatenate(accuracies), [0.025, 0.975])
    return float(low), float(high)
