"""Parts of an installed package: found by their entry point, configured with their settings, trained; and what is refused."""

import sys

import pytest
import torch
from torch.nn import functional as F

from attncompare.attention import Attention, Mask, Normalizer, Positions, ScoreFunction, attend, check_laws
from attncompare.data.module import DataModule
from attncompare.errors import Refused
from attncompare.registry import names
from attncompare.tasks import build_task

CODE = """
import torch
from torch import nn
from torch.nn import functional as F

from attncompare.attention import Mask, Normalizer, Positions, ScoreFunction
from attncompare.config.values import PartConfig, Positive, PositiveFloat


class Cosine(ScoreFunction):
    class Config(PartConfig):
        sharpness: PositiveFloat = 2.0
        shift: float = 0.0

    def __init__(self, heads, head_dim, sharpness, shift):
        super().__init__(heads, head_dim)
        self.sharpness, self.shift = sharpness, shift
        self.sharpness_H = nn.Parameter(torch.full((heads,), sharpness))

    def initial_(self, name, parameter, generator):
        parameter.fill_(self.sharpness)

    def forward(self, q_BHTK, k_BHSK):
        cosine_BHTS = F.normalize(q_BHTK, dim=-1) @ F.normalize(k_BHSK, dim=-1).transpose(-2, -1)
        return self.sharpness_H[:, None, None] * cosine_BHTS + self.shift

    def flops_per_score(self):
        return 2 * self.head_dim + 1


class NoForward(ScoreFunction):
    def flops_per_score(self):
        return 1


class NoFlops(ScoreFunction):
    forward = Cosine.forward


class NoInitial(Cosine):
    initial_ = ScoreFunction.initial_


class NoSettings(Cosine):
    def __init__(self, heads, head_dim):
        super().__init__(heads, head_dim, 1.0, 0.0)


class Transposed(Cosine):
    def forward(self, q_BHTK, k_BHSK):
        return super().forward(q_BHTK, k_BHSK).mT


class Narrow(Cosine):
    def context(self, q_BHTK, k_BHSK, v_BHSV, *others):
        return q_BHTK[..., 1:]


NoScore = dict


class Softer(Normalizer):
    class Config(PartConfig):
        temperature: PositiveFloat = 2.0

    def __init__(self, heads, temperature):
        super().__init__(heads)
        self.temperature = temperature

    def forward(self, scores_BHTS, may_attend):
        visible_BHTS = scores_BHTS if may_attend is None else scores_BHTS.masked_fill(~may_attend, -torch.inf)
        return (visible_BHTS / self.temperature).softmax(-1)


class NoWeights(Normalizer):
    pass


class NoHeads(Softer):
    def __init__(self, temperature):
        super().__init__(1, temperature)


class Summed(Softer):
    def forward(self, scores_BHTS, may_attend):
        return super().forward(scores_BHTS, may_attend).sum(-1, keepdim=True)


class Behind(Mask):
    class Config(PartConfig):
        reach: Positive = 2

    def __init__(self, reach):
        super().__init__()
        self.reach = reach

    def visible(self, query_T1, key_1S, causal):
        return (query_T1 >= key_1S) & (query_T1 - key_1S < self.reach)


class NoVisible(Mask):
    pass


class NoReach(Behind):
    def __init__(self):
        super().__init__(1)


class Numbers(Behind):
    def visible(self, *places):
        return super().visible(*places).float()


class Slopes(Positions):
    class Config(PartConfig):
        slope: PositiveFloat = 0.5

    def __init__(self, heads, head_dim, slope):
        super().__init__(heads, head_dim)
        self.slope_H = nn.Parameter(torch.full((heads,), slope))

    def initial_(self, name, parameter, generator):
        parameter.fill_(0.5)

    def bias(self, q_BHTK, places, causal):
        return -self.slope_H[:, None, None] * (places.of_queries()[:, None] - places.of_keys()).abs()


class NoInitialSlopes(Slopes):
    initial_ = Positions.initial_


class NoWidth(Slopes):
    def __init__(self, heads, slope):
        super().__init__(heads, 1, slope)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with parts, as a folder on the path: its code, and what pip writes beside it."""

    def install(package, kind="scores", **parts):
        folder = tmp_path / package
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{package}.py").write_text(CODE)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}:{target}" for name, target in parts.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[attncompare.{kind}]", *lines, ""]))
        monkeypatch.syspath_prepend(folder)

    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if hasattr(sys.modules[name], "Cosine"):
            del sys.modules[name]


def test_an_installed_score_is_listed_without_being_imported(install):
    assert "installed" not in names("scores")
    install("tiny_scores", installed="Cosine")
    assert "installed" in names("scores")
    assert "tiny_scores" not in sys.modules


def test_an_installed_score_is_configured_with_its_settings_and_trained(install, make_config):
    install("tiny_scores", installed="Cosine")
    score = "attention.score={name: installed, sharpness: 3.0}"
    still = ("attention.dropout=0", "backbone.dropout=0")  # so that the loss falls from the first step on
    config = make_config(
        "attention.name=installed", score, "attention.heads=2", "data=reverse", "data.train_size=100", *still
    )
    assert config.to_dict()["attention"]["score"] == {"name": "installed", "sharpness": 3.0, "shift": 0.0}
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer)
    sharpness = [parameter for name, parameter in task.named_parameters() if name.endswith("sharpness_H")]
    assert len(sharpness) == 3 * config.backbone.layers
    assert all((parameter == 3).all() for parameter in sharpness)
    optimizer = task.configure_optimizers()["optimizer"]
    batch = next(iter(data.train_dataloader()))
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = task.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    assert all((parameter != 3).all() for parameter in sharpness)


@pytest.mark.parametrize(
    ("score", "sharpness"), [("installed", 2), ({"name": "installed"}, 2), ({"name": "installed", "sharpness": 5.0}, 5)]
)
def test_attention_is_built_by_name_or_by_a_section(install, score, sharpness):
    install("tiny_scores", installed="Cosine")
    assert (Attention(8, 2, score=score).score.sharpness_H == sharpness).all()


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ({"name": "installed", "sharpnes": 1.0}, ("installed", "sharpnes", "sharpness,shift")),
        ({"name": "installed", "sharpness": -1.0}, ("installed", "sharpness=-1.0", "positive")),
        ({"name": "installed", "sharpness": "1"}, ("installed", "sharpness=1")),
        ({"name": "scaled", "sharpness": 1.0}, ("scaled", "sharpness")),
        ({"sharpness": 1.0}, ("unknown score",)),
        ("instaled", ("unknown score 'instaled'", "did you mean installed", "additive, ")),
    ],
)
def test_wrong_settings_are_refused_in_one_line_with_key_and_value(install, score, words):
    install("tiny_scores", installed="Cosine")
    with pytest.raises(Refused) as refused:
        Attention(8, 2, score=score)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("NoForward", ("NoForward", "forward")),
        ("NoFlops", ("NoFlops", "flops_per_score")),
        ("NoInitial", ("NoInitial", "initial_", "sharpness_H")),
        ("NoSettings", ("NoSettings", "heads, head_dim, sharpness, shift")),
        ("Transposed", ("Transposed", "(1, 2, 5, 4)", "(1, 2, 4, 5)")),
        ("Narrow", ("Narrow", "(1, 2, 4, 2)", "(1, 2, 4, 3)")),
        ("NoScore", ("dict", "ScoreFunction")),
        ("Missing", ("tiny_scores", "cannot be loaded", "Missing")),
    ],
)
def test_what_an_author_may_get_wrong_is_refused_in_one_line(install, target, words):
    install("tiny_scores", odd=target)
    q, k = torch.randn(1, 2, 4, 3), torch.randn(1, 2, 5, 3)
    with pytest.raises(Refused) as refused:
        attend(q, k, k, score="odd")
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        ("normalizers", "NoWeights", ("normalizer 'odd'", "NoWeights", "forward")),
        ("normalizers", "NoHeads", ("normalizer 'odd'", "NoHeads", "heads, temperature")),
        ("normalizers", "Summed", ("normalizer Summed", "(1, 2, 4, 1)", "(1, 2, 4, 4)")),
        ("normalizers", "Behind", ("Behind", "Normalizer")),
        ("masks", "NoVisible", ("mask 'odd'", "NoVisible", "visible")),
        ("masks", "NoReach", ("mask 'odd'", "NoReach", "reach")),
        ("masks", "Numbers", ("mask Numbers", "torch.float32", "torch.bool")),
        ("masks", "Softer", ("Softer", "Mask")),
        ("positions", "NoInitialSlopes", ("position 'odd'", "NoInitialSlopes", "initial_", "slope_H")),
        ("positions", "NoWidth", ("position 'odd'", "NoWidth", "heads, head_dim, slope")),
        ("positions", "Missing", ("tiny_parts", "cannot be loaded", "Missing")),
    ],
)
def test_an_author_of_other_parts_is_told_in_one_line_too(install, kind, target, words):
    install("tiny_parts", kind, odd=target)
    argument = {"normalizers": "normalizer", "masks": "mask"}.get(kind, kind)
    with pytest.raises(Refused) as refused:
        Attention(6, 2, **{argument: "odd"})(torch.randn(1, 4, 6), need_weights=True)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


def test_installed_parts_of_each_kind_make_one_module(install):
    for kind, name in (("normalizers", "Softer"), ("masks", "Behind"), ("positions", "Slopes")):
        install(f"tiny_{kind}", kind, **{name.lower(): name})
    parts = {"normalizer": {"name": "softer", "temperature": 3.0}, "mask": {"name": "behind", "reach": 3}}
    attention = Attention(6, 2, positions="slopes", **parts)
    x_BTD = torch.randn(1, 5, 6)
    fast, (explicit, weights_BHTS) = attention(x_BTD)[0], attention(x_BTD, need_weights=True)
    torch.testing.assert_close(fast, explicit)
    position_T = torch.arange(5)
    apart_TS = position_T[:, None] - position_T
    assert torch.equal(weights_BHTS > 0, ((apart_TS >= 0) & (apart_TS < 3)).expand(1, 2, 5, 5))
    q, k = (one(x_BTD).unflatten(-1, (2, 3)).transpose(1, 2) for one in (attention.query, attention.key))
    scores = (q @ k.mT / 3**0.5 - 0.5 * apart_TS.abs()) / 3
    expected = scores.masked_fill((apart_TS < 0) | (apart_TS > 2), -torch.inf).softmax(-1)
    torch.testing.assert_close(weights_BHTS, expected)


def test_the_shared_paths_serve_an_installed_score(install):
    install("tiny_scores", installed="Cosine")
    q = torch.randn(1, 2, 4, 3)
    fast, _ = attend(q, q, q, score="installed", causal=True)
    explicit, weights_BHTS = attend(q, q, q, score="installed", causal=True, need_weights=True)
    torch.testing.assert_close(fast, explicit)
    assert (weights_BHTS.triu(1) == 0).all()


def test_an_installed_score_neither_replaces_a_built_in_one_nor_is_left_out_quietly(install, make_config):
    install("tiny_scores", dot="Cosine")
    for use in (
        lambda: names("scores"),
        lambda: make_config("attention=dot"),
        lambda: attend(*[torch.ones(1, 1, 2, 2)] * 3),
    ):
        with pytest.raises(Refused, match="attncompare and tiny_scores both have a score 'dot'"):
            use()


def test_two_installed_scores_of_one_name_are_refused(install):
    install("tiny_scores", installed="Cosine")
    install("more_scores", installed="Cosine")
    with pytest.raises(Refused, match=r"^the packages \w+_scores and \w+_scores both have a score 'installed': "):
        names("scores")


def hidden(scores, mask, by=-torch.inf):
    return scores if mask is None else scores.masked_fill(~mask, by)


def zeroed(weights, mask):
    return weights if mask is None else weights.masked_fill(~mask, 0.0)


def slope(self, q, places, causal):
    return (places.of_queries()[:, None] - places.of_keys()).abs() * 1.0


@pytest.mark.parametrize(
    ("kind", "method", "wrong", "words"),
    [
        (
            ScoreFunction,
            "forward",
            lambda _, q, k: (q @ k.mT) / (q @ k.mT).std(-1, keepdim=True),
            "other queries or keys",
        ),
        (
            ScoreFunction,
            "forward",
            lambda _, q, k: q @ (k - k.mean(2, keepdim=True)).mT,
            "other queries or keys",
        ),
        (ScoreFunction, "forward", lambda _, q, k: (q @ k.mT).double(), "float64"),
        (ScoreFunction, "forward", lambda _, q, k: (q @ k.mT).sqrt(), "NaN"),
        (ScoreFunction, "forward", lambda _, q, k: (q @ k.mT, None), "tuple"),
        (ScoreFunction, "forward", lambda _, q, k: (q @ k.mT).sum(1), "(2, 5, 7)"),
        (ScoreFunction, "forward", lambda _, q, k: F.dropout(q @ k.mT), "same queries and keys"),
        (ScoreFunction, "context", lambda _, q, _k, v, *_others: q[..., :1] + v[:, :, :5], "softmax"),
        (ScoreFunction, "flops_per_score", lambda _: None, "flops_per_score"),
        (Normalizer, "forward", lambda _, scores, _mask: scores.softmax(-1), "hidden keys"),
        (Normalizer, "forward", lambda _, scores, mask: zeroed(scores.softmax(-1), mask), "hidden keys"),
        (Normalizer, "forward", lambda _, scores, mask: hidden(scores, mask).softmax(-1), "NaN"),
        (Normalizer, "forward", lambda _, scores, mask: hidden(scores, mask, -1e9).softmax(-1), "hidden keys"),
        (
            Normalizer,
            "forward",
            lambda _, scores, mask: zeroed(hidden(scores, mask).exp().sqrt(), mask),
            "sums_to_one",
        ),
        (
            Normalizer,
            "forward",
            lambda _, scores, mask: zeroed(scores.relu() / scores.relu().sum(), mask),
            "hidden keys",
        ),
        (Normalizer, "forward", lambda _, scores, mask: zeroed(scores.softmax(-2), mask), "hidden keys"),
        (Normalizer, "forward", lambda _, scores, _mask: scores.double().softmax(-1), "float64"),
        (Mask, "visible", lambda _, query, key, _causal: query > key, "own position"),
        (Mask, "visible", lambda _, query, key, _causal: (query >= key).float(), "boolean"),
        (Mask, "visible", lambda _, query, key, _causal: (query >= key).mT, "(T, S)"),
        (Mask, "visible", lambda _, query, key, _causal: torch.ones(len(query), key.shape[1]).tril().bool(), "fewer"),
        (Mask, "needed_later", lambda _, key, position: key > position - 3, "needed_later"),
        (Positions, "bias", lambda _, _q, _places, _causal: torch.zeros(7, 3), "(7, 3)"),
        (Positions, "bias", lambda self, q, places, causal: slope(self, q, places, causal).log(), "infinity"),
        (Positions, "bias", lambda self, q, places, causal: slope(self, q, places, causal) / places.keys, "in parts"),
        (Positions, "turned", lambda _, x, _position: x[..., 1:], "turned"),
        (Positions, "turned", lambda _, x, _position: x + torch.arange(x.shape[2])[:, None], "in parts"),
    ],
)
def test_a_part_that_breaks_a_law_is_refused_in_one_line(kind, method, wrong, words):
    right = {
        "forward": lambda _, *given: given[0] @ given[1].mT if kind is ScoreFunction else given[0].softmax(-1),
        "visible": lambda _, query, key, _causal: query == query * key.new_ones(key.shape),
        "flops_per_score": lambda _: 1,
    }
    part = type("Odd", (kind,), {**right, method: wrong})(*{Mask: (), Normalizer: (2,)}.get(kind, (2, 8)))
    with pytest.raises(Refused) as refused:
        check_laws(part)
    assert str(refused.value).startswith(f"{kind.__name__.removesuffix('Function').lower()} Odd: ")
    assert "\n" not in str(refused.value)
    assert words in str(refused.value)


def test_a_mask_that_sees_the_future_declares_how_much_of_it():
    class Opening(Mask):
        sees_future = True

        def __init__(self, opened):
            super().__init__()
            self.opened = opened

        def visible(self, query_T1, key_1S, causal):
            return (key_1S <= query_T1) | (key_1S < 4) if causal else query_T1 == query_T1 + 0 * key_1S

    check_laws(Opening(4))
    with pytest.raises(Refused, match="opened=3"):
        check_laws(Opening(3))


def test_a_check_of_laws_leaves_modes_parameters_and_random_numbers_as_they_were():
    class Drops(ScoreFunction):
        def __init__(self):
            super().__init__(2, 8)
            self.drop = torch.nn.Dropout(0.5)

        def forward(self, q_BHTK, k_BHSK):
            torch.rand(3)
            return self.drop(q_BHTK @ k_BHSK.mT)

        def flops_per_score(self):
            return 1

    score, before = Drops(), torch.get_rng_state()
    check_laws(score)
    assert torch.equal(torch.get_rng_state(), before)
    assert score.training
    assert score.drop.training
