"""Trains one run with the code that is first on the path, and tells the parent how it goes, a JSON object a line.

This is a script for a process of its own: the parent's code is one commit, and what is imported here is another. So it
uses only what ``train`` has always taken, and asks before it uses what is newer.
"""

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the job from standard input and train it."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed is no message

    def tell(**message: Any) -> None:
        channel.write(json.dumps(message) + "\n")

    job = json.load(sys.stdin)
    import attncompare
    from attncompare.errors import AttnCompareError

    tell(code=str(Path(attncompare.__file__).parents[1]))
    try:
        _train(job, tell)
    except AttnCompareError as error:
        tell(error=str(error), exit_code=error.exit_code)
    except KeyboardInterrupt:
        tell(interrupted=True)


def _train(job: dict[str, Any], tell: Any) -> None:
    from attncompare.config import parse
    from attncompare.data.module import DataModule
    from attncompare.errors import Refused
    from attncompare.training.run import train

    config = parse(job["values"])
    options: dict[str, Any] = {"threads": job["threads"]}
    if job["stop_after"] is not None:
        if "stop_after" not in inspect.signature(train).parameters:
            raise Refused("--steps: the recorded code cannot stop after a step; leave --steps out")
        options["stop_after"] = job["stop_after"]
    if job["course"] is not None:
        from attncompare.training.ending import Course

        options["course"] = Course(**job["course"])
    data = DataModule(config)
    data.prepare()
    tell(data_fingerprint=data.fingerprint)
    if job["data_fingerprint"] not in (None, data.fingerprint):
        return
    run = train(
        config,
        job["overrides"],
        parent=Path(job["parent"]) if job["parent"] else None,
        on_progress=lambda at: tell(progress=[at.phase, at.step, at.max_steps, at.loss]),
        on_folder=lambda folder: tell(folder=str(folder)),
        **options,
    )
    tell(run=str(run.path))


if __name__ == "__main__":
    main()
