"""The README's table of options is RunConfig's. After a change: NOODLE_UPDATE_README=1 pytest tests/test_readme.py"""

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import FinishedRun

from noodle_tui.cli.flags import default_in_words
from noodle_tui.config import RunConfig, class_tokens, options
from noodle_tui.names import classes_in, person_in, person_pattern
from noodle_tui.report import read_predictions

README = Path(__file__).parent.parent / "README.md"
BETWEEN = re.compile(r"(?<=<!-- options -->\n).*(?=<!-- /options -->)", re.S)


def options_table() -> str:
    lines = ["| option | default | what it does |", "| --- | --- | --- |"]
    for option in options():
        default = default_in_words(option).replace("|", "\\|")
        what = option.help + (f" ({option.bounds})" if option.bounds else "")
        what += f": {', '.join(option.choices)}" if option.choices else "; repeat it" if option.kind == "list" else ""
        lines.append(f"| `--{option.flag}` | `{default}` | {what} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_options_is_run_configs():
    text = README.read_text()
    if os.environ.get("NOODLE_UPDATE_README"):
        README.write_text(BETWEEN.sub(lambda _: options_table(), text))
        text = README.read_text()
    found = BETWEEN.search(text)
    assert found is not None
    assert found.group() == options_table()


def test_every_command_is_named():
    from noodle_tui.cli import app

    text = README.read_text()
    for command in app.registered_commands:
        assert f"noodle {command.name}" in text, command.name


def test_pictures_and_links_are_there():
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target


def test_each_example_of_names_gives_its_classes_and_people() -> None:
    row = r"^\| ((?:`[^`|]+`(?:, )?)+) \| (none: these are the defaults|`--class [^|]+`) \|$"
    rows = re.findall(row, README.read_text(), re.M)
    assert len(rows) == 4
    for files, flags in rows:
        names = re.findall(r"`([^`]+)`", files)
        values = {"classes": [], "person": []}
        words = shlex.split(flags.strip("`")) if flags.startswith("`") else []
        for flag, value in zip(words[::2], words[1::2], strict=True):
            values[{"--class": "classes", "--person": "person"}[flag]].append(value)
        config = RunConfig(**({"classes": tuple(values["classes"])} if words else {}),
                           **({"person": values["person"][0]} if words else {}))
        tokens = class_tokens(config.classes)
        labels = [classes_in(name, tokens) for name in names]
        assert sorted(label for [label] in labels) == sorted(tokens), names  # one class a file, each of its own
        assert all(person_in(name, person_pattern(config.person)) in ("34M", "F001", "anna") for name in names), names


def test_the_models_own_answers_are_had_in_plain_torchvision(
    finished: FinishedRun, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    answers = read_predictions(finished.folder)[1]
    for answer in (answers[0], answers[-1]):  # of either class
        exec(code.replace("RUN/", f"{finished.folder}/").replace("PHOTO", str(data_dir / answer.path)), {})
        probabilities = list(ast.literal_eval(capsys.readouterr().out).values())
        assert probabilities == pytest.approx(answer.probabilities, abs=1e-3)


@pytest.mark.parametrize(("there", "code", "asked"), [
    ([], 130, "--data-dir sorted --namestr seed-3 --seed 3"),
    (["seed-3-20260101-000000/checkpoint.pt", "seed-3-20260101-000000/stop"], 130, "--load-dir weights/seed-3-20260101-000000"),
    (["seed-30-20260101-000000/checkpoint.pt", "seed-3-20260101-000000/config.json"], 0,
     "--data-dir sorted --namestr seed-3 --seed 3"),  # another task's, and one that was killed before it had saved
    (["seed-3-20260101-000000/checkpoint.pt", "seed-3-20260102-000000/checkpoint.pt"], 1,
     "--load-dir weights/seed-3-20260102-000000"),
])
def test_slurms_array_picks_up_what_is_there_and_is_requeued_when_stopped(
    tmp_path: Path, there: list[str], code: int, asked: str
) -> None:
    """The script ends as the run did: Slurm would hold a run that is done for failed."""
    script = next(block for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.S) if "--array" in block)
    for name in there:
        (tmp_path / "weights" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "weights" / name).touch()
    for name, ending in {"srun": code, "scontrol": 0}.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> said\nexit {ending}\n')
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3",
           "SLURM_CPUS_PER_TASK": "8"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, check=False)
    assert done.returncode == code
    requeue = ["scontrol requeue 77_3"] if code == 130 and not there else []  # nor where `noodle stop` was called
    assert (tmp_path / "said").read_text().splitlines() == [f"srun --cpus-per-task 8 noodle run --headless {asked}", *requeue]
