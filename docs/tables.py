"""Write the tables of the documentation anew from the records that come with the code: `make tables`.

A table stands below a line such as ``<!-- compare five_variants 92 columns seed=1 -->``: what `attncompare compare` prints, in
that many columns, of the runs in the archive of that name under runs/reference, here those of seed 1. Below
``<!-- lengths five_variants bleu -->`` stands a metric by length of the source, and below ``<!-- paths -->`` by which kernel each
variant of conf/attention is computed.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from attncompare.attention import Attention
from attncompare.attention.mixing import Mixing
from attncompare.compare import compared
from attncompare.compare.lengths import by_length
from attncompare.config import CONF_DIR
from attncompare.config.schema import AttentionConfig
from attncompare.config.variants import variant_names
from attncompare.record import find_runs, unpack

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/attention.md", "docs/reference.md", "docs/results.md")
_TABLE = re.compile(r"(<!-- compare (\w+) (\d+) columns(?: seed=(\d+))? -->\n+```text\n)(.*?)(?=```)", re.DOTALL)


_LENGTHS = re.compile(r"(<!-- lengths (\w+) (\w+) -->\n+)((?:\|.*\n)*)")
_PATHS = re.compile(r"(<!-- paths -->\n+\|.*\n\|.*\n)((?:\|.*\n)*)")
_KERNELS = {
    "attncompare.attention.scores.dot.dot_context": "loops",
    "attncompare.attention.scores.additive.additive_context": "loops",
    "torch.nn.functional.scaled_dot_product_attention": "SDPA",
    "attncompare.attention.scores.soft_cap.flex_context": "FlexAttention",
    "attncompare.attention.normalizers.sink.flex_context": "FlexAttention",
    "attncompare.attention.kernels.triton_additive.additive_context": "Triton",
}


def paths() -> str:
    """Return a row for each variant: by which kernel the CPU computes short and long sequences, and a GPU."""
    rows = []
    for name in variant_names():
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            values = OmegaConf.to_container(compose("train", overrides=[f"attention={name}"]).attention)
        chosen = AttentionConfig.model_validate_json(json.dumps(values)).at("decoder", 1)
        if chosen.score is None:
            continue  # no attention, nothing to compute
        parts = {key: value for key, value in chosen if key not in ("name", "sites", "layers")}
        module = Attention(64, **{**parts, "causal": True})
        ways = (path(module, 32), path(module, 257), path(module.to("meta"), 32))
        rows.append(f"| `{name}` | {' | '.join(ways)} |")
    return "\n".join(rows) + "\n"


def path(module: Attention, length: int) -> str:
    """Return by which kernel self-attention over so many tokens is computed; on torch's device `meta` as on CUDA."""
    taken: list[str] = []

    def kernel(way: str):
        def run(q, *_, **__):
            taken.append(way)
            context = q.new_empty(*q.shape[:3], module.value_dim)
            return (context, q.new_empty(q.shape[:3])) if way == "FlexAttention" else context

        return run

    def explicitly(_, q, *__):
        taken.append("explicit")
        return q.new_empty(*q.shape[:3], module.value_dim), None

    device = module.query.weight.device
    on_gpu = device.type == "meta"
    with contextlib.ExitStack() as patches:
        for target, way in _KERNELS.items():
            patches.enter_context(mock.patch(target, kernel(way)))
        patches.enter_context(mock.patch.object(Mixing, "_explicitly", explicitly))
        for target in (
            "attncompare.attention.scores.additive.triton_serves",
            "attncompare.attention.scores.soft_cap.flex_serves",
            "attncompare.attention.normalizers.sink.flex_serves",
        ):
            patches.enter_context(mock.patch(target, lambda *_: on_gpu))
        module(torch.empty(1, length, 64, device=device))
    return taken[0]


def renewed(page: str) -> str:
    """Return the text of a page with each of its tables made anew."""
    page = _TABLE.sub(lambda found: found[1] + printed(found[2], int(found[3]), found[4]), page)
    page = _LENGTHS.sub(lambda found: found[1] + lengths(found[2], found[3]), page)
    return _PATHS.sub(lambda found: found[1] + paths(), page) if _PATHS.search(page) else page


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


def lengths(archive: str, metric: str) -> str:
    """Return a row for each variant in an archive: its metric by length of the source, a mean over seeds."""
    with tempfile.TemporaryDirectory() as folder:
        comparison = compared(unpack(ROOT / "runs/reference" / f"{archive}.tar.xz", Path(folder)))
        found = by_length(comparison)
        rows = {
            variant.label: [f"{one.mean:.1f}" for one in found.estimates[variant.label, metric]]
            for variant in comparison.variants
        }
    head = [found.unit, *(one.text for one in found.bins)]
    lines = [head, ["---"] * len(head), *([f"`{label}`", *figures] for label, figures in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for name in PAGES:
        file = ROOT / name
        file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
