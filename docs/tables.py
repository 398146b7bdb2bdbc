"""Write the tables of the documentation anew from the records that come with the code: `make tables`.

A table stands below a line such as ``<!-- compare five_variants 92 columns seed=1 -->``: what `attncompare compare` prints, in
that many columns, of the runs in the archive of that name under runs/reference, here those of seed 1.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from attncompare.record import find_runs, unpack

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/reference.md", "docs/results.md")
_TABLE = re.compile(r"(<!-- compare (\w+) (\d+) columns(?: seed=(\d+))? -->\n+```text\n)(.*?)(?=```)", re.DOTALL)


def renewed(page: str) -> str:
    """Return the text of a page with each of its tables made anew."""
    return _TABLE.sub(lambda found: found[1] + printed(found[2], int(found[3]), found[4]), page)


def printed(archive: str, columns: int, seed: str | None) -> str:
    """Return what `attncompare compare` prints of the runs in an archive, of one seed or of all."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked = unpack(ROOT / "runs/reference" / f"{archive}.tar.xz", Path(folder))
        runs = [run for run in find_runs([unpacked]) if seed is None or run.config.seed == int(seed)]
        names = [str(run.path.relative_to(folder)) for run in runs]
        command = [sys.executable, "-m", "attncompare", "compare", *names, "--html", "report.html"]
        environment = {**os.environ, "COLUMNS": str(columns)}
        out = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    tables = out.partition("\nPage: ")[0]
    return re.sub(r" +$", "", tables, flags=re.MULTILINE).strip() + "\n"


if __name__ == "__main__":
    for name in PAGES:
        file = ROOT / name
        file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
