"""One whole job in this fresh process, imports apart: `python -m noodle_tui.bench.job EPOCHS [flags of noodle run]`.

Prints one JSON object: the seconds of the imports, of the job from decoding to the saved model, and its epochs.
"""

import json
import sys
import time


def main(epochs: int, flags: list[str]) -> None:
    began = time.perf_counter()
    import torchvision  # noqa: F401 - only to have it imported

    import noodle_tui.fit  # noqa: F401
    from noodle_tui.config import make_config
    from noodle_tui.run import run

    imported = time.perf_counter()
    names = [flag.removeprefix("--").replace("-", "_") for flag in flags[::2]]
    run(make_config({**dict(zip(names, flags[1::2], strict=True)), "n_epochs": epochs}))
    done = time.perf_counter()
    print(json.dumps({"imports": imported - began, "whole_job": done - imported, "whole_job_epochs": epochs}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
