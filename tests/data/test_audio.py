"""Sound: wav files, the vectors that a model reads, and Morse code with the samples of each letter."""

import io
import logging
import struct

import numpy as np
import pytest
import torch
from dataset_configs import data_config, dataset, same_batch
from scipy.io import wavfile

from attncompare.data.audio import outline, places_of, read_wav, vectors_of
from attncompare.data.corpora.morse import CODE, keyed
from attncompare.data.corpus import fingerprint
from attncompare.data.dataset import SPLITS
from attncompare.data.module import DataModule
from attncompare.errors import Refused

SMALL = {"train_size": 30, "val_size": 5, "test_size": 5}
RATE = 8000


def tone(pitch, rate=RATE, seconds=0.5):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


def loudest_pitch(wave, rate=RATE):
    return np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax() * rate / len(wave)


def wav_24_bit(rate, *channels):
    """Return a wav file by hand; scipy writes none of 24 bits."""
    samples = np.stack([np.round(one * (2**23 - 1)).astype("<i4") for one in channels], axis=1)
    data = samples.reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    size = 3 * len(channels)
    form = struct.pack("<HHIIHH", 1, len(channels), rate, rate * size, size, 24)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


def written(rate, samples):
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


@pytest.mark.parametrize("pitch", [440.0, 1234.0])
def test_another_rate_and_more_channels_leave_the_pitch_as_it_is(tmp_path, pitch):
    file = tmp_path / "a.wav"
    file.write_bytes(wav_24_bit(44_100, tone(pitch, 44_100), tone(pitch, 44_100) / 2))
    wave, rate, channels = read_wav(file, RATE)
    assert (wave.dtype, rate, channels) == (np.int16, 44_100, 2)
    assert len(wave) == RATE // 2
    assert loudest_pitch(wave) == pytest.approx(pitch, abs=2)
    assert np.abs(wave[500:-500]).max() / 32767 == pytest.approx(0.375, abs=0.01)  # the mean of both channels


def test_what_the_new_rate_cannot_hold_is_no_other_pitch(tmp_path):
    wavfile.write(tmp_path / "a.wav", 44_100, tone(6000, 44_100).astype(np.float32))
    wave, *_ = read_wav(tmp_path / "a.wav", RATE)
    assert np.abs(wave[500:-500]).max() < 0.01 * 32767


def test_every_form_of_samples_is_the_same_sound(tmp_path):
    wave = tone(500)
    forms = {
        "8": written(RATE, np.round(wave * 127 + 128).astype(np.uint8)),
        "16": written(RATE, np.round(wave * (2**15 - 1)).astype(np.int16)),
        "24": wav_24_bit(RATE, wave),
        "32": written(RATE, np.round(wave * (2**31 - 1)).astype(np.int32)),
        "float": written(RATE, wave.astype(np.float32)),
        "double": written(RATE, wave),
    }
    for name, content in forms.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
        found, rate, channels = read_wav(tmp_path / f"{name}.wav", RATE)
        assert (rate, channels) == (RATE, 1)
        assert np.abs(found / 32767 - wave).max() < (0.01 if name == "8" else 1e-4), name


WHOLE = written(RATE, np.round(tone(500) * 32767).astype(np.int16))
HOSTILE = {
    "empty": b"",
    "no wav": b"this is a text\n" * 100,
    "a header alone": WHOLE[:30],
    "no samples": written(RATE, np.zeros(0, np.int16)),
    "truncated": WHOLE[:-1000],
    "half a sample": WHOLE[:-1],
    "a size beyond the file": WHOLE[:40] + b"\xff\xff\xff\x7f" + WHOLE[44:],
    "an unknown code": WHOLE[:20] + b"\x55\0" + WHOLE[22:],
    "no channel": WHOLE[:22] + b"\0\0" + WHOLE[24:],
    "no rate": WHOLE[:24] + b"\0\0\0\0" + WHOLE[28:],
    "NaN": written(RATE, np.full(100, np.nan, np.float32)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_whole_wav_file_is_refused_in_one_line(tmp_path, content):
    file = tmp_path / "bad.wav"
    file.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read_wav(file, RATE)
    assert str(refused.value).startswith(f"{file}: ") and "\n" not in str(refused.value)


def test_vectors_are_those_of_a_transform_by_hand():
    config = data_config("morse", rate=1000, frame_ms=20, hop_ms=8, mels=4, stack=3, pitch=[100, 200])
    wave = (np.random.default_rng(0).normal(size=101) * 8000).astype(np.int16)
    found = vectors_of(wave, config, "a sound")
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    corners = np.linspace(0, mel(500), 6)
    frames = []
    for start in range(0, len(wave) - 20 + 1, 8):
        window = [0.5 - 0.5 * np.cos(2 * np.pi * n / 20) for n in range(20)]
        bands = np.zeros(4)
        for k in range(17):  # a transform of 32 points
            part = sum(wave[start + n] / 32768 * window[n] * np.exp(-2j * np.pi * k * n / 32) for n in range(20))
            for m in range(4):
                low, peak, high = (700 * (10 ** (corner / 2595) - 1) for corner in corners[m : m + 3])
                f = k * 1000 / 32
                slope = (f - low) / (peak - low) if f <= peak else (high - f) / (high - peak)
                bands[m] += max(0.0, slope) * abs(part) ** 2
        frames.append(np.log10(bands))
    frames = (np.array(frames) - np.mean(frames)) / np.std(frames)
    assert len(frames) == 11  # the last one fills up the fourth vector
    frames = np.vstack([frames, frames[-1:]])
    np.testing.assert_allclose(found, frames.reshape(4, 12), rtol=1e-4, atol=1e-5)


def test_loudness_does_not_matter_and_silence_is_finite():
    config = data_config("morse")
    wave = np.round(tone(700) * 8000).astype(np.int16)
    np.testing.assert_allclose(vectors_of(wave, config, ""), vectors_of(wave * 4, config, ""), atol=0.05)
    assert np.isfinite(vectors_of(np.zeros(4000, np.int16), config, "")).all()
    with pytest.raises(Refused, match=r"^a\.wav: 199 samples.*200.*frame_ms"):
        vectors_of(wave[:199], config, "a.wav")


def test_each_sample_belongs_to_one_vector_and_the_drawing_goes_with_them():
    config = data_config("morse")
    owners = [places_of(n, n + 1, config) for n in range(3000)]
    assert all(last - first == 1 or (first, last) == (0, 0) for first, last in owners)
    assert [first for first, _ in owners] == sorted(first for first, _ in owners)
    wave = np.zeros(8000, np.int16)
    wave[4000:4100] = 16384
    drawn = outline(wave, 24, config)
    assert drawn.shape == (24 * 8, 2)
    loud = np.flatnonzero(drawn[:, 1] > 0.4) // 8
    first, last = places_of(4000, 4100, config)
    assert set(loud) <= {*range(first, last)} and len(loud)


def test_paris_is_fifty_dots_long():
    rng = np.random.default_rng(0)
    wave, spans = keyed("paris paris", 20, 600, 60, 0.0, RATE, rng)
    dot = 60 / (50 * 20) * RATE
    assert spans[5][0] - spans[0][0] == pytest.approx(50 * dot, abs=1)
    assert len(wave) == pytest.approx((50 + 43 + 2 * 5) * dot, abs=2)
    lengths = [end - start for start, end in spans[:5]]
    elements = [sum({".": 1, "-": 3}[mark] for mark in CODE[letter]) + len(CODE[letter]) - 1 for letter in "paris"]
    assert lengths == pytest.approx([dots * dot for dots in elements], abs=2)


def test_all_energy_of_the_tones_lies_in_the_spans_and_their_ends_sound():
    for row in dataset("morse", **SMALL, snr=[60, 60]).load().splits["train"]:
        power = (np.array(row["wave"]) / 32768.0) ** 2
        inside = np.zeros(len(power), bool)
        for start, end, _ in row["source_spans"]:
            inside[start:end] = True
            assert power[start : start + 80].mean() > 1e-3 and power[end - 80 : end].mean() > 1e-3  # 10 ms
        assert power[~inside].sum() < 1e-4 * power.sum()
        letters = [row["target"][start:end] for start, end, _ in row["target_spans"]]
        assert "".join(letters) == row["target"].replace(" ", "")
        assert [field for *_, field in row["source_spans"]] == [field for *_, field in row["target_spans"]]


def test_keying_follows_the_config_and_the_seed_alone():
    few = {**SMALL, "symbols": 5, "min_letters": 2, "max_letters": 3, "wpm": [10, 10], "pitch": [700, 700]}
    corpus, again, other = (dataset("morse", seed, **few).load() for seed in (1, 1, 2))
    texts = [text for split in SPLITS for text in corpus.splits[split]["target"]]
    assert len(set(texts)) == len(texts) == 40
    assert set("".join(texts)) == set("abcde ") and {len(word) for text in texts for word in text.split()} == {2, 3}
    assert loudest_pitch(np.array(corpus.splits["val"][0]["wave"])) == pytest.approx(700, abs=15)
    assert fingerprint(again) == fingerprint(corpus) != fingerprint(other)
    with pytest.raises(Refused, match=r"cannot give 40 different texts"):
        dataset("morse", **SMALL, symbols=2, max_letters=2, max_words=1).load()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wpm": [30, 20]}, "wpm"),
        ({"pitch": [500, 5000]}, "pitch"),
        ({"min_letters": 5}, "min_letters=5"),
        ({"mels": 200}, "mels=200"),
        ({"hop_ms": 0.01}, "hop_ms=0.01"),
        ({"jitter": 0.9}, "jitter=0.9"),
    ],
)
def test_what_cannot_be_keyed_or_heard_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        data_config("morse", **changes)


@pytest.fixture
def morse(make_config):
    data = DataModule(make_config("task=transcription", "data.train_size=30", "data.val_size=9", "data.test_size=5"))
    data.prepare()
    return data


def test_each_token_is_heard_where_its_letter_is_keyed(morse):
    rows = morse._corpus.splits["val"]
    batch = morse._set("val")[[3, 0]]
    for place, number in enumerate([3, 0]):
        row, gold = rows[number], batch.gold_BT2[place].tolist()
        heard = dict(zip(row["target"], gold, strict=False))
        spans = {row["target"][at]: (start, end) for start, end, at in row["source_spans"]}
        for letter, (first, last) in heard.items():
            assert (first, last) == ((0, 0) if letter == " " else places_of(*spans[letter], morse.config.data))
        assert gold[len(row["target"])] == [0, 0]  # the EOS
        wave = vectors_of(np.array(row["wave"], np.int16), morse.config.data, "")
        assert torch.equal(batch.source_BS[place, : len(wave)], torch.from_numpy(wave))
        assert batch.source_BS[place, len(wave) :].isnan().all()


def test_a_part_of_a_batch_is_the_batch_of_its_rows(morse):
    from attncompare.data.batches import part

    whole = morse._set("val")[[0, 1, 2, 3]]
    expected = morse._set("val")[[1, 3]]
    half = part(whole, 1, 2)
    assert same_batch([one.nan_to_num() for one in half[:4]], [one.nan_to_num() for one in expected[:4]])
    assert half.share == pytest.approx(expected.scored() / whole.scored())


@pytest.fixture
def folder_of_speech(folder):
    texts = ["one two", "three", "four, five", "six", "seven", "eight"]
    for number, rate in enumerate([16_000] * 4 + [44_100] * 2):
        wavfile.write(folder / f"{number}.wav", rate, tone(300 + 100 * number, rate).astype(np.float32))
    for split, rows in {"train": range(4), "val": [4], "test": [5]}.items():
        lines = [f'{number}.wav,"{texts[number]}",x\n' for number in rows]
        (folder / f"{split}.csv").write_text("".join(["file,text,speaker\n", *lines]))
    return folder


def test_wav_files_come_with_what_their_tables_say(folder_of_speech, make_config, caplog):
    one = dataset("speech", path=str(folder_of_speech))
    corpus = one.load()
    assert corpus.splits["train"]["target"] == ["one two", "three", "four, five", "six"]
    assert [loudest_pitch(np.array(row["wave"]), 16_000) for row in corpus.splits["test"]] == pytest.approx(
        [800], abs=3
    )
    assert {path.name for path in one.files()} >= {"0.wav", "5.wav", "train.csv"}
    data = DataModule(
        make_config("task=transcription", "data=speech", f"data.path='{folder_of_speech}'", "tracking.probes=1")
    )
    with caplog.at_level(logging.WARNING):
        data.prepare()
    assert any("2 wav files" in note and "44100" in note for note in data.notes)
    assert not data._set("val")[[0]].gold_BT2.any()
    (probe,) = data.probes(1)
    assert probe.possible_TS is None and probe.written == "4.wav" and len(probe.places) == len(probe.source_ids)


def test_one_table_is_split_by_file(folder_of_speech):
    lines = [f"{number % 6}.wav|word {number}\n" for number in range(40)]
    (folder_of_speech / "all.csv").write_text("".join(["file|text\n", *lines]))
    none = {"val": None, "test": None}
    path = str(folder_of_speech / "all.csv")
    splits = dataset("speech", path=path, splits=none, val_fraction=0.3, test_fraction=0.3).load().splits
    names = [set(splits[split]["name"]) for split in SPLITS]
    assert sum(len(splits[split]) for split in SPLITS) == 40 and sum(map(len, names)) == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file,words\n0.wav,one\n", "data.text=text.*valid: file, words"),
        ("file,text\n9.wav,one\n", "row 1: no file .*9.wav"),
        ("file,text\n0.wav,one\n1.wav, \n", "row 2: 1.wav has no text"),
        ("file,text\nbad.wav,one\n", "bad.wav: no wav file"),
        ("file,text\nshort.wav,one\n", "short.wav: .*shorter than a frame"),
        ("file,text\n0.wav\n", "line 2"),
    ],
)
def test_bad_tables_and_files_are_refused_in_one_line(folder_of_speech, content, words):
    (folder_of_speech / "bad.wav").write_bytes(WHOLE[:100])
    wavfile.write(folder_of_speech / "short.wav", 16_000, np.zeros(50, np.int16))
    (folder_of_speech / "val.csv").write_text(content)
    with pytest.raises(Refused, match=words) as refused:
        dataset("speech", path=str(folder_of_speech)).load()
    assert "\n" not in str(refused.value)
