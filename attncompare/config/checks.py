"""What no config may hold, whoever wrote it: nothing that Hydra would run.

Hydra instantiates ``_target_`` in its own section and configures logging, which can name any callable, before a job
function is called; so the files of ``conf/`` and the command line are checked before Hydra sees them.
"""

import importlib.util
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from attncompare.config.messages import shown
from attncompare.config.plain_values import CALLS, check_references, flatten, leaves, safe_yaml
from attncompare.errors import Refused
from attncompare.registry import unknown

_NAME = r"[A-Za-z0-9_][\w.+-]*"
_OPTION = re.compile(rf"{_NAME}(?:/{_NAME})*")
_DEFAULT = re.compile(rf"(?:(?:override|optional) )*/?{_NAME}(?:/{_NAME})*(?:@_global_(?:\.(?!hydra\b)\w+)*)?")
_OPEN = ("hydra/launcher", "hydra.launcher.workers", "hydra.sweeper.fresh", "hydra.mode")
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
# What the section `hydra` of a file may set, with the only value where one is safe.
_WRITTEN: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("mode", "launcher.workers", "help.app_name", "help.template"), ()),
    **{"output_subdir": (None,), "run.dir": (".",)},
}
_MOST_RUNS = 10_000  # of one range of a sweep, which is written out at once


def groups_of(folder: Path) -> set[str]:
    """Return the names of the groups of configs in ``folder``."""
    return {entry.name for entry in folder.iterdir() if entry.is_dir()}


def check_conf(folder: Path) -> None:
    """Check every yaml file below ``folder`` as :func:`check_conf_file` does; folders that are links are refused."""
    groups = groups_of(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder.parent)
        if path.is_symlink() and path.is_dir():  # Hydra would follow it, this search does not
            raise Refused(f"{name}: a symbolic link to a folder is not followed; put the files here")
        if path.suffix == ".yaml" and path.is_file():
            check_conf_file(path.read_bytes(), name, groups)


def check_conf_file(content: bytes, name: Path, groups: Collection[str]) -> None:
    """Refuse a file of configs, yaml, that reaches into Hydra or builds objects; the message names file and key.

    ``name`` is its path from the folder of configs on, ``groups`` those of which a sweep may name files.
    """
    if "hydra" in map(str.lower, name.parts[1:-1]):
        raise Refused(f"{name}: Hydra's own options come from Hydra and from installed packages, not from files")
    for line in content.decode(errors="replace").splitlines():
        if re.match(r"\s*#\s*@", line) and line.split() != ["#", "@package", "_global_"]:
            raise Refused(f"{name}: the header '{line.strip()}' is not read; valid: # @package _global_")
    values = safe_yaml(content, name)
    check_references(values, str(name))
    if not isinstance(values, dict):
        return
    for _, value in leaves(values.get("defaults") or []):
        if isinstance(value, str) and not _DEFAULT.fullmatch(value):
            raise Refused(f"{name}: defaults: {shown(value)} is no group and no file in one")
    for entry in (entry for entry in values.get("defaults") or [] if isinstance(entry, dict)):
        for group, choice in entry.items():
            valid = {"hydra/launcher": _LAUNCHERS, "hydra/sweeper": ("combinations",)}.get(
                str(group).split()[-1].lstrip("/")
            )
            if valid and choice not in valid:
                raise Refused(f"{name}: defaults: {group}: {shown(choice)}; valid: {', '.join(valid)}")
    _check_hydra(values.get("hydra") or {}, name, groups)


def check_arguments(overrides: Sequence[str], groups: Collection[str]) -> None:
    """Refuse overrides of the command line that reach into Hydra or build objects; the message names the override.

    ``groups`` are those of configs, whose values are names of files. OverrideParseException: one cannot be read.
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
            if len(values) != 1 or values[0] not in _LAUNCHERS:
                raise Refused(unknown("launcher", ",".join(map(str, values)), _LAUNCHERS))
            module, extra = _LAUNCHERS[values[0]]
            if importlib.util.find_spec(module) is None:
                raise Refused(f"{line}: not installed; it comes with the extra: pip install 'attncompare[{extra}]'")
        if "/" in key or key in groups:
            for _, value in leaves(values):
                if value is not None and not (isinstance(value, str) and _OPTION.fullmatch(value)):
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


def _check_resource(key: str, values: list[Any], line: str) -> None:
    _, launcher, name = key.partition("hydra.launcher.")
    if not launcher or name not in _RESOURCES:
        raise Refused(
            f"{line}: this part of Hydra is not open to configs; valid: {', '.join(_OPEN)}, and of a launcher for "
            f"other machines hydra.launcher.{{{','.join(_RESOURCES)}}}"
        )
    if len(values) != 1 or not _RESOURCE.fullmatch(str(values[0])):
        raise Refused(f"{line}: must be one number or name, of letters, digits and any of . , : = + / - _")


def _check_hydra(section: Any, name: Path, groups: Collection[str]) -> None:
    if not isinstance(section, dict):
        raise Refused(f"{name}: hydra: must be a section with keys of its own")
    sweeper = section.get("sweeper") or {}
    params, cases = (sweeper.get("params", {}), sweeper.get("cases", [])) if isinstance(sweeper, dict) else (None, None)
    if not isinstance(params, dict) or not isinstance(cases, list) or set(sweeper) - {"params", "cases"}:
        valid = "params, a section of keys and their values, and cases, a list of lines of overrides"
        raise Refused(f"{name}: hydra.sweeper: valid: {valid}")
    try:
        check_arguments([f"{key}={value}" for key, value in params.items()], groups)
        for case in cases:
            check_arguments(shlex.split(str(case)), groups)
    except (Refused, ValueError) as error:
        raise Refused(f"{name}: hydra.sweeper: {error}") from None
    for key, value in flatten({key: value for key, value in section.items() if key != "sweeper"}).items():
        allowed = _WRITTEN.get(key)
        if allowed is None or (allowed and value not in allowed):
            valid = ", ".join(f"hydra.{one}" for one in (*_WRITTEN, "sweeper.params"))
            raise Refused(f"{name}: hydra.{key}={value}: this part of Hydra is not open to configs; valid: {valid}")
