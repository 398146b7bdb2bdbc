"""Every backbone in conf/backbone keeps the laws of models, with and without what its settings add."""

import pytest
import torch
from commands import composed_config
from variants import attention_arguments, variant_config

from attncompare import registry
from attncompare.attention import Attention
from attncompare.config import CONF_DIR
from attncompare.errors import Refused
from attncompare.model import Vocabulary, check_model, initialize, new_model, parameter_count
from attncompare.model.backbones.recurrent import DecoderLayer, DecoderOnly, EncoderDecoder, LayerCache

BACKBONES = sorted(file.stem for file in (CONF_DIR / "backbone").glob("*.yaml"))
TASKS = {"decoder_only": "language_model", "encoder_decoder": "translation", "encoder_only": "masked_lm"}
MODELS = [(one, kind) for one in BACKBONES for kind in TASKS if getattr(registry.load("backbones", one), kind)]
RECURRENT = (
    *(("cell=lstm",), ("layers=2",), ("attend=before",), ("input_feeding=true",), ("attend=before", "cell=lstm")),
    *(("input_feeding=true", "layers=2", "cell=lstm"), ("attend=before", "layers=2")),
)


def model_of(architecture, backbone, attention="scaled", *settings, vocabulary=None):
    size = vocabulary or Vocabulary(13, 24)
    overrides = ("backbone.d_model=32", *(f"backbone.{one}" for one in settings), f"attention={attention}")
    config = composed_config("runs", [f"task={TASKS[architecture]}", f"backbone={backbone}", *overrides])

    def make_attention(site="decoder", layer=1):
        arguments = attention_arguments(variant_config(attention).at(site, layer))
        return Attention(config.backbone.d_model, **arguments, layer=layer)

    model = new_model(architecture, config.backbone, size, None if config.attention.score is None else make_attention)
    initialize(model, seed=1)
    return model, size


@pytest.mark.parametrize(("backbone", "architecture"), MODELS)
@pytest.mark.parametrize("attention", ["scaled", "additive", "multihead", "entmax15"])
def test_every_backbone_keeps_the_laws_of_models(backbone, architecture, attention):
    check_model(*model_of(architecture, backbone, attention))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_source_may_have_a_vocabulary_of_its_own(backbone):
    check_model(*model_of("encoder_decoder", backbone, vocabulary=Vocabulary(13, 24, source=29)))


@pytest.mark.parametrize("attention", ["scaled", "location", "multi_query", "local_m"])
@pytest.mark.parametrize("settings", RECURRENT, ids=" ".join)
def test_each_architecture_of_recurrent_decoder_keeps_the_laws(settings, attention):
    check_model(*model_of("encoder_decoder", "recurrent", attention, *settings))


@pytest.mark.parametrize("architecture", ["decoder_only", "encoder_decoder"])
def test_a_recurrent_model_without_attention_keeps_the_laws_and_begins_like_one_with_it(architecture):
    without, size = model_of(architecture, "recurrent", "none")
    check_model(without, size)
    attending, _ = model_of(architecture, "recurrent", "scaled")
    others = dict(attending.named_parameters())
    assert all(torch.equal(one, others[name]) for name, one in without.named_parameters())
    assert without.sites == {} and len(attending.sites) == 1
    of_attention = sum(parameter_count(one) for one in attending.modules() if isinstance(one, Attention))
    assert parameter_count(attending) - parameter_count(without) == of_attention > 0


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_steps_and_the_whole_recurrence_at_once_are_the_same_without_what_is_fed(cell):
    """Luong's decoder without input feeding, read by the loop of the one with it."""
    at_once, _ = model_of("encoder_decoder", "recurrent", "scaled", f"cell={cell}")
    by_steps, _ = model_of("encoder_decoder", "recurrent", "scaled", f"cell={cell}", "input_feeding=true")
    with torch.no_grad():
        by_steps.decoder[0].fed.weight.zero_()
    source_BS, target_BT = torch.randint(1, 13, (2, 3, 8))
    torch.testing.assert_close(
        at_once.eval()(source_BS, target_BT).logits_BTV, by_steps.eval()(source_BS, target_BT).logits_BTV
    )


def test_without_attention_a_source_reaches_the_target_through_the_first_state_alone():
    model, _ = model_of("encoder_decoder", "recurrent", "none")
    with torch.no_grad():
        model.decoder[0].begin.weight.zero_()
        source_BS, target_BT = torch.randint(1, 13, (2, 3, 8))
        assert torch.equal(
            model.eval()(source_BS, target_BT).logits_BTV, model(source_BS.flip(1), target_BT).logits_BTV
        )


def test_recurrent_matrices_begin_orthogonal_gate_by_gate():
    model, _ = model_of("decoder_only", "recurrent", "none", "cell=lstm")
    for gate in model.decoder[0].recurrent.weight_hh_l0.split(32):
        torch.testing.assert_close(gate @ gate.T, torch.eye(32), atol=1e-5, rtol=0)


BROKEN = {
    "sees the future": (DecoderOnly, "hidden", lambda of: lambda self, x: of(self, x.flip(1)), "hidden"),
    "keeps other rows": (LayerCache, "keep", lambda of: lambda self, *_: of(self, torch.tensor([0, 0, 2, 2])), "keep"),
    "counts too little": (EncoderDecoder, "forward_flops", lambda of: lambda *a: of(*a) / 3, "forward_flops"),
    "reads padding": (
        EncoderDecoder,
        "source_mask",
        lambda _: lambda _, x: torch.ones_like(x[:, None, None]) > 0,
        "padding",
    ),
    "mixes the future": (
        *(DecoderLayer, "_attend"),
        lambda of: lambda self, x, *rest: (of(self, x, *rest)[0] + x.mean(1, keepdim=True), of(self, x, *rest)[1]),
        "after it",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_model_that_breaks_a_law_is_refused_with_the_law(broken, monkeypatch):
    owner, method, change, word = BROKEN[broken]
    model, size = model_of("decoder_only" if owner is DecoderOnly else "encoder_decoder", "recurrent")
    monkeypatch.setattr(owner, method, change(getattr(owner, method)))
    with pytest.raises(Refused, match=f"{type(model).__name__}.*{word}"):
        check_model(model, size)
