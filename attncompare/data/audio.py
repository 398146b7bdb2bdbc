"""Sound: its settings, wav files to samples of one rate, and samples to the vectors that a model reads.

It imports numpy alone at its top, as configs with sound are checked without torch.
"""

import math
import struct
import warnings
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from attncompare.config.values import Positive, PositiveFloat
from attncompare.data.dataset import DatasetConfig
from attncompare.errors import Refused

_FLOOR = 1e-10  # of a power: silence has no logarithm
_RANGE = 8.0  # orders of magnitude below the loudest that are told apart (Radford et al. 2022, in the code of Whisper)
_SLOWEST, _FASTEST = 1000, 768_000  # Hz that a wav file may have


class SoundConfig(DatasetConfig):
    """What datasets of sound have: the rate of their samples, and how these become vectors."""

    rate: Positive
    frame_ms: PositiveFloat
    hop_ms: PositiveFloat
    mels: Positive
    stack: Positive

    @model_validator(mode="after")
    def _every_filter_hears_something(self) -> "SoundConfig":
        if min(self.frame, self.hop) < 1:
            raise ValueError(
                f"frame_ms={self.frame_ms:g} and hop_ms={self.hop_ms:g}: below one sample at rate={self.rate}"
            )
        if not mel_filters(self.mels, self.frame, self.rate).any(1).all():
            raise ValueError(
                f"mels={self.mels}: some would lie between two frequencies of frame_ms={self.frame_ms:g} at "
                f"rate={self.rate}; use fewer, or longer frames"
            )
        return self

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return round(self.rate * self.frame_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.rate * self.hop_ms / 1000)

    @property
    def features(self) -> int:
        """Numbers of a vector: so many mel bands of so many frames."""
        return self.mels * self.stack

    @property
    def seconds(self) -> float:
        """Seconds from one vector to the next."""
        return self.hop * self.stack / self.rate


def read_wav(path: Path, rate: int) -> tuple[np.ndarray, int, int]:
    """Return the sound of a wav file at ``rate``, int16 (N,), and the rate and the number of channels that it has there.

    Integers of 8 to 32 bits and floating-point numbers are read. Several channels become their mean. Another rate is
    changed by a polyphase filter, which lets nothing above half of the new rate through.

    Raises:
        Refused: if the file cannot be read, is no wav file, ends before its header says, holds no sample, or NaN.
    """
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    if not path.is_file():  # a pipe would never end
        raise Refused(f"{path}: {'no plain file' if path.exists() else 'no such file'}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no sound, such as names
            found, samples = wavfile.read(path)
            _require_end(path)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # of a header that promises what is not there, whatever it makes the library do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Refused(f"{path}: no wav file, or not a whole one ({reason[:100]})") from None
    if not samples.size:
        raise Refused(f"{path}: holds no sound")
    if not _SLOWEST <= found <= _FASTEST:
        raise Refused(f"{path}: {found} samples a second; valid: {_SLOWEST} to {_FASTEST}")
    if samples.dtype.kind == "f":
        if not np.isfinite(samples).all():
            raise Refused(f"{path}: holds samples that are NaN or infinite")
        wave = samples.astype(np.float64)
    else:
        middle = 128 if samples.dtype.kind == "u" else 0  # of 8 bits, which alone have no sign
        wave = (samples.astype(np.float64) - middle) / 2.0 ** (8 * samples.itemsize - 1)
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    if wave.ndim > 1:
        wave = wave.mean(1)
    if found != rate:
        common = math.gcd(found, rate)
        wave = resample_poly(wave, rate // common, found // common)
    return as_pcm(wave), found, channels


def _require_end(path: Path) -> None:
    """Raise ValueError for a file in which less sound is than its header says; scipy reads what is there of it."""
    with path.open("rb") as file:
        size, place = path.stat().st_size, 12
        while file.seek(place) and len(head := file.read(8)) == 8:
            kind, length = struct.unpack("<4sI", head)
            place += 8 + length + length % 2
            if kind == b"data":
                if file.tell() + length > size:
                    raise ValueError(f"{length} bytes of sound are promised, {size - file.tell()} are there")
                return


def changed(found: int, channels: int, rate: int) -> str:
    """Return in words how :func:`read_wav` changed a sound of ``found`` Hz and so many channels; empty if not."""
    mean = f"{channels} channels averaged" if channels > 1 else ""
    resampled = f"resampled from {found} Hz to {rate} Hz" if found != rate else ""
    return ", ".join(filter(None, (mean, resampled)))


def as_pcm(wave_N: np.ndarray) -> np.ndarray:
    """Return samples from -1 to 1 as int16; what lies beyond is cut."""
    return np.round(np.clip(wave_N, -1, 1) * 32767).astype(np.int16)


def vectors_of(wave_N: np.ndarray, config: SoundConfig, what: str) -> np.ndarray:
    """Return the log-mel vectors (S, features) of a sound of int16 (N,), float32; ``what`` it is, for the message.

    Each frame of ``frame_ms`` begins ``hop_ms`` after the one before. Its power under a Hann window goes through
    triangular filters at even distances on the mel scale; of that the logarithm is taken, cut 8 orders of magnitude below
    the loudest, and brought to mean 0 and standard deviation 1 over the whole utterance, so that loudness does not matter.
    ``stack`` frames beside each other are one vector; the last frame fills the last one up.

    Raises:
        Refused: if the sound is shorter than a frame.
    """
    if len(wave_N) < config.frame:
        raise Refused(f"{what}: {len(wave_N)} samples, shorter than a frame of {config.frame} (data.frame_ms)")
    frames_FN = np.lib.stride_tricks.sliding_window_view(wave_N / 32768.0, config.frame)[:: config.hop]
    power_FK = np.abs(np.fft.rfft(frames_FN * hann(config.frame), _bins(config.frame))) ** 2
    log_FM = np.log10(np.maximum(power_FK @ mel_filters(config.mels, config.frame, config.rate).T, _FLOOR))
    log_FM = np.maximum(log_FM, log_FM.max() - _RANGE)
    log_FM = (log_FM - log_FM.mean()) / max(float(log_FM.std()), 1e-5)
    log_FM = np.pad(log_FM, ((0, -len(log_FM) % config.stack), (0, 0)), mode="edge")
    return log_FM.reshape(-1, config.features).astype(np.float32)


def hann(size: int) -> np.ndarray:
    """Return the periodic Hann window (size,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


@cache
def mel_filters(mels: int, frame: int, rate: int) -> np.ndarray:
    """Return triangular filters (mels, frequencies) from 0 to half of ``rate``, each up to 1.

    Their corners are at even distances on the scale ``2595 log10(1 + f / 700)`` (O'Shaughnessy 1987, p. 150).
    """
    frequency_K = np.fft.rfftfreq(_bins(frame), 1 / rate)
    corners = 700 * (10 ** (np.linspace(0, 2595 * math.log10(1 + rate / 2 / 700), mels + 2) / 2595) - 1)
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.clip(np.minimum((frequency_K - low) / (peak - low), (high - frequency_K) / (high - peak)), 0, None)


def places_of(start: int, end: int, config: SoundConfig) -> tuple[int, int]:
    """Return the vectors, half-open, that stand for the samples from ``start`` to before ``end``.

    A frame stands for the samples of one hop around its middle, so that each sample belongs to one vector.
    """
    before, share = (config.frame - config.hop) // 2, config.hop * config.stack
    return max(0, start - before) // share, max(0, -((before - end) // share))


def outline(wave_N: np.ndarray, vectors: int, config: SoundConfig, parts: int = 8) -> np.ndarray:
    """Return a drawing of the sound: lowest and highest sample, from -1 to 1, of ``parts`` parts of each vector's share.

    Returns:
        float16 (vectors * parts, 2).
    """
    before, share = (config.frame - config.hop) // 2, config.hop * config.stack
    edges = before + np.arange(vectors * parts + 1) * share // parts
    ranges = [wave_N[start : max(end, start + 1)] for start, end in pairwise(edges)]
    found = [(part.min(), part.max()) if len(part) else (0, 0) for part in ranges]
    return (np.array(found) / 32768).astype(np.float16)


def drawn(wave_N: np.ndarray, vectors: int, config: SoundConfig) -> dict[str, Any]:
    """Return how a map shows a sound: ``places``, the second at which each vector begins, and ``wave``, its outline."""
    digits = 2 if config.seconds < 0.1 else 1
    places = [f"{place * config.seconds:.{digits}f}" for place in range(vectors)]
    return {"places": places, "wave": outline(wave_N, vectors, config)}


def _bins(frame: int) -> int:
    return 1 << max(1, frame - 1).bit_length()
