"""The default training rewards learning: both tasks beat what needs no network (baselines.py) on the same held-out data."""

import pytest
from baselines import END, nearest_neighbour, trigram_bits_per_byte
from sacrebleu.metrics import BLEU

from attncompare.data.corpora import load_corpus
from attncompare.training.run import train

pytestmark = pytest.mark.long
NO_TRACKING = ("tracking=disabled", "tracking.probes=0", "trainer.threads=1", "trainer.validate_every=10000")


def test_the_language_model_beats_a_character_trigram_model(make_config):
    config = make_config("task=language_model", *NO_TRACKING)
    splits = load_corpus(config.data, config.data_seed).splits
    baseline = trigram_bits_per_byte(END.join(splits["train"]["text"]), END.join(splits["test"]["text"]))
    assert train(config).summary["test"]["bits_per_byte"] < baseline - 0.3


def test_the_translation_model_beats_a_memory_of_the_training_pairs(make_config):
    config = make_config("task=translation", *NO_TRACKING)
    splits = load_corpus(config.data, config.data_seed).splits
    known = list(zip(splits["train"]["source"], splits["train"]["target"], strict=True))
    remembered = nearest_neighbour(known, list(splits["test"]["source"]))
    baseline = BLEU().corpus_score(remembered, [list(splits["test"]["target"])]).score
    assert train(config).summary["test"]["bleu"] > 3 * baseline
