"""What a tokenizer's file may hold: a vocabulary. How texts are cut is code, and no file brings its own.

The library's format can name normalizers, regular expressions and templates, each a way to make a reader hang or to
change texts unseen; a file is read only if all of that is what attncompare itself writes for one of its kinds.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer as Backend

from attncompare.data.byte_alphabet import bytes_of
from attncompare.errors import Refused
from attncompare.config.plain_values import safe_json

LARGEST = 64 * 2**20
"""Bytes of a tokenizer's file: some million tokens."""


def checked_tokenizer(content: bytes, what: str, blanks: Iterable[Backend], specials: tuple[str, ...]) -> str:
    """Return ``content`` as JSON that holds nothing but a known kind of tokenizer and a sound vocabulary.

    Args:
        content: the file.
        what: its name, for messages.
        blanks: an untrained tokenizer of each kind.
        specials: the tokens with the first ids.

    Raises:
        Refused: if it is anything else.
    """
    if len(content) > LARGEST:
        raise Refused(f"{what}: {len(content)} bytes, too large for a tokenizer; at most {LARGEST} are read")
    values = safe_json(content, what)
    try:
        vocab, merges = _by_token(values["model"]["vocab"]), values["model"].get("merges", [])
        rest = _without_vocabulary(values)
    except (AttributeError, KeyError, TypeError):
        raise Refused(f"{what}: not a tokenizer written by attncompare: it has no vocabulary") from None
    _check_vocabulary(vocab, what, specials)
    known = [_without_vocabulary(json.loads(_with_specials(blank, specials))) for blank in blanks]
    if rest not in known:
        odd = min((_different(rest, one) for one in known), key=len)
        raise Refused(f"{what}: not a tokenizer written by attncompare: another {', '.join(odd)}")
    if rest["decoder"]["type"] == "ByteLevel":
        _check_bytes(vocab, what, specials)
    if rest["model"]["type"] == "BPE":
        _check_merges(vocab, merges, what)
    return json.dumps(values)


def _by_token(vocab: Any) -> Any:
    """Return each token with its id; of a unigram model, whose tokens stand in order with their scores, sound ones alone.

    Raises:
        TypeError: if tokens have scores that are no logarithms of probabilities, or stand there twice.
    """
    if not isinstance(vocab, list):
        return vocab
    ids: dict[str, int] = {}
    for number, entry in enumerate(vocab):
        token, score = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        if not isinstance(token, str) or type(score) is not float or not -math.inf < score <= 0 or token in ids:
            raise TypeError("no vocabulary of a unigram model")
        ids[token] = number
    return ids


def _with_specials(blank: Backend, specials: tuple[str, ...]) -> str:
    blank.add_special_tokens(list(specials))
    return blank.to_str()


def _without_vocabulary(values: dict[str, Any]) -> dict[str, Any]:
    model = {key: value for key, value in values["model"].items() if key not in ("vocab", "merges")}
    return {**values, "model": model}


def _different(values: dict[str, Any], known: dict[str, Any]) -> list[str]:
    return sorted(key for key in values.keys() | known.keys() if values.get(key) != known.get(key))


def _check_vocabulary(vocab: Any, what: str, specials: tuple[str, ...]) -> None:
    if not isinstance(vocab, dict) or sorted(map(str, vocab.values())) != sorted(map(str, range(len(vocab)))):
        raise Refused(f"{what}: not a tokenizer written by attncompare: its ids are not 0, 1, 2, ...")
    if [vocab.get(token) for token in specials] != list(range(len(specials))):
        raise Refused(f"{what}: not a tokenizer written by attncompare: ids 0-3 are not {specials}")


def _check_bytes(vocab: dict[str, int], what: str, specials: tuple[str, ...]) -> None:
    try:
        for token in vocab:
            if token not in specials:
                bytes_of(token)
    except KeyError:
        raise _unfit(what) from None


def _check_merges(vocab: dict[str, int], merges: Any, what: str) -> None:
    try:
        sound = all(one in vocab and two in vocab and one + two in vocab for one, two in merges)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise _unfit(what)


def _unfit(what: str) -> Refused:
    return Refused(f"{what}: not a tokenizer written by attncompare: its pieces do not fit its vocabulary")
