"""What to distrust: each sentence where it is true, and none for a sound result."""

import dataclasses
from typing import Any

import pytest
from test_evaluate import CLASSES, answers
from test_report import epoch, facts_of

from noodle_tui.evaluate import Evaluation, Prediction, evaluate
from noodle_tui.model_card import Origin
from noodle_tui.report import RunFacts
from noodle_tui.report.distrust import what_to_distrust
from noodle_tui.report.markdown import report_markdown
from noodle_tui.stats import interval_in_words


def trustworthy() -> tuple[Evaluation, RunFacts]:
    """A result that leaves nothing to say: 40 people, a thousand images, one epoch tried."""
    rights: dict[str | None, tuple[int, int]] = {f"p{i:02d}": (24 - i % 3, 26) for i in range(40)}
    about = facts_of(split_by="person", train_people={f"q{i}" for i in range(200)}, val_people={f"p{i:02d}" for i in range(40)},
                     train_counts=[2600, 2600], epochs=[], best_epoch=1)
    return evaluate(answers(rights), CLASSES), about


def doubts(evaluation: Evaluation, about: RunFacts, *, validated: list[tuple[int, int]] | None = None,
           train_accuracy: float = 0.9, **changes: Any) -> list[str]:
    """`validated`: (epoch, right answers); by default one epoch, with those of the evaluation."""
    epochs = [dataclasses.replace(epoch(number, 40, correct), train_correct=round(1000 * train_accuracy), train_count=1000)
              for number, correct in validated or [(1, evaluation.overall.correct)]]
    return what_to_distrust(dataclasses.replace(about, **{"epochs": epochs, **changes}), evaluation)


def test_a_sound_result_raises_no_doubt():
    evaluation, about = trustworthy()
    assert doubts(evaluation, about) == []
    trained = dataclasses.replace(epoch(1, 40, evaluation.overall.correct), train_correct=900, train_count=1000)
    assert "Nothing that the numbers show." in report_markdown(dataclasses.replace(about, epochs=[trained]), evaluation)


def test_people_on_both_sides():
    evaluation, about = trustworthy()
    both = about.train_people | {"p00", "p01"}
    [one] = doubts(evaluation, about, train_people=both, split_by="file")
    assert one == ("2 of 40 people in the validation set are also in training: of their images the accuracy measures memory "
                   "for known faces; use --split-by person.")
    [one] = doubts(evaluation, about, train_people=both | about.val_people, split_by="file")
    assert one == ("40 of 40 people in the validation set are also in training: this accuracy measures memory for known faces; "
                   "use --split-by person.")
    [one] = doubts(evaluation, about, train_people=both)
    assert "not split by person as asked" in one
    [one] = doubts(evaluation, about, train_people=both, split_by=None)
    assert one.endswith("sort the photos so that nobody is on both sides, as noodle rejig --split-by person does.")
    [one, _] = doubts(evaluate(answers({"a": (960, 1000)}), CLASSES), about, train_people={"a"}, val_people={"a"},
                      split_by="file")
    assert one.endswith("this accuracy measures memory for known faces; to know more, add photos of other people.")


def test_unknown_people():
    evaluation, about = trustworthy()
    [one] = doubts(evaluation, about, unknown_people=7)
    assert one.startswith("7 images have a name that doesn't tell who is on it")
    [one] = doubts(evaluation, about, unknown_people=7, train_people=set(), val_people=set())
    assert one.startswith("No image has a name that tells who is on it")
    for known in ({"train_people": set()}, {"val_people": set()}):
        one_side = dataclasses.replace(about, unknown_people=7, **known)
        assert any(one.startswith("7 images have") for one in doubts(evaluation, one_side))


def test_the_epoch_chosen_on_the_set_that_it_reports():
    evaluation, about = trustworthy()
    best = evaluation.overall.correct
    [one] = doubts(evaluation, about, validated=[(1, 900), (2, best), (3, best), (4, 910)], best_epoch=2)
    assert "the best of 4 tried (reached in 2 of them)" in one
    assert "the last epoch, which nobody chose, has 910/1040" in one


def test_still_improving():
    evaluation, about = trustworthy()
    found = doubts(evaluation, about, validated=[(1, 900), (5, evaluation.overall.correct)], best_epoch=5)
    assert found[-1] == ("The best epoch is the last (5): it was still getting better; train longer (--load-dir with its "
                         "folder and a greater --n-epochs goes on from here).")
    assert "the best of 2 tried: expect less on new images." in found[0]


def test_a_last_epoch_that_was_not_validated_is_not_spoken_of():
    """Of a run whose n_epochs was lowered to where it stood."""
    evaluation, about = trustworthy()
    best = evaluation.overall.correct
    epochs = [epoch(1, 6, 900), epoch(2, 6, best), epoch(4, 6, 910), epoch(6, 6, None)]
    [one] = what_to_distrust(dataclasses.replace(about, epochs=epochs, best_epoch=2), evaluation)
    assert "; epoch 4, the last one validated, which nobody chose, has 910/1040" in one
    found = what_to_distrust(dataclasses.replace(about, epochs=[*epochs[:2], epochs[-1]], best_epoch=2), evaluation)
    assert found[-1].startswith("The best epoch is the last one validated (2): it was still getting better; train longer (")


def test_the_saved_model_answers_otherwise_than_its_epoch():
    evaluation, about = trustworthy()
    best = evaluation.overall.correct
    [one] = doubts(evaluation, about, validated=[(1, best + 1)])
    assert one.startswith(f"The saved model answers {best}/1040 right, epoch 1 counted {best + 1}/1040")


def test_an_accuracy_no_better_than_the_commonest_class():
    _, about = trustworthy()
    always_happy = [Prediction(f"val/{i}", f"p{i % 40:02d}", None, int(i % 5 == 0), 0, (0.9, 0.1)) for i in range(1000)]
    found = doubts(evaluate(always_happy, CLASSES), about, train_counts=[800, 200], validated=[(1, 800)])
    assert found[0] == ("The accuracy is not above what always answering 'happy' gives (0.800, 800/1000): nothing "
                        "shows that the model has learned.")
    assert found[1] == "The accuracy hides that only 0/200 of 'sad' are right: guessing among 2 finds more."
    assert "The classes are uneven (training 'happy' 800, 'sad' 200; validation 'happy' 800, 'sad' 200)" in found[2]
    assert "balanced accuracy (0.500)" in found[2]
    assert len(found) == 3


def test_scores_that_show_more_than_an_accuracy_no_better_than_the_commonest_class():
    """Of uneven classes the commonest scores high: a model that finds most of both has learned, whatever its accuracy."""
    _, about = trustworthy()
    uneven = [(0, 0)] * 810 + [(0, 1)] * 90 + [(1, 1)] * 90 + [(1, 0)] * 10  # (true, predicted)
    predictions = [Prediction(f"val/{i}", f"p{i % 40:02d}", None, true, said, (0.9, 0.1) if said == 0 else (0.2, 0.8))
                   for i, (true, said) in enumerate(uneven)]
    found = doubts(evaluate(predictions, CLASSES), about, train_counts=[900, 100], validated=[(1, 900)])
    assert found[0] == ("The accuracy is not above what always answering 'happy' gives (0.900, 900/1000): it does not show "
                        "that the model has learned; see beside it the balanced accuracy 0.900 (guessing gives 0.500) and the "
                        "area under the ROC curve 0.900 (guessing gives 0.500).")


def test_an_accuracy_that_may_be_luck():
    _, about = trustworthy()
    rights: dict[str | None, tuple[int, int]] = {f"p{i:02d}": (14, 26) for i in range(40)}
    found = doubts(evaluate(answers(rights), CLASSES), about, validated=[(1, 560)], train_accuracy=0.54)
    assert len(found) == 0  # 560/1040 is just above one half
    rights = {f"p{i:02d}": (20 if i % 2 else 8, 26) for i in range(40)}  # the same, with people who differ
    found = doubts(evaluate(answers(rights), CLASSES), about, validated=[(1, 560)], train_accuracy=0.54)
    assert len(found) == 1
    assert "reaches down to what always answering 'happy' gives (0.500, 520/1040): this may be luck" in found[0]


def test_few_images_and_few_people():
    _, about = trustworthy()
    people = {"07F", "09F", "25M", "34M", "36M", "40M"}
    rights: dict[str | None, tuple[int, int]] = {name: (4 - (name == "34M"), 4) for name in people}
    evaluation = evaluate(answers(rights), CLASSES)
    found = doubts(evaluation, about, val_people=people, validated=[(1, 23)])
    assert evaluation.people_interval is not None
    resampled = interval_in_words(evaluation.people_interval)
    assert found[0].startswith("24 validation images of only 6 people, and images of one person are not independent: "
                               f"with people resampled the 95% interval is {resampled}")
    assert found[1] == ("24 validation images: the 95% interval is wide (0.80 to 0.99), and one image more or "
                        "less is 0.042.")
    assert len(found) == 2
    [one, _] = doubts(evaluate(answers({"a": (23, 24)}), CLASSES), about, val_people={"a"}, validated=[(1, 23)])
    assert one == "24 validation images of only 1 person: the accuracy on other people is unknown."
    [one] = doubts(evaluate(answers({"a": (24, 24), "b": (24, 24)}), CLASSES), about, val_people={"a", "b"},
                   validated=[(1, 48)])
    assert one.endswith("how far the accuracy would be from this one with other people can't be told from these.")


def test_few_people_known_among_images_of_unknown_ones():
    _, about = trustworthy()
    rights: dict[str | None, tuple[int, int]] = {"a": (390, 400), "b": (390, 400), None: (180, 200)}
    [_, one] = doubts(evaluate(answers(rights), CLASSES), about, val_people={"a", "b"}, unknown_people=200,
                      validated=[(1, 960)])
    assert one == ("800 of 1,000 validation images are of only 2 people, and images of one person are not independent: the 95% "
                   "interval takes them for that, and tends to be too narrow.")


def test_overfit():
    evaluation, about = trustworthy()
    [one] = doubts(evaluation, about, train_accuracy=1.0)
    assert one == ("In training the accuracy is 1.000, in validation 0.886: the model has learned its training images "
                   "by heart.")
    few = evaluate(answers({f"p{i:02d}": (i % 2, 1) for i in range(40)}), CLASSES)  # 20/40: from 0.35 to 0.65
    for train_accuracy, heard in ((0.64, False), (0.66, True)):
        found = doubts(few, about, train_accuracy=train_accuracy)
        assert any("does better on" in one for one in found) == heard, "within the interval of the validation it may be luck"


@pytest.mark.parametrize(("counts", "uneven"), [([150, 100], True), ([149, 100], False)])
def test_classes_are_uneven_from_three_to_two_on(counts: list[int], uneven: bool):
    assert any("classes are uneven" in one for one in doubts(*trustworthy(), train_counts=counts)) == uneven


def test_the_same_file_on_both_sides():
    [one] = doubts(*trustworthy(), twins=2)
    assert one.startswith("2 of 1,040 validation images are also in training, the same file byte for byte")
    assert " is also in training" in doubts(*trustworthy(), twins=1)[0]


def test_the_same_file_in_two_classes():
    [one] = doubts(*trustworthy(), two_classes=2)
    assert one.startswith("2 images are in another class, too, the same file byte for byte: no model can answer both right")


def test_weights_that_were_trained_before():
    about: dict[str, Any] = {"weights": "weights/a/model.pth"}
    [one] = doubts(*trustworthy(), **about)
    assert one.startswith("It started from the weights of a file: images or people of this validation set may have been in")
    other, same = Origin("neuro_ml-20261126", 64, "other"), Origin("neuro_ml-20261126", 64, "sha256:0123")
    [one] = doubts(*trustworthy(), **about, origin=other)
    assert one.startswith("It started from the weights of neuro_ml-20261126, trained on other photos, in another split or for "
                          "other classes: ")
    [one] = doubts(*trustworthy(), **about, origin=same)
    assert one.endswith("trained on the same photos in the same split: their epoch was chosen on these validation images, too.")
    [one] = doubts(*trustworthy(), **about, origin=dataclasses.replace(same, weights="model.pth"))
    assert one.endswith("images, too. neuro_ml-20261126 itself started from the weights of a file: images or people of this "
                        "validation set may have been in that training.")
    assert doubts(*trustworthy(), weights="imagenet") == []


def test_a_class_that_fails_while_the_accuracy_looks_well():
    classes = ["happy", "neutral", "sad"]
    of = [(i % 3, (0 if i % 30 == 4 else 2) if i % 3 == 1 else i % 3) for i in range(1200)]
    predictions = [Prediction(f"val/{i}", f"p{i % 40:02d}", None, true, said, tuple(float(k == said) for k in range(3)))
                   for i, (true, said) in enumerate(of)]
    _, about = trustworthy()
    found = doubts(evaluate(predictions, classes), about, train_counts=[400, 400, 400])
    assert "The accuracy hides that only 0/400 of 'neutral' are right: guessing among 3 finds more." in found
    even = [Prediction(f"val/{i}", f"p{i % 40:02d}", None, i % 2, i % 4 // 3, (0.6, 0.4)) for i in range(400)]
    assert not any("guessing among" in one for one in doubts(evaluate(even, CLASSES), about)), "half of 'sad': no less"
    few = [Prediction(f"val/{i}", f"p{i}", None, i % 2, int(i in (1, 3, 5)), (0.6, 0.4)) for i in range(16)]
    assert not any("guessing among" in one for one in doubts(evaluate(few, CLASSES), about)), "3 of 8 may be luck"


def test_skipped_images():
    [one] = doubts(*trustworthy(), skipped=[("a.jpg", "empty")] * 3)
    assert one == "3 files could not be used and took no part."


def test_a_person_on_each_image_is_doubted():
    evaluation, about = trustworthy()
    [one] = doubts(evaluation, about, train_people={f"p{i}" for i in range(6000)}, val_people=set())
    assert one.startswith("6000 people are told apart on ") and "--person takes something else" in one
    fewer = {f"p{i}" for i in range(sum(about.train_counts))}
    assert doubts(evaluation, about, train_people=fewer - about.val_people, val_counts=[400, 400]) == [], "of all images"


@pytest.mark.parametrize(("people", "images", "doubted"), [(10, 10, True), (9, 9, False), (18, 20, True), (17, 20, False)])
def test_a_person_on_nearly_each_image_is_doubted_where_there_are_some(people: int, images: int, doubted: bool):
    evaluation, about = trustworthy()
    changes = {"train_counts": [images // 2, images - images // 2], "val_counts": [0, 0], "val_people": set()}
    assert bool(doubts(evaluation, about, train_people={f"q{i}" for i in range(people)}, **changes)) == doubted


def test_other_options_at_a_pick_up_and_what_could_not_be_read_are_told():
    evaluation, about = trustworthy()
    [one] = doubts(evaluation, about, changes=["lr 0.01 up to epoch 4, then 1e-05"])
    assert one == ("The run was picked up on other terms (lr 0.01 up to epoch 4, then 1e-05): the list of options has the last "
                   "ones.")
    left_out = {"unreadable (the file is empty)": 5, "unreadable folder (permission denied)": 1, "no class's token": 40}
    assert doubts(evaluation, about, left_out=left_out) == ["6 files could not be used and took no part."]


def test_a_class_name_can_not_write_to_the_terminal():
    evaluation, about = trustworthy()
    evil = dataclasses.replace(evaluation, classes=["\x1b[31mred", "sad"])
    [one] = doubts(evil, about, train_counts=[100, 900])
    assert one.isprintable()
