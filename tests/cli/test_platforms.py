"""Where modules and functions of POSIX are missing, as on Windows: training works, and what cannot work is one line."""

import subprocess
import sys

import pytest
from commands import SMOKE, environment

# Libraries may import them: on such a system they have other code for it.
WITHOUT_POSIX = """
import multiprocessing, os, pkgutil, signal, sys
import pytorch_lightning, datasets, wandb

class Missing:
    def find_spec(name, path, target=None):
        if name in ("fcntl", "grp", "pty", "pwd", "resource", "termios"):
            frame = sys._getframe(1)
            while frame.f_code.co_filename.startswith("<frozen importlib"):
                frame = frame.f_back
            if "attncompare" in frame.f_globals["__name__"]:
                raise ImportError(name)

sys.meta_path.insert(0, Missing)
for name in ("fcntl", "resource"):
    sys.modules.pop(name, None)
for name in ("O_NOFOLLOW", "fork", "getuid", "sched_getaffinity"):
    delattr(os, name)
del signal.pthread_sigmask
multiprocessing.get_all_start_methods = lambda: ["spawn"]
import attncompare
for module in pkgutil.walk_packages(attncompare.__path__, "attncompare."):
    if "triton" not in module.name and not module.name.endswith("__main__"):
        __import__(module.name)
from attncompare.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 0, "finished after"),
        pytest.param(("-m", "seed=1,2"), 2, "error: -m: this system cannot fork", marks=pytest.mark.long),
    ],
)
def test_without_posix(tmp_path, words, code, said):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, "train", *words, *SMOKE, "tracking=disabled"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and said in done.stderr
