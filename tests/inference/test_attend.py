"""Sentences as several trained runs read them, with norms and likely next tokens."""

import re
import shutil

import numpy as np
import pytest
import torch

import attncompare
from attncompare.cli import main
from attncompare.errors import Refused
from attncompare.inference import Likely, attend_runs


@pytest.fixture(scope="module")
def both(translator_run, tmp_path_factory):
    """A folder with a translator twice, the copy being another run of the same model."""
    folder = tmp_path_factory.mktemp("both")
    for name in ("one", "two"):
        shutil.copytree(translator_run.path, folder / name)
    return folder


def test_norms_are_the_weights_times_what_each_head_writes(translator_run):
    trained = attncompare.load(translator_run.path)
    probe = trained.probe("abc")
    cross = next(site for site in trained.attention("abc").sites if site.site == "cross")
    module = trained.task.attentions["cross"][0]
    with torch.no_grad():
        model, source_BS = trained.task.model, torch.tensor([probe.source_ids])
        memory_BSD, _ = model.encode(source_BS, model.source_mask(source_BS))
        v_SHV = module.value(memory_BSD)[0].unflatten(-1, (3, -1))
        w_HVD = module.output.weight.T.unflatten(0, (3, -1))
    for h, t, s in np.ndindex(3, len(cross.queries), len(cross.keys)):
        wanted = cross.weights_LHTS[0, h, t, s] * (v_SHV[s, h] @ w_HVD[h]).norm().item()
        assert cross.norms_LHTS[0, h, t, s] == pytest.approx(wanted, rel=1e-4)
    assert module.on_values is None and not trained.task.model._forward_hooks
    assert cross.written[:-1] == cross.queries[1:]


def test_next_tokens_are_those_of_the_model(writer_run):
    trained = attncompare.load(writer_run.path)
    maps = trained.attention(" k01 v02")
    with torch.no_grad():
        logits_TV = trained.task.model(torch.tensor([trained.probe(" k01 v02").target_ids[:-1]])).logits_BTV[0]
    assert [read for read, _ in maps.next_tokens] == list(maps.sites[0].queries)
    for (_, likely), probability_V in zip(maps.next_tokens, logits_TV.softmax(-1), strict=True):
        assert likely[0][0] == trained.tokenizer.labels([int(probability_V.argmax())])[0]
        assert [value for _, value in likely] == pytest.approx(
            probability_V.topk(len(likely)).values.tolist(), rel=1e-4
        )


def test_every_step_of_a_text_shows_what_was_likely(writer_run):
    trained = attncompare.load(writer_run.path)
    seen: list[Likely] = []
    text = trained.generate(" k01", tokens=40, temperature=0, show=seen.append)
    assert text == trained.generate(" k01", tokens=40, temperature=0)
    assert len(seen) > 20, "also beyond what the model reads at once"
    assert all(one.tokens[0] == (one.token, one.probability) for one in seen)
    with pytest.raises(Refused, match="samples=2"):
        trained.generate("", samples=2, show=seen.append)


def test_several_runs_have_labels_of_their_own_and_others_are_named(both, writer_run):
    found = attend_runs([both / "one", both / "two", writer_run.path], ["abc", "cba"])
    assert [len(one.steps[0][1]) for one in found.series] == [2, 2]
    assert len({one.label for one in found.series}) == 2
    (note,) = found.notes
    assert str(writer_run.path) in note and "task=language_model" in note
    assert len(attend_runs([both], ["abc"]).runs) == 1, "of a folder one seed of each model"
    with pytest.raises(Refused, match="none of the 2 runs"):
        attend_runs([both / "one", both / "two"], ["a" * 99])


def test_the_command_writes_one_page_of_several_runs_and_sentences(both, writer_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    page = tmp_path / "page.html"
    runs = [str(both / "one"), str(both / "two")]
    assert main(["attend", *runs, "abc", "--sentence", "zyx", "--mean", "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 or str(page) in max(out.splitlines(), key=len)
    assert out.count("cross-attention") == 2 and "mean of 3 heads" in out
    assert len(re.findall(r'"label":', page.read_text())) == 2
    assert main(["attend", str(both), "abc"]) == 0 and (both / "attend.html").is_file()
    assert main(["attend", *runs, "abc", "--mean", "--head", "1"]) == 2
    assert main(["generate", str(writer_run.path), "--tokens", "3", "--show-probabilities"]) == 0
    assert len(re.findall(r"^[01]\.\d\d  ", capsys.readouterr().out, re.M)) >= 1
