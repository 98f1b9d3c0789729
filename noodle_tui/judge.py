"""What came of a run: its best weights before the validation images once more, and the report of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Evaluation, Prediction, evaluate
from noodle_tui.events import Message
from noodle_tui.job import Job
from noodle_tui.loading import Loaded
from noodle_tui.report import RunFacts, environment, facts_now, write_report
from noodle_tui.samples import options_as_used
from noodle_tui.stage import stage

if TYPE_CHECKING:
    from noodle_tui.saving import Saver


def known_facts(job: Job, loaded: Loaded, left_out: dict[str, int] | None) -> RunFacts:
    """What the report needs to know besides the results, before the first epoch. `left_out`: of the stimuli, {reason: how many
    files}, where this run has sorted them; else what rejig recorded counts."""
    config, data, device = job.config, loaded.data, loaded.device
    n = len(data.classes)
    made = data.rejig or {}
    return RunFacts(
        name=config.namestr, config=options_as_used(config, data.rejig), classes=data.classes, epochs=[], best_epoch=0,
        train_counts=data.train.counts(n), val_counts=data.val.counts(n), train_people=data.train.people,
        val_people=data.val.people, unknown_people=sum(s.person is None for s in data.train.samples + data.val.samples),
        split_by=made.get("split_by"), split_seed=made.get("seed"), twins=data.twins,
        two_classes=data.two_classes, by_hand=data.by_hand, skipped=data.skipped,
        left_out=made.get("left_out", {}) if left_out is None else left_out,
        changes=loaded.session.changes, terms=loaded.session.terms,
        fingerprint=data.fingerprint, weights=config.weights, origin=loaded.session.origin,
        weights_digest=loaded.session.weights_digest, head=loaded.session.head,
        device=str(device.torch_device), device_name=device.name, precision=device.precision, environment=environment(),
        started=loaded.session.started, finished=loaded.session.started, seconds=0.0,
        resumed=job.before.times if job.before else 0,
    )


def judge(job: Job, loaded: Loaded, facts: RunFacts, saver: "Saver", folder: Path) -> tuple[RunFacts, Evaluation]:
    """Evaluate the best weights and write the report, while the last save is written.

    NoodleError if no epoch was validated, or no disk takes the report.
    """
    session, best = loaded.session, loaded.session.best
    if best is None:
        raise NoodleError("no epoch was validated: there is nothing to report")
    with stage("evaluate", f"judging the best weights (epoch {best.epoch})", job.emit):
        session.model.load_state_dict(best.weights)
        predictions = predict_validation(job, loaded)
        evaluation = evaluate(predictions, loaded.data.classes)
        facts = facts_now(facts, session)
        if evaluation.overall.correct != best.correct:
            job.emit(Message(level="warning", text=f"the best weights answer {evaluation.overall.correct} images right now and "
                             f"{best.correct} in epoch {best.epoch}: {why_otherwise(job, loaded, best.epoch)}"))
        saver.save_model(session, evaluation.overall)
        try:
            write_report(folder, facts, evaluation, predictions)
            home = saver.finish()
        except OSError as error:
            job.emit(Message(level="error", text=f"the report could not be written to {folder} ({error.strerror or error})"))
            home = saver.move()
        if home != folder:
            try:
                write_report(home, facts, evaluation, predictions)
            except OSError as error:
                raise NoodleError(f"the report could not be written to {home} either ({error.strerror or error}): checkpoint "
                                  "and model are there; make room, and pick the run up for its report") from None
    return facts, evaluation


def why_otherwise(job: Job, loaded: Loaded, epoch: int) -> str:
    """Why the weights of `epoch` may be judged otherwise than they were counted in training."""
    before = job.before.stored if job.before else None
    then = before.terms if before and epoch <= before.epoch else loaded.session.terms
    now = {"precision": loaded.device.precision, "device": loaded.device.name, "processes": "1"}
    if differing := [name for name, value in now.items() if then.get(name, value) != value]:
        told = [", ".join(f"{name} {terms[name]}" for name in differing) for terms in (now, then)]
        return f"judged with {told[0]}, counted with {told[1]}, which rounds otherwise"
    return "this device does not compute the same thing twice"


def predict_validation(job: Job, loaded: Loaded) -> list[Prediction]:
    """The answers of the session's model on the validation images. StopRun if the run is stopped meanwhile."""
    from noodle_tui.forward import exact_softmax, predict_logits

    val = loaded.data.val
    logits = predict_logits(loaded.session.model, val.pixels.stacked(), loaded.device, job.control)
    probabilities = exact_softmax(logits)
    return [
        Prediction(s.name, s.person, s.level, s.label, max(range(len(p)), key=p.__getitem__), tuple(p))
        for s, p in zip(val.samples, probabilities, strict=True)
    ]
