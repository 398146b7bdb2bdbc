"""The kernels for the GPU: compiled for real devices without one, chosen where they serve, done without where Triton is not."""

import logging
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from attncompare.attention import attend
from attncompare.attention.kernels import build

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="no triton")

# What a launch would do up to the device: each argument's type, the sizes of its tile, everything that can be switched on.
COMPILE = """
import re
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from attncompare.attention.kernels import triton_additive as kernels
from attncompare.attention.kernels.triton_additive import backward_blocks, forward_blocks, key_blocks

capability, width = map(int, sys.argv[1:])
sizes = (1000, 1000, width)
tiles = {
    "forward": forward_blocks(*sizes),
    "backward_queries": backward_blocks("T", 1000, "S", 1000, width, width),
    "backward_keys": key_blocks(1000, 1000, width, width),
}
for name, tile in tiles.items():
    kernel = getattr(kernels, name)
    fixed = {"CAUSAL": True, "MASKED": True, "DROPOUT": True, **tile}
    warps = {"num_warps": fixed.pop("num_warps")}
    types = {
        name: "*u8" if name == "mask_ptr" else "*fp32" if name.endswith("_ptr") else "fp32" if name == "probability" else "i32"
        for name in kernel.arg_names
    }
    types |= dict.fromkeys(fixed, "constexpr")
    places = {(kernel.arg_names.index(name),): value for name, value in fixed.items()}
    made = compile(ASTSource(kernel, types, places), target=GPUTarget("cuda", capability, 32), options=warps)
    assert made.asm["cubin"]
    print(name, made.metadata.shared, bool(re.search(r"\\b(atom|red)\\.", made.asm["ptx"])))
"""


@needs_triton
@pytest.mark.parametrize(("capability", "width"), [(80, 32), pytest.param(90, 200, marks=pytest.mark.long)])
def test_every_kernel_can_be_compiled_and_adds_nothing_by_atomics(capability, width, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(capability), str(width)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == ["forward", "backward_queries", "backward_keys"]
    for _, shared, atomic in lines:
        assert int(shared) <= 48 * 1024, "what every device has for a program"
        assert atomic == "False"


@needs_triton
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="compiled for the GPU of this machine")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")
def test_attention_takes_the_kernel_where_it_serves(monkeypatch):
    draw = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(1, 2, size, 4, generator=draw) for size in (5, 7, 7))
    expected, _ = attend(q, k, v, score="additive")
    monkeypatch.setattr("attncompare.attention.scores.additive.serves", lambda _: False)
    monkeypatch.setattr("attncompare.attention.scores.additive.triton_serves", lambda _: True)
    monkeypatch.setattr("attncompare.attention.scores.additive.additive_scores", None)  # not the explicit path
    found, _ = attend(q, k, v, score="additive")
    torch.testing.assert_close(found, expected)


def test_without_triton_one_line_says_so(monkeypatch, caplog):
    build.has_triton.cache_clear()
    monkeypatch.setattr(build, "find_spec", lambda _: None)
    caplog.set_level(logging.INFO, "attncompare")
    assert not build.has_triton() and not build.has_triton()
    build.has_triton.cache_clear()
    assert caplog.text.count("no triton") == 1


@pytest.mark.cuda
def test_memory_on_the_gpu_grows_linearly():
    peaks = []
    for length in (1024, 2048, 4096):
        q, k, v = (torch.randn(1, 1, length, 64, device="cuda", requires_grad=True) for _ in range(3))
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        attend(q, k, v, score="additive", causal=True)[0].sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[2] < 5 * peaks[0] and peaks[2] < 64 * 2**20
