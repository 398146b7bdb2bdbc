"""What no command line may ask of Hydra: nothing that it would run.

Hydra instantiates ``_target_`` in its own section and configures logging, which can name any callable, before a job
function is called; so arguments are checked before Hydra sees them. The files of ``conf/`` are code's neighbours and as
trusted as the code; those of users are checked in ``own_configs.py``.
"""

import importlib.util
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from attncompare.config.messages import shown
from attncompare.config.plain_values import CALLS, check_references, leaves
from attncompare.errors import Refused
from attncompare.registry import unknown

_NAME = r"[A-Za-z0-9_][\w.+-]*"
OPTION = re.compile(rf"{_NAME}(?:/{_NAME})*")
"""How a group names a config: a file in its folder, or deeper in it."""

_OPEN = ("hydra/launcher", "hydra.launcher.workers", "hydra.sweeper.fresh", "hydra.sweeper.dry_run", "hydra.mode")
# Each launcher with the module that it needs, and the extra of attncompare that brings it.
_LAUNCHERS = {
    "processes": ("attncompare", ""),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "ray": ("hydra_plugins.hydra_ray_launcher", "ray"),
}
# What a launcher may ask a cluster for; no commands for its scripts and no addresses.
_RESOURCES = (
    *("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb", "name", "partition", "qos", "constraint", "exclude"),
    *("gres", "cpus_per_gpu", "gpus_per_task", "mem_per_gpu", "mem_per_cpu", "account", "array_parallelism"),
    *("signal_delay_s", "max_num_timeout", "ray.init.num_cpus", "ray.init.num_gpus"),
    *("ray.remote.num_cpus", "ray.remote.num_gpus"),
)
_RESOURCE = re.compile(r"[\w.,:=+/-]{0,200}")
_VALID = f"valid: {', '.join(_OPEN)}"
# Other keys of Hydra that people know, and what does their work here.
_INSTEAD = {
    "hydra.run": "runs=FOLDER says where run folders go",
    "hydra.sweep": "runs=FOLDER says where the folders of sweeps and runs go",
    "hydra.output_subdir": "a run keeps its config in its own folder, under runs=FOLDER",
    "hydra.job": "name=NAME names a run, runs=FOLDER says where its folder goes; the environment is the shell's",
    "hydra.job_logging": "trainer.log_every=N says how often a run logs",
    "hydra.hydra_logging": "--cfg job prints the composed config",
    "hydra.verbose": "trainer.log_every=N says how often a run logs, --cfg job prints the composed config",
    "hydra.searchpath": "--config-dir DIR gives a folder of own configs",
    "hydra.sweeper.max_runs": "sweep.max_time=2h ends a sweep in good order, and the same command goes on with it",
    "hydra.sweeper": "-m trains every combination of values on the command line; docs/sweeps.md has a sweep by W&B",
    "hydra.callbacks": "trainer.callbacks=[NAME] adds an installed callback to training",
    "hydra.help": "--help shows all choices",
}
_MOST_RUNS = 10_000  # of one range of a sweep, which is written out at once


def groups_of(folder: Path) -> set[str]:
    """Return the names of the groups of configs in ``folder``."""
    return {entry.name for entry in folder.iterdir() if entry.is_dir()}


def check_arguments(overrides: Sequence[str], groups: Collection[str], others: Collection[str] = ()) -> None:
    """Refuse overrides that reach into Hydra or build objects.

    Args:
        overrides: as they stand on the command line.
        groups: the names of the groups of configs; their values are names of files.
        others: the names of folders that Hydra would take for further groups.

    Raises:
        Refused: names the override.
        OverrideParseException: if one cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except ValueError as error:  # Python's own limit to the digits of a number
        raise Refused(f"a value cannot be read: {error}") from None
    for override in parsed:
        line, key = shown(str(override.input_line)), override.key_or_group
        if not key or override.package is not None or ".." in key or "$" in key:
            raise Refused(f"{line}: '{key}' is no key; valid: key=value, group=name")
        if any(word in CALLS for word in re.split(r"[./]", key)):
            raise Refused(f"{line}: configs name things and build no objects, so that they can run nothing")
        values = list(_values(override.value(), line))
        check_references(values, line)
        if re.match(r"hydra($|[./])", key) and key not in _OPEN:
            _check_resource(key, values, line)
        if key == "hydra/launcher":
            _check_launcher(values, line)
        if key.partition("/")[0] in others:
            raise Refused(f"{line}: {unknown('group', key, groups)}")
        if "/" in key or key in groups:
            for _, value in leaves(values):
                if value is not None and not (isinstance(value, str) and OPTION.fullmatch(value)):
                    raise Refused(f"{line}: {shown(value)} is no name of a file in that group")


def _values(value: Any, line: str) -> Iterator[Any]:
    """Yield all that an override may give: its value, or the values of its sweep, as plain containers."""
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString, RangeSweep

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        if isinstance(value, dict):
            return {plain(key): plain(one) for key, one in value.items()}
        return value.text if isinstance(value, QuotedString) else value

    if isinstance(value, RangeSweep):
        if abs(float(value.stop or 0) - float(value.start or 0)) > _MOST_RUNS * abs(float(value.step)):
            raise Refused(f"{line}: more than {_MOST_RUNS} runs")
    elif isinstance(value, ChoiceSweep):
        yield from map(plain, value.list)
    else:
        yield plain(value)


def _check_launcher(values: list[Any], line: str) -> None:
    if len(values) != 1 or values[0] not in _LAUNCHERS:
        raise Refused(unknown("launcher", ",".join(map(str, values)), _LAUNCHERS))
    module, extra = _LAUNCHERS[values[0]]
    if importlib.util.find_spec(module) is None:
        raise Refused(f"{line}: not installed; it comes with the extra: pip install 'attncompare[{extra}]'")


def _check_resource(key: str, values: list[Any], line: str) -> None:
    _, launcher, name = key.partition("hydra.launcher.")
    if not launcher:
        dotted = key.replace("/", ".")
        instead = [what for known, what in _INSTEAD.items() if dotted == known or dotted.startswith(f"{known}.")]
        raise Refused(f"{line}: this part of Hydra is not open to configs; {instead[0] if instead else _VALID}")
    if name not in _RESOURCES:
        raise Refused(
            f"{line}: not open to configs; valid: hydra.launcher.workers, and of a launcher for other machines "
            f"hydra.launcher.{{{','.join(_RESOURCES)}}}"
        )
    if len(values) != 1 or not _RESOURCE.fullmatch(str(values[0])):
        raise Refused(f"{line}: must be one number or name, of letters, digits and any of . , : = + / - _")
