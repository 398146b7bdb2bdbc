"""The metric that comes first follows the data: exact match, BLEU as the target's language is cut, chrF, bits per byte."""

import pytest
from commands import SMOKE
from training_runs import LANGUAGE_MODEL, NO_TRACKING

from attncompare.compare import compare_groups
from attncompare.compare.table import result_table
from attncompare.errors import Refused
from attncompare.tasks.metrics import Bleu, metrics_of
from attncompare.training.run import train

SMALL = (*(word for word in SMOKE if not word.startswith("data")), *NO_TRACKING, "trainer.limit_batches=null")
SENTENCES = {
    "zh": ("我们在{}号看到一只很大的白色的猫。", "他们在{}号没有看到那只小狗。"),
    "ja": ("私たちは{}日に大きな白い猫を見ました。", "彼らは{}日に小さな犬を見ませんでした。"),
}


def leading(run):
    """The metric in the first column of the table."""
    (comparison,) = compare_groups([run])
    return next(iter(result_table(comparison).columns))


@pytest.mark.parametrize(("language", "first", "cut"), [("zh", "bleu", "zh"), ("ja", "chrf", "char")])
def test_text_without_blanks_is_cut_as_its_language_needs(make_config, tmp_path, language, first, cut):
    for split, start in {"train": 0, "val": 40, "test": 50}.items():
        for name, forms in {
            "en": ("we saw a cat on {}", "they saw no dog on {}"),
            language: SENTENCES[language],
        }.items():
            lines = [forms[day % 2].format(day) for day in range(start, start + (40 if split == "train" else 10))]
            (tmp_path / f"{split}.{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    own = ("data=pairs", f"data.path={tmp_path}", f"data.target={language}", "data.tokenizer.vocab_size=400")
    run = train(make_config(*SMALL, *own, "data.batch_size=10"))
    assert leading(run) == first
    assert f"|tok:{cut}|" in run.summary["signatures"]["bleu"]
    assert f"|tok:{cut}|" in result_table(compare_groups([run])[0]).caption
    # Two characters of a whole sentence are wrong: cut into words that is a good answer, and uncut one wrong word.
    answer = SENTENCES[language][0].format(3)
    scored, uncut = Bleu.of(run.config), Bleu()
    for one in (scored, uncut):
        one.update([answer], [SENTENCES[language][0].format(4)], [0])
    assert scored.compute() > 60 > uncut.compute()


@pytest.mark.parametrize(
    ("target", "tokenize", "first", "cut"),
    [
        ("zh-CN", "null", "bleu", "zh"),
        ("translation.zh_TW", "null", "bleu", "zh"),
        ("translation.jpn", "null", "chrf", "char"),
        ("th", "null", "chrf", "char"),
        ("ja", "none", "bleu", "none"),
        ("zh", "char", "chrf", "char"),
        ("de", "null", "bleu", "13a"),
        ("1", "null", "bleu", "13a"),
    ],
)
def test_languages_are_known_by_their_codes(make_config, target, tokenize, first, cut):
    config = make_config("data=pairs", "data.path=x", f"data.target={target}", f"task.bleu_tokenize={tokenize}")
    assert next(iter(metrics_of(config))) == first
    assert f"|tok:{cut}|" in Bleu.of(config).signature()


def test_words_of_japanese_need_their_package(make_config, monkeypatch):
    config = make_config("data=pairs", "data.path=x", "data.target=ja", "task.bleu_tokenize=ja-mecab")
    assert next(iter(metrics_of(config))) == "bleu"
    monkeypatch.setattr("attncompare.tasks.metrics.find_spec", lambda _: None)
    with pytest.raises(Refused, match=r"task\.bleu_tokenize=ja-mecab: .*attncompare\[ja\]"):
        Bleu.of(config)


@pytest.mark.parametrize(
    ("overrides", "first"),
    [
        (SMOKE, "exact_match"),
        ((*LANGUAGE_MODEL, "trainer.max_steps=2"), "token_accuracy"),
        (("task=language_model", "data=pydocs", "trainer=smoke", "trainer.threads=1"), "bits_per_byte"),
    ],
    ids=["reverse", "recall", "pydocs"],
)
def test_data_are_led_by_the_metric_that_tells_most_of_them(make_config, overrides, first):
    assert leading(train(make_config(*overrides, *NO_TRACKING))) == first
