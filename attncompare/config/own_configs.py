"""Own configs: a folder with some of the groups of ``conf/``, whose files are chosen like those that come with the code.

They are data, of a user or of whoever gave them to one. So each file is checked before Hydra reads any: it holds plain
values, names configs of our groups alone, and of Hydra's own section no more than which runs a sweep has.
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attncompare.config.checks import OPTION, check_arguments, groups_of
from attncompare.config.messages import HYDRA_ERRORS, explain_hydra, shown
from attncompare.config.plain_values import check_references, safe_yaml
from attncompare.config.schema import CONF_DIR
from attncompare.errors import Refused
from attncompare.registry import unknown

_DEFAULT = re.compile(r"(?:(?:override|optional)\s+)*(?P<path>/?[^@\s]+)(?:@(?P<package>\S+))?")
_HYDRA = "hydra"
_OF_A_SWEEP = ("hydra.mode", "hydra.sweeper.params", "hydra.sweeper.cases")


def loader(folder: Path | None = None) -> Any:
    """Return Hydra's loader of ``conf/``, of the installed packages' configs and of those in ``folder``."""
    # Not Hydra's compose: it works on a global state, which is taken while Hydra itself runs a sweep.
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery

    path = create_config_search_path(str(CONF_DIR))
    if folder is not None:
        path.prepend("own", f"file://{folder}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(path)


def has_groups(folder: Path) -> bool:
    """Return whether ``folder`` is not ``conf/`` itself and has a folder for any group of configs."""
    return (
        folder.is_dir()
        and not folder.samefile(CONF_DIR)
        and any((folder / group).is_dir() for group in groups_of(CONF_DIR))
    )


def check_own_configs(folder: Path) -> None:
    """Refuse a folder of own configs for any of its files that is named like one known already, or does more than choose.

    Raises Refused: names the file and the key.
    """
    groups, known, of_both = groups_of(CONF_DIR), loader().repository, loader(folder).repository
    for file in _files(folder, groups):
        name = file.relative_to(folder).with_suffix("").as_posix()
        if file.suffix == ".yml":
            raise Refused(f"{file}: configs end with .yaml; rename it")
        if name.startswith(f"{_HYDRA}/"):  # they would come before those that packages register, as our launcher is
            raise Refused(f"{file}: own configs do not reach into Hydra; valid groups: {', '.join(sorted(groups))}")
        if known.config_exists(name):
            raise Refused(f"{file}: named like a config that is there already; give it another name")
        if file.parent == folder:
            continue  # in no group, so nothing reads it
        try:
            content = file.read_bytes()
        except OSError as error:
            raise Refused(f"{file}: {error.strerror}") from None
        values = safe_yaml(content, file)
        if not isinstance(values, dict):
            raise Refused(f"{file}: must hold keys with values")
        check_references(values, str(file))
        package = _package(content.decode(), file)
        _check_defaults(values.get("defaults", []), groups, name, file, of_both)
        _check_sweep(values, groups, file)
        if name.startswith("experiment/") and package != "_global_":
            raise Refused(
                f"{file}: begin it with the line # @package _global_: an experiment holds keys of the whole config"
            )


def _files(folder: Path, groups: set[str]) -> Iterator[Path]:
    yield from sorted(folder.glob("*.yaml"))
    for group in sorted({*groups, _HYDRA}):
        for where, folders, names in os.walk(folder / group):
            for link in (Path(where, name) for name in folders):
                if link.is_symlink():
                    raise Refused(f"{link}: a link to a folder inside of a group is not followed; copy its configs")
            files = (Path(where, name) for name in sorted(names) if name.endswith((".yaml", ".yml")))
            yield from (file for file in files if file.is_file())


def _package(text: str, file: Path) -> str:
    from hydra.plugins.config_source import ConfigSource

    try:
        package: str = ConfigSource._get_header_dict(text)["package"] or ""
    except ValueError as error:  # a comment at the beginning that begins with @
        raise Refused(f"{file}: {error}") from None
    _check_not_hydra(package, f"{file}: @package {package}")
    return package


def _check_defaults(defaults: Any, groups: set[str], own: str, file: Path, known: Any) -> None:
    if not isinstance(defaults, list):
        raise Refused(f"{file}: defaults: must be a list")
    for entry in defaults:
        ((key, value),) = entry.items() if isinstance(entry, dict) and len(entry) == 1 else ((entry, None),)
        line = f"{file}: defaults: {shown(entry)}"
        parts = _DEFAULT.fullmatch(key) if isinstance(key, str) else None
        path = parts["path"] if parts else ""
        names = [path.removeprefix("/"), *(value if isinstance(value, list) else [value] if value is not None else [])]
        if not parts or not all(isinstance(name, str) and OPTION.fullmatch(name) for name in names):
            raise Refused(f"{line} is no name of a config; valid: NAME, /GROUP/NAME, override /GROUP: NAME")
        group = path.split("/")[1] if path.startswith("/") else ""
        if group and group not in groups:
            raise Refused(f"{line}: {unknown('group', group, groups)}")
        _check_not_hydra(parts["package"] or "", line)
        if value is None:  # the config alone, of the file's own group unless it says another one
            place, _, name = names[0].rpartition("/")
            place, chosen = place or own.rpartition("/")[0], [name]
        else:
            place, *chosen = names
        for name in chosen:
            if f"{place}/{name}" == own:
                raise Refused(f"{line} is the file itself")
            optional = value is not None and "optional" in key.split()
            if name != "_self_" and not optional and not known.config_exists(f"{place}/{name}"):
                raise Refused(f"{line}: {unknown(place, name, known.get_group_options(place))}")


def _check_sweep(values: dict[str, Any], groups: set[str], file: Path) -> None:
    section: Any = values
    for key in (_HYDRA, f"{_HYDRA}.sweeper"):
        section = section.get(key.rpartition(".")[2]) or {}
        if not isinstance(section, dict):
            raise Refused(f"{file}: {key}: must be a section with keys of its own, not a value")
        for full in (f"{key}.{name}" for name in section):
            if not any(one == full or one.startswith(f"{full}.") for one in _OF_A_SWEEP):
                raise Refused(f"{file}: {full}: not open to own configs; valid: {', '.join(_OF_A_SWEEP)}")
    params, cases = section.get("params") or {}, section.get("cases") or []
    if not isinstance(params, dict) or not isinstance(cases, list):
        raise Refused(f"{file}: hydra.sweeper: params must be keys with their values, cases a list of lines")
    try:
        words = [f"{key}={value}" for key, value in params.items()]
        check_arguments([*words, *(word for case in cases for word in shlex.split(str(case)))], groups)
    except HYDRA_ERRORS as error:
        raise Refused(f"{file}: hydra.sweeper: {explain_hydra(error)}") from None
    except (Refused, ValueError) as error:  # of shlex: a quotation without an end
        raise Refused(f"{file}: hydra.sweeper: {error}") from None


def _check_not_hydra(package: str, line: str) -> None:
    if _HYDRA in package.split(".") or not re.fullmatch(r"[\w.]*", package):
        raise Refused(f"{line}: own configs do not reach into Hydra; valid: _global_, or a section of the config")
