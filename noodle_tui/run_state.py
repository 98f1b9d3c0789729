"""The state of a run, folded from its events.

They may come from a thread of this process or from the `events.jsonl` of a job on another node: watching a run, attaching to it
again, and looking at last week's are one code path.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from noodle_tui.events import (
    DataReady,
    EpochDone,
    Event,
    Message,
    ModelReady,
    Paused,
    Resumed,
    RunDone,
    RunFailed,
    RunMoved,
    RunStarted,
    RunStopped,
    Saved,
    SaveRefused,
    StageDone,
    StageProgress,
    StageStarted,
)


@dataclass
class RunState:
    """Everything that a screen shows of a run. `apply` is the only thing that changes it."""

    status: str = "starting"  # starting, running, paused, done, stopped, failed; run_folder adds "interrupted"
    started: RunStarted | None = None
    first_start: float | None = None  # seconds since 1970; `started` is the last, of a run that was picked up
    data: DataReady | None = None
    model: ModelReady | None = None
    stage: str = ""
    stage_text: str = ""
    stage_done: int = 0
    stage_total: int | None = None
    stages: dict[str, float] = field(default_factory=dict)  # seconds that each finished stage took
    epochs: list[EpochDone] = field(default_factory=list)
    best: EpochDone | None = None
    log: list[Message | Saved | StageDone] = field(default_factory=list)  # of the savings of a file the last alone
    model_epoch: int | None = None  # whose weights model.pth holds; None: there is none
    saved_epoch: int | None = None  # the last whole one in checkpoint.pt, 0 before the first; None: there is none
    not_saved: str = ""  # why the disk has taken nothing since the last save
    moved_from: str = ""  # the run's own folder, where it had to be saved in another one
    error: str = ""
    ended: RunDone | RunStopped | RunFailed | None = None
    stage_began: float = 0.0  # seconds since 1970
    seconds_before: float = 0.0  # that the run had worked when it was picked up last
    last_time: float = 0.0

    @property
    def n_epochs(self) -> int:
        return self.started.n_epochs if self.started else self.epochs[-1].n_epochs if self.epochs else 0

    @property
    def epoch(self) -> int:
        """The last finished epoch; 0 before the first."""
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def seconds(self) -> float:
        """How long the run has worked, up to its last word; the times between a stop and a pick-up don't count."""
        return self.seconds_before + self._seconds_now

    @property
    def _seconds_now(self) -> float:
        if self.started is None:
            return 0.0
        return self.ended.seconds if self.ended else max(self.last_time - self.started.time, 0.0)

    @property
    def seconds_left(self) -> float | None:
        """Time to the last epoch at the pace of the last ten since the last start, or of the batches of the first one; None
        before the first batch and after the end."""
        done = self.stage_done / self.stage_total if self.stage == "train" and self.stage_total else 0.0
        recent = [epoch for epoch in self.epochs[-10:] if self.started is None or epoch.epoch > self.started.resumed_at]
        if self.ended or not (recent or done):
            return None
        pace = sum(epoch.seconds for epoch in recent) / len(recent) if recent else (self.last_time - self.stage_began) / done
        return max(self.n_epochs - self.epoch - done, 0) * pace

    def apply(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, RunStarted):
            self.seconds_before += self._seconds_now
        self.last_time = event.time
        match event:
            case RunStarted():
                self._start(event)
            case StageStarted():
                self.stage, self.stage_text = event.stage, event.text
                self.stage_done, self.stage_total = 0, None
                self.stage_began = event.time
            case StageProgress():
                self.stage, self.stage_done = event.stage, event.done
                self.stage_total = event.total if event.total is not None else self.stage_total
            case StageDone():
                self.stages[event.stage] = event.seconds
                self.log.append(event)
            case DataReady():
                self.data = event
            case ModelReady():
                self.model = event
            case EpochDone():
                self._end_epoch(event)
            case SaveRefused():
                self.not_saved = event.reason
            case RunMoved() if self.started is not None:
                self.moved_from, self.started = self.started.folder, replace(self.started, folder=event.folder)
            case Saved():
                self.not_saved = ""
                if event.what == "checkpoint":
                    self.saved_epoch = event.epoch
                else:  # of the best epoch then, which isn't where a run goes on
                    self.model_epoch = event.epoch
                self._log_saved(event)
            case Message():
                self.log.append(event)
            case Paused():
                self.status = "paused"
                self.log.append(Message(level="info", text=f"paused after epoch {event.epoch}", time=event.time))
            case Resumed():
                self.status = "running"
                self.log.append(Message(level="info", text="goes on", time=event.time))
            case RunDone() | RunStopped() | RunFailed():
                self._end(event)

    def _start(self, event: RunStarted) -> None:
        """A run that is picked up again starts a second time: what it hadn't saved is done anew."""
        if self.started is not None:
            self.log.append(Message(level="info", text=f"picked up after epoch {event.resumed_at}", time=event.time))
        self.started, self.status, self.ended, self.error = event, "running", None, ""
        self.first_start = event.time if self.first_start is None else self.first_start
        self.stage, self.stage_text, self.stage_done, self.stage_total = "", "", 0, None
        self.epochs = [e for e in self.epochs if e.epoch <= event.resumed_at]
        self.best = next((e for e in reversed(self.epochs) if e.is_best), None)

    def _end_epoch(self, event: EpochDone) -> None:
        while event.epoch <= self.epoch:  # no run goes back; of a file that says so, the later word counts
            gone = self.epochs.pop()
            if gone is self.best:
                self.best = next((e for e in reversed(self.epochs) if e.is_best), None)
        self.epochs.append(event)
        if self.stage == "train":
            self.stage_done = 0  # the batches of the next one
        if event.is_best:
            self.best = event

    def _log_saved(self, event: Saved) -> None:
        """Of the savings of one file the last alone: a long run has thousands, and each painting would go through them."""
        earlier = (i for i in reversed(range(len(self.log)))
                   if isinstance(entry := self.log[i], Saved) and entry.file == event.file)
        if (last := next(earlier, None)) is not None:
            del self.log[last]
        self.log.append(event)

    def _end(self, event: RunDone | RunStopped | RunFailed) -> None:
        self.ended = event
        self.status = {RunDone: "done", RunStopped: "stopped", RunFailed: "failed"}[type(event)]
        if isinstance(event, RunFailed):
            self.error = event.error
        if isinstance(event, RunStopped):
            self.log.append(Message(level="info", text=event.in_words, time=event.time))

    @classmethod
    def fold(cls, events: Iterable[Event]) -> "RunState":
        """The state after all of these events."""
        state = cls()
        for event in events:
            state.apply(event)
        return state
