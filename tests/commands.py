"""Running the console script as a user does: in a process of its own, or in this one where a process is not the point."""

import copy
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hydra import compose, initialize_config_dir

from attncompare.config import CONF_DIR, parse_composed

# A run that takes about a second: a small corpus, two batches of everything.
TINY = (
    "data=reverse",
    "data.train_size=300",
    "data.val_size=40",
    "data.test_size=40",
    "data.batch_size=16",
    "backbone.d_model=16",
    "backbone.layers=1",
    "backbone.d_ff=16",
    "task.val_decodes=8",
)
# One thread: with more, such small tensors wait for each other whenever the machine is busy.
SMOKE = ("trainer=smoke", "trainer.threads=1", *TINY)


def composed_config(runs, overrides):
    """Return the config of a run whose folder goes to ``runs``."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return parse_composed(compose("train", overrides=[f"runs={runs}", *overrides]))


@functools.cache
def _values(overrides):
    return composed_config("runs", overrides).to_dict()


def base_values(*overrides):
    """Return the whole config of ``overrides`` as plain containers, to be changed at will."""
    return copy.deepcopy(_values(overrides))


def changed(values, changes):
    """Set dotted keys in ``values`` and return them."""
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        section[name] = value
    return values


def environment(home):
    """The environment of a user without a W&B account."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_") and key != "NETRC"}
    return {**kept, "HOME": str(home)}


def command(*arguments):
    return [sys.executable, "-m", "attncompare", *map(str, arguments)]


def attncompare(*arguments, cwd, **options):
    """Run ``attncompare ARGUMENTS`` to its end."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False, **options
    )


# Training that goes on until it is stopped, with a first validation soon.
ENDLESS = ("trainer=cpu", "trainer.threads=1", *TINY, "trainer.max_steps=1000000", "trainer.log_every=1")


class Started:
    """``attncompare ARGUMENTS`` while it runs, in a process group of its own, as a shell would start it."""

    def __init__(self, *arguments, cwd):
        self.lines = []
        self._process = subprocess.Popen(
            command(*arguments),
            cwd=cwd,
            env=environment(cwd),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self):
        return self._process.pid

    def wait_for(self, words, times=1):
        """Read what it says until ``words`` were said so often."""
        while sum(words in line for line in self.lines) < times:
            line = self._process.stderr.readline()
            assert line, f"it ended without saying '{words}':\n{''.join(self.lines)}"
            self.lines.append(line)

    def interrupt(self):
        """Press Ctrl-C, as impatient people do: the whole process group gets the signal, and again until it has ended."""
        while self._process.poll() is None:
            os.killpg(self.pid, signal.SIGINT)
            time.sleep(0.2)

    def end(self):
        """Wait for its end and return its exit code and all that it said."""
        try:
            out, err = self._process.communicate(timeout=60)
        finally:
            if self._process.poll() is None:
                os.killpg(self.pid, signal.SIGKILL)
        self.lines.append(err)
        return self._process.returncode, out, "".join(self.lines)


def inspect(run):
    """Return the records of the one W&B run inside ``run``, by type, as W&B's own tool reads them."""
    (folder,) = run.path.glob("wandb/offline-run-*")
    wandb = Path(sys.executable).with_name("wandb")
    done = subprocess.run(
        [wandb, "leet", "inspect", "--json", folder],
        capture_output=True,
        text=True,
        check=True,
        env=environment(run.path),
    )
    records = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        records.setdefault(record["type"], []).append(record[record["type"]])
    return records
