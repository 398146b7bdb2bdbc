"""One language: its CLDR locale, and its spoken numbers."""

import functools

from babel import Locale, localedata
from num2words import CONVERTER_CLASSES, num2words

from attncompare.errors import Refused
from attncompare.registry import unknown

KINDS = ("cardinal", "ordinal", "year")


class Language:
    """What the makers of phrases need to know of a locale such as ``de`` or ``pt_BR``.

    Args:
        code: a locale of CLDR.
        key: the config key it stands under, for the message.

    Raises:
        Refused: if CLDR does not know the locale or num2words cannot spell its numbers.
    """

    def __init__(self, code: str, key: str) -> None:
        name = code.replace("-", "_")
        spoken = _spoken(name)
        if spoken is None or not localedata.exists(name):
            raise Refused(f"{key}: {unknown('locale', code, languages())}, or one of these with a territory (pt_BR)")
        self.locale = Locale.parse(name)
        self.code = str(self.locale)
        self._spoken = spoken
        self.kinds = frozenset(kind for kind in KINDS if _can_say(spoken, kind))

    @functools.cache  # noqa: B019  (two objects a process, and the corpus asks for the same few thousand numbers)
    def say(self, number: int, kind: str = "cardinal") -> str:
        """Return ``number`` in words; ``kind`` is one of :attr:`kinds`."""
        return num2words(number, lang=self._spoken, to=kind).strip()


Both = tuple[Language, Language]  # source, target


def languages() -> list[str]:
    """Return the locales that CLDR knows and num2words can spell."""
    return sorted(code for code in CONVERTER_CLASSES if localedata.exists(code) and _can_say(code, "cardinal"))


def _spoken(name: str) -> str | None:
    """Return num2words' name for the locale: with its territory, if that counts differently, or without."""
    language, *rest = name.split("_")
    candidates = (f"{language}_{rest[-1]}" if rest else language, language)
    return next((code for code in candidates if code in CONVERTER_CLASSES and _can_say(code, "cardinal")), None)


def _can_say(spoken: str, kind: str) -> bool:
    try:
        return all(num2words(number, lang=spoken, to=kind) for number in (1, 12, 30, 100, 1000, 1984))
    except (NotImplementedError, TypeError, ValueError, KeyError, IndexError, AttributeError):
        return False  # num2words has no rule for what is missing: each language fails in its own way
