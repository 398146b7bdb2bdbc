"""A score function from an installed package: found by its entry point, configurable, trained; and name clashes."""

import re
import sys

import pytest
import torch

from attncompare.attention import attend
from attncompare.data.module import DataModule
from attncompare.errors import Refused
from attncompare.registry import score_names
from attncompare.tasks import build_task

CODE = """
import torch
from torch import nn
from torch.nn import functional as F

from attncompare.attention import ScoreFunction


class Cosine(ScoreFunction):
    def __init__(self, heads, head_dim):
        super().__init__(heads, head_dim)
        self.sharpness_H = nn.Parameter(torch.ones(heads))

    def initial_(self, name, parameter, generator):
        parameter.fill_(2.0)

    def forward(self, q_BHTK, k_BHSK):
        cosine_BHTS = F.normalize(q_BHTK, dim=-1) @ F.normalize(k_BHSK, dim=-1).transpose(-2, -1)
        return self.sharpness_H[:, None, None] * cosine_BHTS

    def flops_per_score(self):
        return 2 * self.head_dim + 1
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with scores, as a folder on the path: its code, and what pip writes beside it."""

    def install(package, **scores):
        folder = tmp_path / package
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{package}.py").write_text(CODE)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}:{target}" for name, target in scores.items()]
        (info / "entry_points.txt").write_text("\n".join(["[attncompare.scores]", *lines, ""]))
        monkeypatch.syspath_prepend(folder)

    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if hasattr(sys.modules[name], "Cosine"):
            del sys.modules[name]


def test_an_installed_score_is_listed_without_being_imported(install):
    assert "cosine" not in score_names()
    install("tiny_scores", cosine="Cosine")
    assert "cosine" in score_names()
    assert "tiny_scores" not in sys.modules


def test_an_installed_score_is_configured_by_name_and_trained(install, make_config):
    install("tiny_scores", cosine="Cosine")
    config = make_config(
        "attention.name=cosine",
        "attention.score=cosine",
        "attention.heads=2",
        "data=reverse",
        "data.train_size=100",
        "backbone.dropout=0",
    )
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer)
    sharpness = [parameter for name, parameter in task.named_parameters() if name.endswith("sharpness_H")]
    assert len(sharpness) == 3 * config.backbone.layers
    assert all((parameter == 2).all() for parameter in sharpness)
    optimizer = task.configure_optimizers()["optimizer"]
    batch = next(iter(data.train_dataloader()))
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        loss = task.training_step(batch, step)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    assert all((parameter != 2).all() for parameter in sharpness)


def test_the_shared_paths_serve_an_installed_score(install):
    install("tiny_scores", cosine="Cosine")
    q = torch.randn(1, 2, 4, 3)
    fast, _ = attend(q, q, q, score="cosine", causal=True)
    explicit, weights_BHTS = attend(q, q, q, score="cosine", causal=True, need_weights=True)
    torch.testing.assert_close(fast, explicit)
    assert (weights_BHTS.triu(1) == 0).all()


def test_an_installed_score_neither_replaces_a_built_in_one_nor_is_left_out_quietly(install, make_config):
    install("tiny_scores", dot="Cosine")
    message = (
        "the packages attncompare and tiny_scores both have a score 'dot': rename one of them, or uninstall tiny_scores"
    )
    for use in (score_names, lambda: make_config("attention=dot"), lambda: attend(*[torch.ones(1, 1, 2, 2)] * 3)):
        with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
            use()


def test_two_installed_scores_of_one_name_are_refused(install):
    install("tiny_scores", cosine="Cosine")
    install("more_scores", cosine="Cosine")
    with pytest.raises(Refused, match=r"^the packages \w+_scores and \w+_scores both have a score 'cosine': "):
        score_names()


@pytest.mark.parametrize("target", ["Missing", "Cosine.missing"])
def test_an_installed_score_that_cannot_be_loaded_is_refused_with_its_package(install, target):
    install("tiny_scores", cosine=target)
    with pytest.raises(Refused, match=r"^score 'cosine' of the package tiny_scores cannot be loaded: .*issing"):
        attend(*[torch.ones(1, 1, 2, 2)] * 3, score="cosine")
