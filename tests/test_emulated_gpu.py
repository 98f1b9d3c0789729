"""What test_cuda.py asks of a GPU, asked of an emulated one: a tensor on the wrong side, a wait for the GPU in the midst of an
epoch, and a stream that doesn't wait for another are found on a machine without one, too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU is here, which does it better")
def test_the_code_for_gpus_runs_on_an_emulated_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", HERE / "test_cuda.py", "-p", "emulated_gpu", "-n", "0", "-q", "--tb", "short",
         "-p", "no:cacheprovider", "--basetemp", tmp_path / "runs"],
        cwd=HERE.parent, env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_ADDOPTS": ""}, capture_output=True, text=True,
        timeout=250)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = int(done.stdout.split(" passed")[0].split()[-1])
    assert passed > 30
