"""What the system says of memory: what is installed, or what a container or a cluster leaves of it."""

import os
from pathlib import Path

import pytest

from attncompare.training import machine

INSTALLED = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Make a system of groups: the lines that name this process's, and the limits that stand in files."""
    (tmp_path / "own").write_text("")
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    roots = tuple((tmp_path / root.relative_to("/"), name) for root, name in machine._LIMITS)
    monkeypatch.setattr(machine, "_LIMITS", roots)

    def make(lines, limits):
        (tmp_path / "own").write_text("\n".join(lines) + "\n")
        for name, text in limits.items():
            file = tmp_path / "sys/fs/cgroup" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return make


def test_without_a_limit_it_is_what_is_installed(groups):
    assert machine.total_memory() == INSTALLED
    groups(["0::/job"], {"job/memory.max": "max\n"})
    assert machine.total_memory() == INSTALLED


@pytest.mark.parametrize("place", ["job/step/memory.max", "job/memory.max", "memory.max"])
def test_the_limit_of_a_group_or_of_one_around_it_counts(groups, place):
    groups(["0::/job/step"], {"job/step/memory.max": "max\n", place: f"{2**30}\n", "other/memory.max": "1\n"})
    assert machine.total_memory() == 2**30


def test_the_older_form_counts_too(groups):
    groups(["5:memory:/job", "4:cpu:/job"], {"memory/job/memory.limit_in_bytes": f"{2**29}\n"})
    assert machine.total_memory() == 2**29
    groups(["5:memory:/job"], {"memory/job/memory.limit_in_bytes": f"{2**63 - 4096}\n"})
    assert machine.total_memory() == INSTALLED


def test_a_system_that_says_nothing_is_no_limit(groups, monkeypatch):
    monkeypatch.setattr(machine, "_OWN_GROUPS", Path("/nowhere/at/all"))
    assert machine.total_memory() == INSTALLED
    monkeypatch.setattr(os, "sysconf", lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert machine.total_memory() is None
