"""What a process says goes to its file, also what is written below Python."""

import subprocess
import sys

CODE = """
import os, sys
from pathlib import Path
from attncompare.training.processes_output import redirect
redirect(Path(sys.argv[1]))
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
os.write(1, b"below\\n")
"""


def test_all_that_a_process_says_goes_to_the_file(tmp_path):
    file = tmp_path / "said.log"
    file.write_text("of the last time")
    done = subprocess.run([sys.executable, "-c", CODE, file], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert file.read_text() == "out\nerr\nbelow\n"
