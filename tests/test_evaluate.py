import math
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as metrics
from scipy import stats

from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Count, Prediction, evaluate, people_interval

CLASSES = ["happy", "sad"]


def predictions_of(n: int, k: int, seed: int = 1, ties: bool = False) -> list[Prediction]:
    """Invented answers: better than chance, six people, 20 levels."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(n):
        true = int(random.integers(k))
        logits = random.normal(size=k) + 1.5 * (np.arange(k) == true)
        p = np.exp(logits) / np.exp(logits).sum()
        if ties:
            p = np.round(p, 1)
            p[0] = 1 - p[1:].sum()
        person, level = f"{random.integers(6):02d}F", int(random.integers(20))
        made.append(Prediction(f"val/{true}/{person}_{i}_C{level:02d}.JPG", person, level, true, int(p.argmax()),
                               tuple(float(x) for x in p)))
    return made


def answers(rights: dict[str | None, tuple[int, int]]) -> list[Prediction]:
    """{person: (right, all)} as predictions of two classes that alternate."""
    made = []
    for person, (right, count) in rights.items():
        for i in range(count):
            true = i % 2
            predicted = true if i < right else 1 - true
            p = (0.9, 0.1) if predicted == 0 else (0.1, 0.9)
            made.append(Prediction(f"val/{true}/{person}{i}.JPG", person, None, true, predicted, p))
    return made


@pytest.mark.parametrize(("k", "ties"), [(2, False), (2, True), (3, False), (5, False)])
def test_scores_are_those_of_scikit_learn(k: int, ties: bool):
    predictions = predictions_of(300, k, ties=ties)
    names = [f"c{i}" for i in range(k)]
    result = evaluate(predictions, names)
    true = [p.true for p in predictions]
    predicted = [p.predicted for p in predictions]
    probabilities = np.array([p.probabilities for p in predictions])
    assert result.overall.accuracy == metrics.accuracy_score(true, predicted)
    assert result.confusion == metrics.confusion_matrix(true, predicted, labels=range(k)).tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(true, predicted, labels=range(k))
    assert [c.recall.name for c in result.per_class] == names
    np.testing.assert_allclose([c.recall.accuracy for c in result.per_class], recall)
    np.testing.assert_allclose([c.precision or 0 for c in result.per_class], precision)
    np.testing.assert_allclose([c.f1 or 0 for c in result.per_class], f1)
    assert [c.recall.count for c in result.per_class] == support.tolist()  # type: ignore[union-attr]
    assert result.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    assert result.log_loss == pytest.approx(metrics.log_loss(true, probabilities, labels=range(k)))
    score = metrics.brier_score_loss(true, probabilities[:, 1] if k == 2 else probabilities, labels=range(k))
    assert result.brier == pytest.approx(score)
    if k == 2:
        assert result.roc_auc == pytest.approx(metrics.roc_auc_score(true, probabilities[:, 1]))
    else:
        assert result.roc_auc is None


def test_an_answer_to_all_scores_one():
    result = evaluate(answers({"a": (6, 6), "b": (2, 2)}), CLASSES)
    assert [(one.recall.accuracy, one.precision, one.f1) for one in result.per_class] == [(1, 1, 1)] * 2
    assert (result.balanced_accuracy, result.roc_auc, result.worst) == (1, 1, [])


def test_calibration_error_by_its_definition():
    predictions = predictions_of(500, 2, seed=3)
    result = evaluate(predictions, CLASSES)
    confidence = np.array([max(p.probabilities) for p in predictions])
    right = np.array([p.true == p.predicted for p in predictions])
    bin_of = np.digitize(confidence, np.linspace(0, 1, 11), right=True)
    expected = sum((bin_of == b).mean() * abs(right[bin_of == b].mean() - confidence[bin_of == b].mean())
                   for b in np.unique(bin_of))
    assert result.calibration_error == pytest.approx(expected)
    assert [b.count for b in result.calibration] == [int((bin_of == b).sum()) for b in range(1, 11)]
    assert result.calibration[0].accuracy is None  # of two classes the likelier one has 0.5 at least


def test_a_probability_of_zero_or_one_has_a_place():
    sure = [Prediction("val/a", None, None, 0, 1, (0.0, 1.0)), Prediction("val/b", None, None, 0, 0, (1.0, 0.0))]
    result = evaluate(sure, CLASSES)
    assert result.calibration[9].count == 2
    assert result.calibration_error == 0.5
    assert result.log_loss == pytest.approx(metrics.log_loss([0, 0], [[0.0, 1.0], [1.0, 0.0]], labels=[0, 1]))


def test_counts_by_person_and_level():
    predictions = predictions_of(200, 2)
    predictions.append(Prediction("val/sad/x.JPG", None, None, 1, 1, (0.2, 0.8)))
    result = evaluate(predictions, CLASSES)
    assert sum(c.count for c in result.per_person) == 200
    assert [c.name for c in result.per_person] == sorted(f"{i:02d}F" for i in range(6))
    of_03 = [p for p in predictions if p.person == "03F"]
    count = next(c for c in result.per_person if c.name == "03F")
    assert (count.correct, count.count) == (sum(p.true == p.predicted for p in of_03), len(of_03))
    assert [c.name for c in result.per_level] == [str(i) for i in range(20)]  # 2 before 10
    of_7 = [p for p in predictions if p.level == 7]
    assert (result.per_level[7].correct, result.per_level[7].count) == (
        sum(p.true == p.predicted for p in of_7), len(of_7))
    assert [(count.name, count.correct, count.count) for count in result.levels_by_class[7]] == [
        (name, sum(p.predicted == label for p in of_7 if p.true == label), sum(p.true == label for p in of_7))
        for label, name in enumerate(CLASSES)]
    assert [str(level) for level in result.levels_by_class] == [count.name for count in result.per_level]


@pytest.mark.parametrize(("correct", "count"), [(23, 24), (0, 5), (5, 5), (50, 100), (1, 1)])
def test_the_interval_of_a_count_is_wilsons(correct: int, count: int):
    low, high = stats.binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert Count("x", correct, count).interval == pytest.approx((low, high))


def test_nothing_counted_is_no_accuracy():
    assert math.isnan(Count("x", 0, 0).accuracy)


def test_people_interval_is_scipys_bootstrap_of_people():
    rights = {f"p{i}": (right, count) for i, (right, count) in
              enumerate([(20, 20), (15, 20), (38, 40), (10, 20), (18, 20), (9, 10), (17, 20), (20, 20)])}
    right = np.array([r for r, _ in rights.values()])
    count = np.array([c for _, c in rights.values()])
    found = people_interval(answers(rights))  # type: ignore[arg-type]

    def accuracy(i: np.ndarray, axis: int = -1) -> np.ndarray:
        i = i.astype(int)
        return right[i].sum(axis) / count[i].sum(axis)

    expected = stats.bootstrap((np.arange(len(rights)),), accuracy, n_resamples=20_000,
                               method="percentile").confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=0.01)
    assert found is not None
    low, high = evaluate(answers(rights), CLASSES).overall.interval  # type: ignore[arg-type]
    assert found[1] - found[0] > high - low, "people differ here, so that the images say less than Wilson thinks"
    assert people_interval(answers(rights)) == found, "the same every time"  # type: ignore[arg-type]


@pytest.mark.parametrize("rights", [
    {"a": (3, 4)},  # one person
    {"a": (3, 4), "b": (1, 4), None: (3, 4)},  # somebody unknown
    {"a": (4, 4), "b": (6, 6)},  # no difference between people
])
def test_people_interval_is_left_out_where_it_would_mislead(rights: dict[str | None, tuple[int, int]]):
    assert people_interval(answers(rights)) is None


def test_worst_are_the_most_confident_mistakes():
    predictions = predictions_of(300, 3)
    result = evaluate(predictions, ["a", "b", "c"])
    wrong = [p for p in predictions if p.true != p.predicted]
    assert len(wrong) > 20
    assert len(result.worst) == 20
    assert [p.confidence for p in result.worst] == sorted((max(p.probabilities) for p in wrong), reverse=True)[:20]


def test_undefined_scores_are_none():
    one_class = [Prediction(f"val/{i}", None, None, 0, 0, (0.9, 0.1)) for i in range(4)]
    result = evaluate(one_class, CLASSES)
    assert result.roc_auc is None
    assert result.per_class[1].precision is None
    assert result.per_class[1].f1 is None
    assert math.isnan(result.per_class[1].recall.accuracy)
    assert result.balanced_accuracy == 1.0  # over the classes that occur


@pytest.mark.parametrize(("predictions", "word"), [
    ([], "empty"),
    ([Prediction("val/a.JPG", None, None, 2, 0, (0.5, 0.5))], "does not fit"),
    ([Prediction("val/a.JPG", None, None, 0, 0, (0.5, 0.3, 0.2))], "does not fit"),
    ([Prediction("val/a.JPG", None, None, 0, 0, (math.nan, 0.5))], "outside 0 to 1"),
])
def test_what_can_not_be_scored_is_said_in_one_line(predictions: list[Prediction], word: str):
    with pytest.raises(NoodleError, match=word) as caught:
        evaluate(predictions, CLASSES)
    assert "\n" not in str(caught.value)


def test_importing_is_light():
    heavy = ["torch", "sklearn", "scipy", "numpy", "comet_ml"]
    code = f"import sys, noodle_tui.evaluate, noodle_tui.report; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_probability_that_was_rounded_to_just_above_one_is_taken():
    assert evaluate([Prediction("val/a", None, None, 0, 0, (1.0000001, 0.0))], CLASSES).overall.correct == 1
