"""The default training rewards learning: each task beats what needs no network (baselines.py) on the same held-out data."""

import jiwer
import numpy as np
import pytest
from baselines import (
    END,
    between_neighbours,
    commonest_text,
    majority,
    naive_bayes,
    nearest_class_mean,
    nearest_neighbour,
    nearest_utterances,
    trigram_bits_per_byte,
    unigram,
)
from sacrebleu.metrics import BLEU

from attncompare.data.batches import TextBatch
from attncompare.data.corpora import load_corpus
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import EOS, MASK
from attncompare.tasks.metrics import Rouge1, RougeL
from attncompare.training.run import train

pytestmark = pytest.mark.long
NO_TRACKING = ("tracking=disabled", "tracking.probes=0", "trainer.threads=1", "trainer.validate_every=10000")


def test_the_language_model_beats_a_character_trigram_model(make_config):
    config = make_config("task=language_model", *NO_TRACKING)
    splits = load_corpus(config.data, config.data_seed).splits
    baseline = trigram_bits_per_byte(END.join(splits["train"]["text"]), END.join(splits["test"]["text"]))
    assert train(config).summary["test"]["bits_per_byte"] < baseline - 0.3


def test_the_summarization_model_beats_the_first_line_and_but_for_pairs_of_words_a_memory(make_config):
    tracking = [word for word in NO_TRACKING if not word.startswith("trainer.validate_every")]
    steps = ("trainer.max_steps=2400", "trainer.validate_every=400")  # of experiment=docsum
    config = make_config("task=summarization", "attention=multihead", *steps, *tracking)
    splits = load_corpus(config.data, config.data_seed).splits
    known = list(zip(splits["train"]["source"], splits["train"]["target"], strict=True))
    remembered = nearest_neighbour(known, list(splits["test"]["source"]))
    run = train(config)
    for metric in (Rouge1, RougeL):  # in ROUGE-2 memory is better (docs/data.md)
        baseline = metric()
        baseline.update(remembered, list(splits["test"]["target"]), list(range(len(remembered))))
        assert run.summary["test"][metric.name] > baseline.compute().item()
    for name, figure in run.summary["baselines"]["lead-1"].items():
        assert run.summary["test"][name] > figure


def test_the_translation_model_beats_a_memory_of_the_training_pairs(make_config):
    config = make_config("task=translation", *NO_TRACKING)
    splits = load_corpus(config.data, config.data_seed).splits
    known = list(zip(splits["train"]["source"], splits["train"]["target"], strict=True))
    remembered = nearest_neighbour(known, list(splits["test"]["source"]))
    baseline = BLEU().corpus_score(remembered, [list(splits["test"]["target"])]).score
    assert train(config).summary["test"]["bleu"] > 3 * baseline


def test_the_masked_language_model_beats_counts_of_tokens_and_of_tokens_between_their_neighbours(make_config):
    config = make_config("experiment=masked_lm", "attention=multihead", "seed=1", *NO_TRACKING)
    data = DataModule(config)
    data.prepare()
    mask = data.tokenizer.special(MASK)
    documents = load_corpus(config.data, config.data_seed).splits["train"]["text"]
    train_ids = np.concatenate([[*ids, EOS] for ids in data.tokenizer.encode_ids(list(documents))])
    read, asked, scored = (
        np.concatenate([batch[field].flatten() for batch in data.test_dataloader()])
        for field in map(TextBatch._fields.index, ("input_BT", "target_BT", "scored_BT"))
    )
    places = scored[1:-1].nonzero()[0] + 1
    around = read[places - 1], asked[places], read[places + 1]
    baselines = unigram(train_ids, asked[places], mask), between_neighbours(train_ids, *around, mask)
    tested = train(config).summary["test"]
    for loss, accuracy in baselines:
        assert tested["loss"] < loss - 0.1 and tested["token_accuracy"] > accuracy + 0.02


@pytest.mark.parametrize("name", ["digits", "stdlib_modules"])
def test_the_classifier_beats_the_commonest_label_and_the_simplest_classifier(make_config, name):
    config = make_config("task=classification", f"data={name}", *NO_TRACKING)
    splits = load_corpus(config.data, config.data_seed).splits
    train_rows, test_rows = splits["train"][:], splits["test"][:]
    known, labels = train_rows["label"], test_rows["label"]
    if name == "digits":
        images = [np.array(rows["image"]) for rows in (train_rows, test_rows)]
        simplest = nearest_class_mean(images[0], known, images[1])
    else:
        simplest = naive_bayes(train_rows["text"], known, test_rows["text"])
    accuracies = [np.mean(np.array(found) == labels) for found in (majority(known, len(labels)), simplest)]
    assert accuracies[0] < accuracies[1] < train(config).summary["test"]["accuracy"]


def test_the_transcription_model_beats_a_guess_and_a_memory_of_the_training_sounds(make_config):
    config = make_config("experiment=morse", "attention=multihead", *NO_TRACKING, "trainer.max_steps=4000")
    splits = load_corpus(config.data, config.data_seed).splits
    known, asked = ([(np.array(row["wave"]), row["target"]) for row in splits[split]] for split in ("train", "test"))
    texts = [text for _, text in asked]
    remembered = jiwer.cer(texts, nearest_utterances(known, [wave for wave, _ in asked], config.data.rate))
    guessed = jiwer.cer(texts, [commonest_text(splits["train"]["target"])] * len(texts))
    assert train(config).summary["test"]["character_error_rate"] < min(remembered, guessed) / 2
