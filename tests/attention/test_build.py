"""The compiled loops: made once, found again, and done without where there is no compiler."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from attncompare.attention import attend
from attncompare.attention.kernels.build import sources

CALL = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
import torch
from attncompare import attend
from attncompare.attention.kernels.build import library
q, k, v = (torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(n)) for n in range(3))
print(library() is not None, attend(q, k, v, score="additive")[0].double().sum().item())
"""


@pytest.fixture
def call(tmp_path):
    """Attend additively in a process with an empty cache, and such variables; gives what it prints and logs."""

    def run(**variables):
        kept = {name: value for name, value in os.environ.items() if name not in ("CXX", "ATTNCOMPARE_NATIVE")}
        done = subprocess.run(
            [sys.executable, "-c", CALL],
            capture_output=True,
            text=True,
            check=True,
            env={**kept, "XDG_CACHE_HOME": str(tmp_path), **variables},
        )
        compiled, number = done.stdout.split()
        return compiled == "True", float(number), done.stderr

    return run


def test_it_is_compiled_once_and_says_what_that_took(call, tmp_path):
    compiled, number, said = call()
    assert compiled and "compiled the kernels of attention in " in said
    (library,) = (tmp_path / "attncompare" / "native").glob("*.so")
    assert library.parent.stat().st_mode & 0o777 == 0o700
    before = library.stat().st_mtime_ns
    assert call() == (True, number, "")
    assert library.stat().st_mtime_ns == before
    for damage in (b"", b"no library", library.read_bytes()[:-100]):
        library.write_bytes(damage)
        assert call()[:2] == (True, number)


@pytest.mark.long
def test_several_new_processes_compile_once(call):
    with ThreadPoolExecutor() as pool:
        said = [one[2] for one in pool.map(lambda _: call(), range(4))]
    assert "".join(said).count("compiled the kernels") == 1


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CXX": "no-such-compiler"}, "no C++ compiler (CXX, c++, g++, clang++)"),
        ({"CXX": "false"}, "attention runs without compiled kernels: "),
        ({"ATTNCOMPARE_NATIVE": "0"}, "ATTNCOMPARE_NATIVE=0: attention runs without compiled kernels"),
    ],
)
def test_without_it_a_slower_form_gives_the_same_and_one_line_says_so(call, variables, words):
    compiled, number, said = call(**variables)
    assert not compiled
    assert said.count("without compiled kernels") == 1 and words in said
    q, k, v = (torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(n)) for n in range(3))
    assert number == pytest.approx(attend(q, k, v, score="additive")[0].double().sum().item(), abs=1e-5)


def test_a_folder_that_others_may_write_to_is_not_loaded_from(call, tmp_path):
    folder = tmp_path / "attncompare" / "native"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent):
        place.chmod(0o777)
        compiled, _, said = call()
        assert not compiled and f"{place}: others may write there" in said
        place.chmod(0o700)


def test_without_a_home_folder_nothing_is_written(call):
    compiled, _, said = call(HOME="", XDG_CACHE_HOME="")
    assert not compiled and said.count("\n") == 1 and "HOME" in said


@pytest.mark.long
def test_a_compiler_without_threads_serves_too(call, tmp_path):
    compiler = tmp_path / "without-openmp"
    compiler.write_text('#!/bin/sh\ncase "$*" in *-fopenmp*) exit 1;; esac\nexec c++ "$@"\n')
    compiler.chmod(0o755)
    assert call(CXX=f"env {compiler}")[0]


def test_what_the_wheel_must_hold_is_beside_the_module():
    folder = Path(sys.modules["attncompare.attention.kernels.build"].__file__).parent
    assert {file.parent for file in sources()} == {folder}
    assert {file.name for file in sources()} >= {"fused.cpp", "dropout.cpp", "cross_entropy.cpp", "likeliest.cpp"}
