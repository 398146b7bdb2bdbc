"""What a config may be: refusals that name key, value and what is valid, rules between sections, and what hashes see."""

import hashlib
import json
import subprocess
import sys

import pytest
from commands import SMOKE, base_values, changed, composed_config

from attncompare import registry
from attncompare.attention import ScoreFunction
from attncompare.config import parse
from attncompare.config.schema import PRESENTATION, AttentionConfig
from attncompare.config.values import PartConfig, Positive
from attncompare.errors import Refused
from attncompare.model.backbones.transformer import TransformerConfig

# Keys that the first records lack, by their section, and what counts once it is set.
YOUNGER = {
    "trainer": ("max_epochs", "monitor"),
    "data": ("header", "separator", "field", "blank_lines"),
    "attention": tuple(key for key, field in AttentionConfig.model_fields.items() if not field.is_required()),
    "backbone": tuple(key for key, field in TransformerConfig.model_fields.items() if not field.is_required()),
}
YOUNGER_SET = (
    *("trainer.max_epochs=3", "trainer.monitor=bleu", "order_seed=2", "attention.normalizer=sigmoid"),
    *("attention.mask={window: 4}", "attention.kv_heads=1", "++attention.sites.cross.score=dot"),
    *("backbone.norm=rms", "backbone.norm_order=post", "backbone.activation=relu", "backbone.gated=true"),
)


def composed(*overrides):
    return composed_config("runs", overrides)


# What is changed in the default config, and what the one line must name.
REFUSED = {
    "section.unknown": ({"attnetion": {}}, ["attnetion", "did you mean attention", "backbone"]),
    "key.unknown": ({"optimizer.lrr": 1}, ["optimizer.lrr", "did you mean optimizer.lr"]),
    "task.unknown": (
        {"task.name": "translte"},
        ["task.name", "'translte'", "did you mean translation", "language_model"],
    ),
    "data.unknown": ({"data.name": "lcale"}, ["data.name", "'lcale'", "did you mean locale", "pydocs"]),
    "backbone.unknown": ({"backbone.name": "recurent"}, ["backbone.name", "'recurent'", "transformer"]),
    "score.unknown": ({"attention.score": "scled"}, ["attention.score", "'scled'", "did you mean scaled", "additive"]),
    "callback.unknown": ({"trainer.callbacks": ["Nothing"]}, ["trainer.callbacks", "Nothing"]),
    "range": ({"attention.heads": 0}, ["attention.heads=0", "positive integer"]),
    "threads": ({"trainer.threads": 5_000_000_000}, ["trainer.threads=5000000000", "1 to 1024"]),
    "no attention": (
        {"attention": base_values("attention=none", "backbone=recurrent")["attention"]},
        ["attention.score=null", "backbone=transformer", "backbone=recurrent"],
    ),
    "settings of none": (
        {"attention.score": None, "attention.heads": 4, "backbone.name": "recurrent"},
        ["attention.heads=4", "attention.score=null", "attention.heads=0"],
    ),
    "type": ({"attention.causal": "maybe"}, ["attention.causal=maybe", "true or false"]),
    "fraction": ({"attention.heads": 1.5}, ["attention.heads=1.5", "positive integer"]),
    "probability": ({"attention.dropout": 1}, ["attention.dropout=1", "from 0 to below 1"]),
    "list": ({"optimizer.betas": 0.9}, ["optimizer.betas=0.9", "list"]),
    "choice": ({"optimizer.schedule": "cosin"}, ["optimizer.schedule=cosin", "did you mean cosine", "linear"]),
    "label": ({"name": "a/b"}, ["name=a/b", "letters"]),
    "too large": ({"seed": 2**63}, ["seed=", str(2**63 - 1)]),
    "no section": ({"optimizer": 3}, ["optimizer=3", "section"]),
    "two": ({"trainer.max_steps": 0, "optimizer.lr": 0}, ["trainer.max_steps=0", "optimizer.lr=0"]),
    "part.unknown": (
        {"attention.score": {"name": "scaled", "window": 3}},
        ["attention.score.window", "attention.score.name"],
    ),
    "part.range": ({"backbone.d_model": 0}, ["backbone.d_model=0", "positive integer"]),
    "part.key": ({"task.beems": 1}, ["task.beems", "did you mean task.beam"]),
    "metric.unknown": ({"task.metrics": ["loss", "blue"]}, ["task.metrics", "blue", "bleu"]),
    "metric.loss": ({"task.metrics": ["bleu"]}, ["task.metrics", "loss"]),
    "metric.twice": ({"task.metrics": ["loss", "loss"]}, ["task.metrics", "once"]),
    "bleu": ({"task.bleu_tokenize": "13b"}, ["task.bleu_tokenize=13b", "did you mean 13a"]),
    "batch": ({"data.batch_tokens": 100}, ["batch_size=64", "batch_tokens=100"]),
    "tokenizer": ({"data.tokenizer.kind": "unigram", "data.tokenizer.vocab_size": None}, ["unigram", "vocab_size"]),
    "fits": ({"task": base_values("task=language_model")["task"]}, ["data=locale", "task=language_model", "pydocs"]),
    "time": ({"trainer.max_time": "soon"}, ["trainer.max_time=soon", "HH:MM:SS"]),
    "time and devices": ({"trainer.max_time": 9, "trainer.devices": 2}, ["max_time=9", "devices=2", "devices=1"]),
    "compile and devices": (
        {"trainer.compile": True, "trainer.devices": 2, "trainer.deterministic": False},
        ["compile=true", "devices=2", "devices=1"],
    ),
    "compile and shapes": (
        {"trainer.compile": True},
        ["trainer.compile=true", "task=translation", "trainer.deterministic=false"],
    ),
    "parts": ({"trainer.accumulate": 65}, ["data.batch_size=64", "trainer.accumulate=65"]),
    "processes": (
        {"trainer.accumulate": 8, "trainer.devices": 9},
        ["data.batch_size=64", "trainer.devices=9", "trainer.accumulate=8"],
    ),
    "tokens": (
        {"data.batch_size": None, "data.batch_tokens": 63},
        ["data.batch_tokens=63", "task.max_length=64"],
    ),
    "layer": ({"attention.layers": {"0": {"score": "dot"}}}, ["attention.layers.0: ", "number of a layer"]),
    "site": ({"attention.sites": {"crss": {"score": "dot"}}}, ["attention.sites.crss: ", "did you mean cross"]),
    "sites": ({"attention.sites": "cross"}, ["attention.sites=cross", "section"]),
    "causal cross": ({"attention.sites": {"cross": {"causal": True}}}, ["attention.sites.cross.causal: "]),
    "reference": ({"notes": "${oc.env:HOME}"}, ["notes", "${"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_value_is_refused_with_key_value_and_what_is_valid(case):
    changes, words = REFUSED[case]
    with pytest.raises(Refused) as refusal:
        parse(changed(base_values(), changes))
    text = str(refusal.value)
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task.causal": False}, ["task.causal", "future", "task.causal=true"]),
        ({"task.eval_stride": 65}, ["eval_stride=65", "max_length=64"]),
        ({"data.tokenizer.joint": False}, ["data.tokenizer.joint=false", "one vocabulary"]),
    ],
)
def test_a_language_model_refuses_what_would_make_its_loss_meaningless(changes, words):
    with pytest.raises(Refused) as refusal:
        parse(changed(base_values("task=language_model"), changes))
    assert all(word in str(refusal.value) for word in words)


WITHOUT_TORCH = """
import json, sys
from attncompare.config import parse
from attncompare.errors import Refused
for values in json.load(sys.stdin):
    try:
        parse(values)
    except Refused as error:
        print(json.dumps([str(error), sorted({"torch", "pytorch_lightning", "datasets"} & set(sys.modules))]))
"""
BUILT_IN = [
    case for case in REFUSED if case.partition(".")[2] == "unknown" and case.partition(".")[0] not in ("part", "metric")
]
BUILT_IN += [
    "range",
    "type",
    "fraction",
    "probability",
    "list",
    "choice",
    "label",
    "too large",
    "no section",
    "two",
    "time",
]


def test_built_in_keys_and_names_of_parts_are_refused_without_importing_torch():
    configs = [changed(base_values(), REFUSED[case][0]) for case in BUILT_IN]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], input=json.dumps(configs), capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(BUILT_IN)
    for case, (text, imported) in zip(BUILT_IN, found, strict=True):
        assert all(word in text for word in REFUSED[case][1]), text
        assert imported == [], case


def test_every_name_of_a_part_can_be_listed_without_importing_it():
    listed = "from attncompare import registry; [registry.names(kind) for kind in registry.KINDS]"
    code = f"import sys; {listed}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert {"additive", "dot", "scaled"} <= set(registry.names("scores"))
    assert {"language_model", "translation"} <= set(registry.names("tasks"))
    assert "transformer" in registry.names("backbones")


def entry(name, value, kind="scores", package="other"):
    """Return an entry point as an installed package would bring it."""

    class Found(registry.EntryPoint):
        dist = type("Distribution", (), {"name": package})

    return Found(name, value, f"attncompare.{kind}")


@pytest.fixture
def installed(monkeypatch):
    """Let some entry points be those of installed packages."""

    def install(*entries):
        monkeypatch.setattr(
            registry, "_installed", lambda kind, _: [one for one in entries if one.group == f"attncompare.{kind}"]
        )

    return install


def test_two_packages_with_one_name_are_refused(installed):
    installed(entry("scaled", "other:Scaled", package="mine"))
    with pytest.raises(Refused, match=r"attncompare and mine .*score 'scaled'"):
        registry.names("scores")
    installed(entry("window", "one:Window", package="one"), entry("window", "two:Window", package="two"))
    with pytest.raises(Refused, match=r"one and two .*score 'window'.*uninstall two"):
        registry.load("scores", "window")


def test_a_package_that_cannot_be_imported_is_named(installed):
    installed(entry("broken", "no_such_package:Broken"))
    assert "broken" in registry.names("scores")
    with pytest.raises(Refused, match=r"score 'broken' of other .*no_such_package"):
        parse(changed(base_values(), {"attention.score": "broken"}))


class Window(ScoreFunction):
    """A score with a setting of its own."""

    class Config(PartConfig):
        size: Positive = 8

    def forward(self, q_BHTK, k_BHSK):
        return q_BHTK @ k_BHSK.transpose(-2, -1)

    def flops_per_score(self):
        return 2 * self.head_dim


def test_an_installed_part_brings_settings_of_its_own(installed):
    installed(entry("window", f"{__name__}:Window"))
    config = parse(changed(base_values(), {"attention.score": {"name": "window", "size": 3}}))
    assert config.attention.score.size == 3
    assert config.to_dict()["attention"]["score"] == {"name": "window", "size": 3}
    assert parse(config.to_dict()) == config
    assert parse(changed(base_values(), {"attention.score": "window"})).attention.score.size == 8
    with pytest.raises(Refused, match=r"attention\.score\.size=0: must be a positive integer"):
        parse(changed(base_values(), {"attention.score": {"name": "window", "size": 0}}))


@pytest.mark.parametrize(
    "override",
    [
        *("name=x", "tags=[x]", "notes=x", "runs=elsewhere", "tracking=disabled", "tracking.probes=1"),
        *("tracking.project=x", "compare.metric=loss", "sweep.reuse=always", "sweep.max_time=2h"),
    ],
)
def test_the_hash_ignores_what_only_names_or_shows(override):
    assert composed(override).hash() == composed().hash()


@pytest.mark.parametrize(
    "override",
    [
        *("attention=dot", "attention.name=other", "attention.heads=2", "attention.dropout=0.1", "backbone.d_ff=8"),
        *("data.batch_size=8", "data.tokenizer.vocab_size=900", "optimizer.lr=1", "trainer.max_steps=3"),
        *("trainer.threads=1", "trainer.devices=2", "seed=7", "data_seed=7", "task.label_smoothing=0"),
    ],
)
def test_the_hash_covers_what_decides_the_numbers(override):
    assert composed(override).hash() != composed().hash()


@pytest.mark.parametrize(
    "data", [("data=pairs", "data.path=x"), ("task=language_model", "data=text", "data.path=x"), ()]
)
def test_a_record_that_lacks_younger_keys_has_the_hash_that_it_had(data):
    values = composed(*data).to_dict()
    for section, keys in YOUNGER.items():
        for key in keys:
            values[section].pop(key, None)
    of_old = {key: value for key, value in values.items() if key not in (*PRESENTATION, "order_seed")}
    assert composed(*data).hash() == hashlib.sha256(json.dumps(of_old, sort_keys=True).encode()).hexdigest()
    assert parse({key: value for key, value in values.items() if key != "order_seed"}) == composed(*data)


def test_younger_keys_count_once_they_are_set():
    assert len({composed(*one).hash() for one in ((), *((key,) for key in YOUNGER_SET))}) == 1 + len(YOUNGER_SET)


def test_same_model_whatever_its_name_and_however_its_head_width_is_spelled():
    identity = composed().model_identity()
    assert composed("attention.name=other", "tags=[x]").model_identity() == identity
    assert composed("attention=multihead", "attention.heads=1").model_identity() == identity
    width = composed().backbone.d_model
    assert composed(f"attention.head_dim={width}").model_identity() == identity
    assert composed(f"attention.head_dim={width - 1}").model_identity() != identity
    for other in ("attention=multihead", "attention=dot", "seed=2"):
        assert composed(other).model_identity() != identity


@pytest.mark.parametrize("task", ["translation", "language_model"])
def test_a_mask_that_hides_nothing_is_no_mask(task):
    length, plain = 8, ("task=" + task, "task.max_length=8")
    identity = composed(*plain).model_identity()
    for mask in (
        f"{{name: window, window: {length}}}",
        "{name: strided, stride: 1}",
        f"{{name: block, size: {length}}}",
    ):
        assert composed(*plain, f"+attention.mask={mask}").model_identity() == identity, mask
    for mask in (f"{{name: window, window: {length - 1}}}", "{name: strided, stride: 2}", "{name: block, size: 3}"):
        assert composed(*plain, f"+attention.mask={mask}").model_identity() != identity, mask
    prefix = composed(*plain, f"+attention.mask={{name: prefix, length: {length // 2}}}").model_identity()
    assert (prefix == identity) == (task == "translation")


def test_a_place_changes_one_thing_of_a_variant_whose_parts_have_settings():
    for variant in ("window", "streaming", "soft_cap", "cosine", "t5"):
        one = composed(f"attention={variant}", "+attention.layers.1.heads=2", "+attention.sites.decoder.dropout=0.5")
        base, changed_there = composed(f"attention={variant}").attention, one.attention.at("decoder", 1)
        assert changed_there == base.model_copy(update={"heads": 2, "dropout": 0.5})


def test_where_layers_differ_counts_and_not_how_it_is_spelled():
    layers, window = "backbone.layers=3", "{name: window, window: 2}"
    identity = composed(layers, f"+attention.layers.1.mask={window}").model_identity()
    others = (f"+attention.layers.{number}.mask=null" for number in (2, 3))
    assert composed(layers, f"+attention.mask={window}", *others).model_identity() == identity
    assert composed(layers, f"+attention.layers.2.mask={window}").model_identity() != identity
    assert composed(layers, *(f"+attention.layers.{n}.mask={window}" for n in (1, 2))).model_identity() != identity


def test_layers_and_tokens_without_number_cost_nothing():
    many = ("backbone.layers=1000000000000", "task.max_length=1000000000000", "data.batch_size=1")
    many = composed(*many, "+attention.mask={name: window, window: 1000000000000}", "+attention.layers.7.heads=2")
    assert len(many.places) == 3 * 3
    assert many.model_identity()


def test_a_mask_without_a_name_is_a_window_also_where_a_site_and_a_layer_say_something_of_it():
    places = ("+attention.sites.decoder.mask={window: 8, sinks: 2}", "+attention.layers.1.mask.window=9")
    mask = composed(*places).attention.at("decoder", 1).mask
    assert (mask.name, mask.window, mask.sinks) == ("window", 9, 2)
    mask = composed(*places[:1], "+attention.layers.1.mask={name: strided, stride: 3}").attention.at("decoder", 1).mask
    assert mask.name == "strided"


def test_causal_is_another_model_where_there_is_an_encoder_and_the_same_on_a_language_model():
    assert composed("attention=causal").model_identity() != composed().model_identity()
    in_the_encoder = composed("+attention.sites.encoder.causal=true")
    assert in_the_encoder.model_identity() == composed("attention=causal").model_identity()
    assert composed("+attention.sites.decoder.causal=true").model_identity() == composed().model_identity()
    language_model = "task=language_model"
    assert composed(language_model, "attention=causal").model_identity() == composed(language_model).model_identity()
    of_encoder = composed("+attention.sites.encoder.causal=true").model_identity()
    assert composed("attention=causal").model_identity() == of_encoder
    assert composed("+attention.sites.decoder.causal=true").model_identity() == composed().model_identity()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("attention.sites.cross.kv_heads=3", ("attention.sites.cross", "kv_heads=3", "heads=1")),
        ("attention.sites.encoder.gate=x", ("attention.sites.encoder.gate=x", "elementwise")),
        (
            "attention.layers.1.score.temperature=2",
            ("attention.layers.1.score.temperature", "attention.layers.1.score.name"),
        ),
        ("attention.layers.2.score=scled", ("attention.layers.2.score", "scled", "scaled")),
        ("attention.layers.2.mask.sinks=2", ("attention.layers.2.mask.window",)),
        ("attention.sites.cross.mask=strided", ("attention.sites.cross", "strided", "window")),
        ("attention.sites.cross.causal=true", ("attention.sites.cross.causal", "cross-attention")),
        ("attention.sites.decoder.causal=false", ("attention.sites.decoder.causal=false",)),
    ],
)
def test_what_is_wrong_of_a_site_or_layer_is_refused_by_the_name_of_its_place(override, words):
    with pytest.raises(Refused) as refused:
        composed(f"+{override}")
    assert "\n" not in str(refused.value) and all(word in str(refused.value) for word in words), refused.value


def test_half_precision_refuses_normalizers_that_some_place_of_the_model_has():
    at_all = [f"+attention.sites.{site}.normalizer=softmax" for site in ("encoder", "decoder", "cross")]
    composed("attention=sparsemax", *at_all, "trainer.precision=bf16-mixed")
    with pytest.raises(Refused, match="attention.normalizer=sparsemax"):
        composed("attention=sparsemax", *at_all[1:], "trainer.precision=bf16-mixed")


def test_more_of_a_text_than_half_is_no_prefix():
    language_model = ("task=language_model", "task.max_length=64", "attention=prefix")
    assert composed(*language_model, "attention.mask.length=32").unscored == 31
    with pytest.raises(Refused, match="attention.mask.length=33.*task.max_length=64"):
        composed(*language_model, "attention.mask.length=33")


def test_the_config_of_a_record_is_read_back_as_it_was(finished_run):
    assert finished_run.config.hash() == composed(*SMOKE, "attention=multihead", "attention.heads=2").hash()
    assert finished_run.config.tags == ("tests",)
    with pytest.raises(ValueError, match="frozen"):
        finished_run.config.seed = 2


def test_a_time_is_written_in_seconds_or_as_a_clock_shows_it():
    for time in ("01:02:03", 3723, 3723.0):
        assert parse(changed(base_values(), {"trainer.max_time": time})).trainer.max_time == 3723.0
    for wrong in (0, -1, "1:60:00", "00:00:00"):
        with pytest.raises(Refused, match=r"trainer.max_time="):
            parse(changed(base_values(), {"trainer.max_time": wrong}))
