"""The command that compares runs that differ in more than attention and seed: what a page does not decide for anybody."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from attncompare.compare.checks import differences
from attncompare.compare.gathering import Gathered
from attncompare.compare.groups import compare_groups
from attncompare.compare.options import TOKENIZER, Options
from attncompare.errors import Refused
from attncompare.text import TOKEN_FREE


def how_to_compare(paths: Sequence[Path], gathered: Gathered) -> str:
    """Return the command that compares these runs all the same, in the fairest way that they allow.

    Where one key varies, each variant gets its best value of it; where runs cut the same text differently, a metric is
    chosen that does not count tokens; else the differences are noted (``--force``).

    Args:
        paths: what the command is given: folders of runs, or of sweeps.
        gathered: the runs in them.
    """
    given = ["attncompare", "compare", *map(str, paths)]
    for options, words in _options(_differing(gathered)):
        try:
            compare_groups(gathered.runs, left_out=gathered.left_out, options=options)
        except Refused:  # for example a value that was tried for one variant alone
            continue
        return shlex.join([*given, *words])
    return shlex.join([*given, "--force"])


def _differing(gathered: Gathered) -> list[str]:
    """Return the keys in which runs of one task differ beyond attention and seed."""
    tasks = dict.fromkeys(run.config.task.name for run in gathered.runs)
    found = [differences([run for run in gathered.runs if run.config.task.name == task]) for task in tasks]
    return list(dict.fromkeys(key for keys in found for key in keys))


def _options(keys: Sequence[str]) -> Iterator[tuple[Options, list[str]]]:
    """Yield with which options runs that differ in ``keys`` may be compared, and their words in a command."""
    if len(keys) == 1:
        yield Options(tune=tuple(keys)), ["--tune", keys[0]]
    if all(key.startswith(TOKENIZER) for key in keys):
        for metric in TOKEN_FREE:
            yield Options(metric=metric), ["--metric", metric]
