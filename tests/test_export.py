"""A form as a command line and as a Slurm script: what they start is the run that the form described."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from noodle_tui import cli
from noodle_tui.cli import train
from noodle_tui.config import RunConfig
from noodle_tui.export import command_line, sbatch_script

ODD = "a b'c\"d $HOME `x` é ;#"


def parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """What `noodle` makes of a command line."""
    seen: list[RunConfig] = []
    monkeypatch.setattr(train, "run_headless", lambda config, json: seen.append(config) or 0)
    words = shlex.split(line)
    assert words[0] == "noodle"
    cli.app(words[1:], standalone_mode=False)
    return seen[0]


def test_defaults_need_no_flags() -> None:
    assert command_line(RunConfig()) == "noodle run --headless"


@pytest.mark.parametrize("values", [
    {"n_epochs": 3, "lr": 1e-5, "split_by": "person", "rejig_data": True, "comet_weights": False},
    {"stimuli": Path(ODD), "save_dir": Path("-odd"), "namestr": "-v", "person": r"^(\d+)\s'\""},
    {"classes": ("sad=-Sa-", "-happy=_Ha_", "a b=c d"), "weights": "--none", "device": "cuda:1"},
])  # fmt: skip
def test_the_command_means_the_same_run(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(**values)
    assert parsed(command_line(config), monkeypatch) == config


def test_a_default_that_was_asked_for_is_said_where_a_run_is_picked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(load_dir=Path("weights/run"), n_epochs=40)
    line = command_line(config)
    assert "--n-epochs 40" in line
    assert "--batch-size" not in line
    assert parsed(line, monkeypatch).model_fields_set == {"load_dir", "n_epochs"}
    assert "--n-epochs" not in command_line(RunConfig(n_epochs=40))


def test_the_script_runs_the_command_in_the_folder(tmp_path: Path) -> None:
    folder, tools = tmp_path / ODD, tmp_path / "env bin"
    folder.mkdir()
    tools.mkdir()
    noodle = tools / "noodle"
    noodle.write_text('#!/bin/bash\npwd\nprintf "%s\\n" "$$" "$@"\n')
    noodle.chmod(0o755)
    config = RunConfig(namestr=ODD.replace("/", ""), n_epochs=2)
    script = sbatch_script(config, folder, str(tools / "python"))
    job = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True)
    place, process, *words = job.communicate(timeout=20)[0].splitlines()
    assert place == str(folder)
    assert int(process) == job.pid, "the run takes the shell's place: Slurm's signal reaches it"
    assert words == shlex.split(command_line(config))[1:]


def test_the_scripts_directives_are_slurms() -> None:
    lines = sbatch_script(RunConfig(namestr="my run #1\u00e9")).splitlines()
    assert lines[0] == "#!/bin/bash"
    directives = [line for line in lines if line.startswith("#SBATCH")]
    assert all(line.split()[1].startswith("--") and len(line.split()) == 2 for line in directives)
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert max(lines.index(line) for line in directives) < first_command, "later ones are ignored by sbatch"
    assert "#SBATCH --job-name=my_run_1\u00e9" in directives
    assert any(line.startswith("#SBATCH --signal=B:TERM@") for line in directives)


def test_a_run_on_the_processor_asks_for_no_card() -> None:
    assert "--gres" in sbatch_script(RunConfig())
    assert "--gres" not in sbatch_script(RunConfig(device="cpu"))
