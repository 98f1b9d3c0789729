"""What to distrust about a result: sentences with numbers, the most important first."""

from noodle_tui.config import NAMED_WEIGHTS
from noodle_tui.evaluate import Count, Evaluation
from noodle_tui.rejig.scan import UNREADABLE
from noodle_tui.report.facts import RunFacts
from noodle_tui.stats import interval_in_words, share_in_words
from noodle_tui.text import are, number_of

MANY_PEOPLE = 10
FEW_PEOPLE = 20  # below this the interval over people is too narrow, see evaluate.people_interval


def what_to_distrust(facts: RunFacts, evaluation: Evaluation) -> list[str]:
    """Why the accuracy may mislead: sentences with numbers, the weightiest first, each only where it is true."""
    sentences = [
        _no_better_than_guessing(evaluation),
        _same_photos_on_both_sides(facts, evaluation),
        _same_photos_in_two_classes(facts),
        _people_on_both_sides(facts),
        _unknown_people(facts),
        _trained_before(facts),
        _other_than_in_training(facts, evaluation),
        _failed_classes(evaluation),
        _epoch_chosen_on_the_same_set(facts, evaluation),
        _few_people(facts, evaluation),
        _few_images(evaluation.overall),
        _uneven_classes(facts, evaluation),
        _overfit(facts, evaluation.overall),
        _still_improving(facts),
        _each_a_person(facts),
        _picked_up_otherwise(facts),
        _unusable(facts),
    ]
    return [sentence for sentence in sentences if sentence]


def _each_a_person(facts: RunFacts) -> str:
    images, people = sum(facts.train_counts) + sum(facts.val_counts), len(facts.train_people | facts.val_people)
    if people < MANY_PEOPLE or people < 0.9 * images:
        return ""
    return (f"{people} people are told apart on {images} images, nearly one each: if there are fewer, --person takes something "
            "else for the person, and who is on both sides can't be seen.")


def _picked_up_otherwise(facts: RunFacts) -> str:
    if not facts.changes:
        return ""
    return f"The run was picked up on other terms ({'; '.join(facts.changes)}): the list of options has the last ones."


def _unusable(facts: RunFacts) -> str:
    """Photos that can't be read, and in the data folder what is no photo, too: an animation, a dot."""
    count = len(facts.skipped) + sum(n for reason, n in facts.left_out.items() if reason.startswith(UNREADABLE))
    return f"{number_of(count, 'file')} could not be used and took no part." if count else ""


def _no_better_than_guessing(evaluation: Evaluation) -> str:
    overall, majority = evaluation.overall, evaluation.majority
    share = f"{share_in_words(majority.accuracy)}, {majority.correct}/{majority.count}"
    baseline = f"always answering {majority.name!r} gives ({share})"
    low = min(interval[0] for interval in (overall.interval, evaluation.people_interval) if interval)
    if overall.correct <= majority.correct:
        return f"The accuracy is not above what {baseline}: {_what_else_shows(evaluation)}."
    if low <= majority.accuracy:
        return f"The 95% interval of the accuracy reaches down to what {baseline}: this may be luck."
    return ""


def _what_else_shows(evaluation: Evaluation) -> str:
    """Of an accuracy that shows nothing: the scores that may, since always answering one class gives them a known value."""
    chance = 1 / len(evaluation.classes)
    above = [f"{name} {share_in_words(value)} (guessing gives {guessed:.3f})"
             for name, value, guessed in (("balanced accuracy", evaluation.balanced_accuracy, chance),
                                          ("area under the ROC curve", evaluation.roc_auc, 0.5))
             if value is not None and value > guessed + 1e-9]  # more than rounding
    if not above:
        return "nothing shows that the model has learned"
    return f"it does not show that the model has learned; see beside it the {' and the '.join(above)}"


def _same_photos_on_both_sides(facts: RunFacts, evaluation: Evaluation) -> str:
    if not facts.twins:
        return ""
    images = number_of(evaluation.overall.count, "validation image")
    return (f"{facts.twins} of {images} {are(facts.twins)} also in training, the same file byte for byte: to answer takes no "
            "more than memory; remove one of each pair.")


def _same_photos_in_two_classes(facts: RunFacts) -> str:
    count = facts.two_classes
    if not count:
        return ""
    return (f"{number_of(count, 'image')} {are(count)} in another class, too, the same file byte for byte: no model can answer "
            "both right; leave out what shows neither class.")


def _people_on_both_sides(facts: RunFacts) -> str:
    both = len(facts.train_people & facts.val_people)
    if not both:
        return ""
    whose = "this" if both == len(facts.val_people) else "of their images the"
    return (f"{both} of {number_of(len(facts.val_people), 'person')} in the validation set {are(both)} also in training: "
            f"{whose} accuracy measures memory for known faces; {_way_to_new_people(facts)}.")


def _way_to_new_people(facts: RunFacts) -> str:
    """How to validate on people that training hasn't seen."""
    if len(facts.train_people | facts.val_people) == 1:
        return "to know more, add photos of other people"
    if facts.split_by == "person":
        return "the data folder is not split by person as asked; arrange it anew with noodle rejig --split-by person"
    if facts.split_by == "file":
        return "use --split-by person"
    return "sort the photos so that nobody is on both sides, as noodle rejig --split-by person does"


def _unknown_people(facts: RunFacts) -> str:
    unknown = facts.unknown_people
    if not unknown:
        return ""
    if facts.train_people or facts.val_people:
        who = f"{number_of(unknown, 'image')} {'has' if unknown == 1 else 'have'} a name that doesn't tell"
    else:
        who = "No image has a name that tells"
    return (f"{who} who is on it: nobody can say whether the same faces are in training and validation; "
            "name the people with --person.")


def _trained_before(facts: RunFacts) -> str:
    """Of weights from a file: whether what they were trained on is now validated on."""
    if facts.weights in NAMED_WEIGHTS:
        return ""
    run = facts.origin.run if facts.origin else ""
    if facts.origin and facts.origin.fingerprint == facts.fingerprint:
        before = "" if facts.origin.weights in (*NAMED_WEIGHTS, "") else (
            f" {run} itself started from the weights of a file: images or people of this validation set may have been in that "
            "training.")
        return (f"It started from the weights of {run}, trained on the same photos in the same split: their epoch was chosen "
                f"on these validation images, too.{before}")
    of = f"of {run}, trained on other photos, in another split or for other classes" if run else "of a file"
    return (f"It started from the weights {of}: images or people of this validation set may have been in that training, which "
            "can't be seen from here; if they were, this accuracy measures memory.")


def _other_than_in_training(facts: RunFacts, evaluation: Evaluation) -> str:
    overall, best_epoch = evaluation.overall, facts.best_epoch
    counted = dict(facts.validated).get(best_epoch, overall.correct)
    if counted == overall.correct:
        return ""
    return (f"The saved model answers {overall.correct}/{overall.count} right, epoch {best_epoch} counted "
            f"{counted}/{overall.count}: rounding decides some images.")


def _failed_classes(evaluation: Evaluation) -> str:
    """Classes of which surely less is found than guessing evenly would find."""
    n = len(evaluation.classes)
    failed = [c.recall for c in evaluation.per_class if c.recall.count and c.recall.interval[1] < 1 / n]
    if not failed:
        return ""
    found = ", ".join(f"{one.correct}/{one.count} of {one.name!r}" for one in failed)
    return f"The accuracy hides that only {found} {are(sum(f.correct for f in failed))} right: guessing among {n} finds more."


def _epoch_chosen_on_the_same_set(facts: RunFacts, evaluation: Evaluation) -> str:
    overall, validated, best_epoch = evaluation.overall, facts.validated, facts.best_epoch
    if len(validated) < 2:
        return ""
    tied = sum(correct >= overall.correct for _, correct in validated)
    ties = f" (reached in {tied} of them)" if tied > 1 else ""
    last_epoch, last = validated[-1]
    name = "the last epoch" if last_epoch == facts.epochs[-1].epoch else f"epoch {last_epoch}, the last one validated"
    contrast = "" if last_epoch == best_epoch else f"; {name}, which nobody chose, has {last}/{overall.count}"
    return (f"The epoch was chosen on the very images that it reports, the best of {len(validated)} tried{ties}: "
            f"expect less on new images{contrast}.")


def _few_people(facts: RunFacts, evaluation: Evaluation) -> str:
    people = len(facts.val_people)
    if not 0 < people < FEW_PEOPLE:
        return ""
    shows = f"{number_of(evaluation.overall.count, 'validation image')} of only {number_of(people, 'person')}"
    known = sum(person.count for person in evaluation.per_person)
    if known < evaluation.overall.count:  # of how many people the others are, nobody knows
        return (f"{known} of {number_of(evaluation.overall.count, 'validation image')} {are(known)} of only "
                f"{number_of(people, 'person')}, and images of one person are not independent: the 95% interval takes them for "
                "that, and tends to be too narrow.")
    if people == 1:
        return f"{shows}: the accuracy on other people is unknown."
    dependent = f"{shows}, and images of one person are not independent"
    if evaluation.people_interval is None:
        return f"{dependent}: how far the accuracy would be from this one with other people can't be told from these."
    return (f"{dependent}: with people resampled the 95% interval is {interval_in_words(evaluation.people_interval)}, which "
            f"with fewer than {FEW_PEOPLE} people tends to be too narrow; report the wider of the two intervals.")


def _few_images(overall: Count) -> str:
    low, high = overall.interval
    if high - low <= 0.1:
        return ""
    return (f"{number_of(overall.count, 'validation image')}: the 95% interval is wide "
            f"({interval_in_words((low, high))}), and one image more or less is {1 / overall.count:.3f}.")


def _uneven_classes(facts: RunFacts, evaluation: Evaluation) -> str:
    val_per_class = [result.recall.count for result in evaluation.per_class]
    sides = (("training", facts.train_counts), ("validation", val_per_class))
    uneven = [
        f"{side} " + ", ".join(f"{name!r} {n}" for name, n in zip(evaluation.classes, counts, strict=True))
        for side, counts in sides
        if max(counts) >= 1.5 * min(counts)
    ]
    if not uneven:
        return ""
    return (f"The classes are uneven ({'; '.join(uneven)}): read the recall of each class and the balanced accuracy "
            f"({share_in_words(evaluation.balanced_accuracy)}) beside the accuracy.")


def _overfit(facts: RunFacts, overall: Count) -> str:
    train_accuracy = facts.best.train_accuracy if facts.best else None
    if train_accuracy is None or train_accuracy <= max(overall.accuracy + 0.1, overall.interval[1]):
        return ""
    by_heart, better = "has learned its training images by heart", "does better on the images that it was trained on"
    more = by_heart if train_accuracy > 0.99 else better
    of_train, of_validation = share_in_words(train_accuracy), share_in_words(overall.accuracy)
    return f"In training the accuracy is {of_train}, in validation {of_validation}: the model {more}."


def _still_improving(facts: RunFacts) -> str:
    if len(facts.validated) < 2 or facts.validated[-1][0] != facts.best_epoch:
        return ""
    last = "the last" if facts.best_epoch == facts.epochs[-1].epoch else "the last one validated"
    return (f"The best epoch is {last} ({facts.best_epoch}): it was still getting better; train longer (--load-dir with its "
            "folder and a greater --n-epochs goes on from here).")
