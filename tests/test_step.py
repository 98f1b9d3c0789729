"""The training step as torch.compile makes it: the same numbers, for full batches only, and words where it can't."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_fit import CONFIG, CPU, StopAt, fitted, network, without_times
from torch import Tensor, nn

from noodle_tui.checkpoint import read_checkpoint, restore, save_session, session_content
from noodle_tui.config import RunConfig
from noodle_tui.errors import StopRun
from noodle_tui.session import Session, new_session
from noodle_tui.step import check_compiler, make_step

compiler = pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs g++, and this machine has none")


class KnowsIfCompiled(nn.Module):
    """Answers class 1 in compiled code and class 0 in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2))

    def forward(self, images: Tensor) -> Tensor:
        answer = [0.0, 1.0] if torch.compiler.is_compiling() else [1.0, 0.0]
        return (self.logits + torch.tensor(answer)).expand(len(images), 2)


@compiler
def test_full_batches_are_compiled_once_and_a_smaller_one_is_not() -> None:
    model = KnowsIfCompiled()
    session = new_session(model, RunConfig(), CPU.torch_device)
    step = make_step(model, session.optimizer, session.totals, CPU, full=4, compiled=True)

    def answers_1(n: int) -> int:
        session.totals.zero_()
        step([torch.zeros(n, 3, 8, 8), torch.ones(n, dtype=torch.long)])
        return int(session.totals[1])

    assert answers_1(4) == 4
    with torch.compiler.set_stance("fail_on_recompile"):
        assert [answers_1(n) for n in (4, 3, 1, 4)] == [4, 0, 0, 4]


def weights_of(session: Session) -> list[Tensor]:
    return list(session.model.state_dict().values())


@compiler
def test_a_compiled_run_learns_the_same_and_goes_on_without(tmp_path: Path) -> None:
    plain, compiled = fitted(), CONFIG.model_copy(update={"compile": True})
    session = new_session(network(), CONFIG, CPU.torch_device)
    with pytest.raises(StopRun):
        fitted(compiled, session=session, control=StopAt(7))  # within the second epoch
    save_session(tmp_path, session_content(session, {}))

    for config in (CONFIG, compiled):
        resumed = new_session(network(), CONFIG, CPU.torch_device)
        content = read_checkpoint(tmp_path)[0]
        assert content.model.keys() == network().state_dict().keys()  # no _orig_mod. in front
        restore(resumed, content)
        fitted(config, session=resumed)
        for ours, theirs in zip(weights_of(resumed), weights_of(plain.session), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
        for ours, theirs in zip(resumed.history, plain.epochs, strict=True):
            assert without_times(ours) == pytest.approx(without_times(theirs), rel=1e-4)


@compiler
def test_a_compiler_that_works() -> None:
    check_compiler(CPU)


def test_without_a_compiler_it_is_one_line(data_dir: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "noodle_tui", "run", "--headless", "--compile", "--data-dir", data_dir, "--save-dir",
         tmp_path / "runs", "--weights", "none", "--input-size", "32", "--device", "cpu", "--n-epochs", "1"],
        env=os.environ | {"CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True, text=True, timeout=300, check=False,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "--compile: torch.compile doesn't work here (" in run.stderr
    assert "leave the option out" in run.stderr
    assert "epoch 1/1" not in run.stdout
