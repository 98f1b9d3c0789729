"""The process that talks to Comet. `listeners/comet.py` starts it, feeds it and, should it hang, kills it.

Comet's SDK brings threads, exit and exception hooks, retries that last minutes and waits that last hours. In a process
of its own none of that reaches the training, and the cap on waiting is a kill.

stdin   one line of JSON, the task; when the run has ended one more, what is left to send; then the end. The end after the
        task says that the run died: what is known is delivered or archived all the same. Without a task nothing is done.
journal `journal.jsonl` in the task's folder, followed as it grows: {"epoch": n, "metrics": {…}} a line.
stdout  a line a status: "imported", "online URL", "offline REASON", "progress", "trouble WHY THERE IS NONE", "delivered",
        "archive FILE".
"""

import contextlib
import fcntl
import functools
import json
import logging.handlers
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from noodle_tui.atomic import write_atomic

JOURNAL, DELIVERED = "journal.jsonl", "delivered.jsonl"
HALF_MADE = "tmp"  # begins the name of the folder in which an archive is made
TEMPORARY = "noodle-comet-"  # begins the name of the folder that comet_ml may leave things in
LAST_WORDS_S = 90  # no longer than this after the end of stdin, whatever happens
POLL_S = 0.2
NO_CONNECTION_S = 2.0

# Privacy first (no environment, code, command line, output, host, error reports), then patience in seconds and retries.
COMET_ENVIRONMENT = {
    "COMET_DISABLE_AUTO_LOGGING": "1",
    "COMET_ERROR_TRACKING_ENABLE": "false",
    "COMET_INTERNAL_SENTRY_DSN": "",
    "COMET_INTERNAL_REPORTING": "false",
    "COMET_DISABLE_ANNOUNCEMENT": "true",
    "COMET_LOGGING_PARAMETERS_IGNORE": "comet:curr_step,comet:curr_epoch",
    "COMET_LOGGING_CONSOLE": "ERROR",  # stderr leads nowhere; errors are read for the reason why Comet can't be used
    "COMET_TIMEOUT_HTTP": "4",
    "COMET_TIMEOUT_API": "4",
    "COMET_TIMEOUT_CLEANING": "10",
    "COMET_TIMEOUT_UPLOAD": "60",
    "COMET_TIMEOUT_FILE_UPLOAD": "20",
    "COMET_HTTP_SESSION_RETRY_TOTAL": "2",
    "COMET_HTTP_SESSION_RETRY_BACKOFF_FACTOR": "1",
    "COMET_GET_OR_ADD_EXPERIMENT_RETRY_TOTAL": "0",
    # Comet's own offline copy of an online experiment: `write_archive` makes a whole one from the journal instead
    "COMET_FALLBACK_STREAMER_FALLBACK_TO_OFFLINE_MIN_BACKEND_VERSION": "999.0.0",
}

ON_ITS_OWN = (  # all that an experiment would log without being asked
    "auto_output_logging", "log_code", "log_graph", "log_git_metadata", "log_git_patch", "log_env_details",
    "log_env_gpu", "log_env_cpu", "log_env_host", "log_env_network", "log_env_disk", "parse_args",
    "auto_param_logging", "auto_metric_logging", "auto_log_co2", "auto_histogram_tensorboard_logging",
)


def main() -> None:
    """Wait for the task, do it, and leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # batch systems signal every process of a job; stdin tells us the end
    os.environ.update(COMET_ENVIRONMENT)
    import comet_ml  # noqa: F401 - takes a second or more, in which the run is busy with its photos

    say("imported")
    try:
        if task := json.loads(sys.stdin.buffer.readline() or b"{}"):
            serve(task)
    finally:
        temporary = Path(os.environ.get("TMPDIR", ""))
        if temporary.name.startswith(TEMPORARY):  # this process's own, see CometProcess; the run may be gone
            shutil.rmtree(temporary, ignore_errors=True)
        os._exit(0)  # not through the exit hooks, which wait for uploads that were given up


def serve(task: dict[str, Any]) -> None:
    """Log online; where that fails, write an archive once the run has ended. OSError if the disk refuses it."""
    reason = task["reason"] or log_online(task)
    if reason:
        say("offline", reason)
        lines = dict.fromkeys(lines_of(task))
        delivered = read_delivered(task)
        say("archive", str(write_archive(task, [line for line in lines if line not in delivered], last_words())))


def say(word: str, text: str = "") -> None:
    """Tell the run."""
    with contextlib.suppress(BrokenPipeError):  # it has died, and nobody needs to know
        os.write(1, f"{word} {' '.join(text.split())}\n".encode())


def log_online(task: dict[str, Any]) -> str:
    """Log the journal to Comet while it grows. "" when the server has acknowledged everything, else why not."""
    from comet_ml.config.config_api import get_backend_address, set_global_experiment
    from comet_ml.exceptions import CometException, CometRestApiException, InvalidAPIKey

    wait_for_turn(task)
    errors = logging.handlers.BufferingHandler(capacity=1000)
    logging.getLogger("comet_ml").addHandler(errors)
    try:
        experiment = start(task, online=True)
    except InvalidAPIKey:
        return "the server refuses the API key"
    except CometRestApiException as error:
        status = error.response.status_code
        return f"the server answers with status {status}" + (": is the API key right?" if status in (401, 403) else "")
    except OSError:
        return f"no connection to {urlsplit(get_backend_address()).hostname}"
    except (CometException, ValueError):
        return reason_in(errors.buffer, task)
    if not experiment.alive:
        return reason_in(errors.buffer, task)
    say("online", experiment.url or "")
    experiment.log_parameters(task["parameters"])
    delivered = read_delivered(task)
    for line in lines_of(task):
        if line not in delivered:
            delivered[line] = None
            log(experiment, line)
    log_last(experiment, last_words())
    if not deliver(experiment, lambda: reason_in(errors.buffer[::-1], task, "the server doesn't acknowledge everything")):
        set_global_experiment(None)  # or else the archive's experiment waits for this one
        return "the connection was lost"
    keep_delivered(task, delivered)
    say("delivered")
    experiment.end()
    return ""


def wait_for_turn(task: dict[str, Any]) -> None:
    """Wait while the process of a run that was killed still sends: what it delivers isn't sent again. The turn ends with this
    process."""
    with contextlib.suppress(OSError):  # no folder, or no locks there: it can't be known
        fcntl.flock(os.open(task["folder"], os.O_RDONLY), fcntl.LOCK_EX)


def start(task: dict[str, Any], online: bool, folder: str | None = None) -> Any:
    """A Comet experiment that logs nothing on its own. The key decides whether it is a new one or goes on."""
    import comet_ml

    nothing: dict[str, Any] = dict.fromkeys(ON_ITS_OWN, False)
    return comet_ml.start(
        api_key=task["api_key"],
        workspace=task["workspace"],
        project_name=task["project"],
        experiment_key=task["experiment_key"],
        mode="get_or_create",
        online=online,
        experiment_config=comet_ml.ExperimentConfig(
            name=task["name"], offline_directory=folder, display_summary_level=0, **nothing
        ),
    )


def reason_in(errors: list[logging.LogRecord], task: dict[str, Any], none: str = "the experiment can't be started") -> str:
    """The first line of the first of Comet's errors, cut short and without the key; `none` if there are none."""
    lines = [error.getMessage().strip().split("\n")[0] for error in errors if error.levelno >= logging.ERROR]
    reason = lines[0] if lines else none
    return (reason.replace(task["api_key"], "…") if task["api_key"] else reason)[:200]


def lines_of(task: dict[str, Any]) -> Iterator[str]:
    """The journal's lines as they come; when the run has ended, all of its lines, since the disk may have refused some."""
    yield from follow(Path(task["folder"]) / JOURNAL)
    yield from last_words().get("lines", [])


def follow(journal: Path) -> Iterator[str]:
    """The journal's whole lines as they come, until stdin has something to say and the journal has been read through."""
    place, ended = 0, False
    while True:
        for line in whole_lines(journal, place):
            place += len(line)
            yield line.decode().removesuffix("\n")
        if ended:
            return
        ended = bool(select.select([sys.stdin], [], [], POLL_S)[0])


def whole_lines(file: Path, place: int) -> list[bytes]:
    """The lines from that byte on; none where the file can't be read."""
    try:
        with file.open("rb") as content:
            content.seek(place)
            return [line for line in content if line.endswith(b"\n")]
    except OSError:
        return []


def read_delivered(task: dict[str, Any]) -> dict[str, None]:
    """The lines that the server has acknowledged to this run before it was picked up, in order."""
    lines = whole_lines(Path(task["folder"]) / DELIVERED, 0)
    return dict.fromkeys(line.decode(errors="replace").removesuffix("\n") for line in lines)


def keep_delivered(task: dict[str, Any], lines: Iterable[str]) -> None:
    """Note what the server has now, and take away the archive that it needn't get any more.

    The journal stays: where the run was killed, it may be that of one that has picked it up since.
    """
    folder = folder_of(task)
    with contextlib.suppress(OSError):  # a run that is picked up would send it once more
        (folder / f"{task['experiment_key']}.zip").unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        write_atomic(folder / DELIVERED, "".join(f"{line}\n" for line in lines))


def folder_of(task: dict[str, Any]) -> Path:
    """Where to write: the run may have moved by its end."""
    return Path(last_words().get("folder", task["folder"]))


@functools.cache  # stdin can be read once only
def last_words() -> dict[str, Any]:
    """What the run sends at its end; nothing if it died. From here on the time that is left is counted."""
    signal.alarm(LAST_WORDS_S)
    return json.loads(sys.stdin.buffer.readline() or b"{}")


def log(experiment: Any, line: str) -> None:
    """One line of the journal."""
    record = json.loads(line)
    experiment.log_metrics(record["metrics"], step=record["epoch"], epoch=record["epoch"])


def log_last(experiment: Any, record: dict[str, Any]) -> None:
    """The weights and the confusion matrix (rows are the true classes), both of the best epoch."""
    epoch = record.get("epoch")
    if record.get("model"):
        experiment.log_asset(record["model"], file_name="classification_model.pth", overwrite=True, step=epoch)
    if record.get("confusion"):
        experiment.log_confusion_matrix(matrix=record["confusion"], labels=record["classes"],
                                        max_categories=len(record["classes"]), step=epoch, epoch=epoch)


def deliver(experiment: Any, trouble: Callable[[], str]) -> bool:
    """Wait until the server has acknowledged everything, saying so at each step forward, and what the trouble is where there is
    none. False: no connection."""
    connected, before = time.monotonic(), None
    while True:
        experiment.flush(timeout=1)
        left = undelivered(experiment)
        if left == (0, 0):
            return True
        if left != before:
            say("progress")
        else:
            say("trouble", trouble())
        before = left
        if experiment.streamer.has_connection_to_server():
            connected = time.monotonic()
        elif time.monotonic() - connected > NO_CONNECTION_S:
            return False


def undelivered(experiment: Any) -> tuple[int, int]:
    """(messages, bytes of files) that the server hasn't acknowledged yet.

    Comet keeps a row a message in a database of its own and deletes it when the server has answered.
    """
    streamer = experiment.streamer
    (rows,) = streamer.replay_manager.conn.execute("SELECT COUNT(*) FROM messages").fetchone()
    _, bytes_left, _ = streamer.online_streamer._file_upload_manager.remaining_data()
    return rows + streamer.messages.qsize(), bytes_left


def write_archive(task: dict[str, Any], lines: list[str], last: dict[str, Any]) -> Path:
    """The run as one of Comet's offline archives, `<experiment key>.zip`, in place of an earlier one.

    OSError where Comet couldn't write it: an earlier one stays.
    """
    folder = folder_of(task)
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=HALF_MADE) as made:
        tempfile.tempdir = made  # Comet copies the weights there first: one disk less that may be full
        experiment = start(task, online=False, folder=made)
        experiment.log_parameters(task["parameters"])
        for line in lines:
            log(experiment, line)
        log_last(experiment, last)
        experiment.end()
        archives = list(Path(made).glob("*.zip"))
        if not archives or not is_whole(archives[0], last.get("model")):
            raise OSError(f"Comet couldn't write its archive to {folder}")  # it only logs what the disk refuses
        return archives[0].rename(folder / f"{task['experiment_key']}.zip")


def is_whole(archive: Path, model: str | None) -> bool:
    """Whether an archive can be read, and holds the experiment, its messages and the weights, if there are any."""
    try:
        with zipfile.ZipFile(archive) as file:
            sizes = {one.filename: one.file_size for one in file.infolist()}
            return (file.testzip() is None and {"experiment.json", "messages.json"} <= sizes.keys()
                    and (model is None or os.path.getsize(model) in sizes.values()))
    except (OSError, zipfile.BadZipFile, zlib.error):
        return False


if __name__ == "__main__":
    main()
