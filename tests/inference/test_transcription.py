"""What a run that transcribes answers: texts of wav files, and the map under their sound."""

import numpy as np
import pytest
from scipy.io import wavfile

import attncompare
from attncompare.data.corpora.morse import keyed
from attncompare.errors import Refused
from attncompare.maps import maps_of


@pytest.fixture
def sounds(tmp_path):
    files = []
    for number, text in enumerate(["sos", "a", "paris ok"]):
        wave, _ = keyed(text, 25, 600, 30, 0.0, 8000, np.random.default_rng(number))
        files.append(tmp_path / f"{number}.wav")
        wavfile.write(files[-1], 8000, wave)
    return files


def test_each_sound_is_written_as_alone_and_as_the_task_writes_it(scribe_run, sounds):
    trained = attncompare.load(scribe_run.path)
    together = trained.transcribe(sounds, beam=3)
    assert [one.source for one in together] == list(map(str, sounds))
    for file, one in zip(sounds, together, strict=True):
        (alone,) = trained.transcribe([file], beam=3)
        assert alone.hypotheses[0].ids == one.hypotheses[0].ids and not one.cut


def test_another_rate_is_said_and_bad_files_are_refused(scribe_run, sounds, tmp_path, caplog):
    trained = attncompare.load(scribe_run.path)
    rate, wave = wavfile.read(sounds[0])
    wavfile.write(tmp_path / "fast.wav", 2 * rate, np.repeat(wave, 2))
    trained.transcribe([tmp_path / "fast.wav"])
    assert "16000" in caplog.text and "fast.wav" in caplog.text
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    for file, words in (("bad.wav", "no wav file"), ("none.wav", "no such file")):
        with pytest.raises(Refused, match=words):
            trained.transcribe([tmp_path / file])
    with pytest.raises(Refused, match="transcribe"):
        trained.translate(["sos"])


def test_the_map_stands_under_the_sound(scribe_run, sounds):
    trained = attncompare.load(scribe_run.path)
    maps = trained.attention(str(sounds[0]))
    (one,) = trained.transcribe(sounds[:1])
    sites = {site.site: site for site in maps.sites}
    assert sites["cross"].wave is not None and sites["decoder_self"].wave is None
    assert len(sites["cross"].keys) == len(one.source_ids) and sites["cross"].keys[:2] == ("0.00", "0.04")
    assert maps.text == f"0.wav → {one.text}"
    probes = [probe for _, probes in maps_of(scribe_run) for probe in probes]
    assert all(site.possible_TS.any() for probe in probes for site in probe.sites if site.site == "cross")
