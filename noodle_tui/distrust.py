"""What to distrust about a result: sentences with numbers, the most important first."""

from collections.abc import Collection, Sequence

from noodle_tui.evaluate import Count, Evaluation
from noodle_tui.stats import interval_in_words

FEW_PEOPLE = 20  # below this the interval over people is too narrow, see evaluate.people_interval


def what_to_distrust(
    *,
    evaluation: Evaluation,
    split_by: str | None,
    train_people: Collection[str],
    val_people: Collection[str],
    unknown_people: int,
    train_per_class: Sequence[int],
    train_accuracy: float | None,
    validated: Sequence[tuple[int, int]],
    best_epoch: int,
    skipped: int,
) -> list[str]:
    """Why the accuracy may mislead: sentences with numbers, the weightiest first, each only where it is true.

    split_by: "file" or "person" as rejig split the data, None where the folder was arranged by hand. unknown_people:
    images of both sides whose name tells no person. train_accuracy: that of the best epoch. validated: (epoch, right
    answers) of each epoch with validation. skipped: bad images left out.
    """
    sentences = [
        _no_better_than_guessing(evaluation),
        _people_on_both_sides(train_people, val_people, split_by),
        _unknown_people(train_people, val_people, unknown_people),
        _other_than_in_training(evaluation.overall, validated, best_epoch),
        _epoch_chosen_on_the_same_set(evaluation.overall, validated, best_epoch),
        _few_people(evaluation, val_people),
        _few_images(evaluation.overall),
        _uneven_classes(evaluation, train_per_class),
        _overfit(evaluation.overall, train_accuracy),
        _still_improving(validated, best_epoch),
        f"{number_of(skipped, 'image')} could not be read and took no part." if skipped else "",
    ]
    return [sentence for sentence in sentences if sentence]


def number_of(count: int, noun: str) -> str:
    """'1 person', '2 people', '3 images'"""
    plural = {"person": "people"}.get(noun, f"{noun}s")
    return f"{count} {noun if count == 1 else plural}"


def _no_better_than_guessing(evaluation: Evaluation) -> str:
    overall, majority = evaluation.overall, evaluation.majority
    share = f"{majority.accuracy:.3f}, {majority.correct}/{majority.count}"
    baseline = f"always answering {majority.name!r} gives ({share})"
    low = min(interval[0] for interval in (overall.interval, evaluation.people_interval) if interval)
    if overall.correct <= majority.correct:
        return f"The accuracy is not above what {baseline}: nothing shows that the model has learned."
    if low <= majority.accuracy:
        return f"The 95% interval of the accuracy reaches down to what {baseline}: this may be luck."
    return ""


def _people_on_both_sides(train_people: Collection[str], val_people: Collection[str], split_by: str | None) -> str:
    both = len(set(train_people) & set(val_people))
    if not both:
        return ""
    if split_by == "person":
        advice = "the data folder is not split by person as asked; arrange it anew with noodle rejig --split-by person"
    else:
        advice = "use --split-by person"
    are = "is" if both == 1 else "are"
    return (f"{both} of {number_of(len(val_people), 'person')} in the validation set {are} also in training: "
            f"this accuracy measures memory for known faces; {advice}.")


def _unknown_people(train_people: Collection[str], val_people: Collection[str], unknown: int) -> str:
    if not unknown:
        return ""
    if train_people or val_people:
        who = f"{number_of(unknown, 'image')} {'has' if unknown == 1 else 'have'} a name that doesn't tell"
    else:
        who = "No image has a name that tells"
    return (f"{who} who is on it: nobody can say whether the same faces are in training and validation; "
            "name the people with --person.")


def _other_than_in_training(overall: Count, validated: Sequence[tuple[int, int]], best_epoch: int) -> str:
    counted = dict(validated).get(best_epoch, overall.correct)
    if counted == overall.correct:
        return ""
    return (f"The saved model answers {overall.correct}/{overall.count} right, epoch {best_epoch} counted "
            f"{counted}/{overall.count}: rounding decides some images.")


def _epoch_chosen_on_the_same_set(overall: Count, validated: Sequence[tuple[int, int]], best_epoch: int) -> str:
    if len(validated) < 2:
        return ""
    tied = sum(correct >= overall.correct for _, correct in validated)
    ties = f" (reached in {tied} of them)" if tied > 1 else ""
    last_epoch, last = validated[-1]
    contrast = "" if last_epoch == best_epoch else f"; the last epoch, which nobody chose, has {last}/{overall.count}"
    return (f"The epoch was chosen on the very images that it reports, the best of {len(validated)} tried{ties}: "
            f"expect less on new images{contrast}.")


def _few_people(evaluation: Evaluation, val_people: Collection[str]) -> str:
    if not 0 < len(val_people) < FEW_PEOPLE:
        return ""
    n_images = number_of(evaluation.overall.count, "validation image")
    shows = f"{n_images} of only {number_of(len(val_people), 'person')}"
    if len(val_people) == 1:
        return f"{shows}: the accuracy on other people is unknown."
    if evaluation.people_interval is None:
        return f"{shows}, and images of one person are not independent: the 95% interval is too narrow."
    resampled = interval_in_words(evaluation.people_interval)
    return (f"{shows}, and images of one person are not independent: with people resampled the 95% interval is "
            f"{resampled}, and with fewer than {FEW_PEOPLE} people that tends to be too narrow too.")


def _few_images(overall: Count) -> str:
    low, high = overall.interval
    if high - low <= 0.1:
        return ""
    return (f"{number_of(overall.count, 'validation image')}: the 95% interval is {high - low:.2f} wide "
            f"({interval_in_words((low, high))}), and one image more or less is {1 / overall.count:.3f}.")


def _uneven_classes(evaluation: Evaluation, train_per_class: Sequence[int]) -> str:
    val_per_class = [result.recall.count for result in evaluation.per_class]
    sides = (("training", train_per_class), ("validation", val_per_class))
    uneven = [
        f"{side} " + ", ".join(f"{name!r} {n}" for name, n in zip(evaluation.classes, counts, strict=True))
        for side, counts in sides
        if max(counts) >= 1.5 * min(counts)
    ]
    if not uneven:
        return ""
    return (f"The classes are uneven ({'; '.join(uneven)}): read the recall of each class and the balanced accuracy "
            f"({evaluation.balanced_accuracy:.3f}) beside the accuracy.")


def _overfit(overall: Count, train_accuracy: float | None) -> str:
    if train_accuracy is None or train_accuracy <= max(overall.accuracy + 0.1, overall.interval[1]):
        return ""
    return (f"In training the accuracy is {train_accuracy:.3f}, in validation {overall.accuracy:.3f}: "
            "the model has learned its training images by heart.")


def _still_improving(validated: Sequence[tuple[int, int]], best_epoch: int) -> str:
    if len(validated) < 2 or validated[-1][0] != best_epoch:
        return ""
    return f"The best epoch is the last ({best_epoch}): it was still getting better; train longer."
