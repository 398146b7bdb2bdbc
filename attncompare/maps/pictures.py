"""Attention maps as PNG pictures: every head of one site, or one head of several models side by side.

They are drawn pixel for pixel with Pillow, because a run draws some at every validation. The same maps give the same
bytes. One scale from 0 to 1 serves all pictures: no map is stretched to its own largest weight.
"""

import logging
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from zlib import crc32

import matplotlib
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from attncompare.config.variants import variant_place
from attncompare.maps.maps import ProbeMaps, SiteMap

log = logging.getLogger("attncompare")

# Matplotlib's magma from 1 to 0 at 17 even stops, perceptually uniform, its end at 0 paled towards white.
RAMP = (
    "#fffff5", "#feeecb", "#fed0a2", "#feae80", "#fc8c68", "#f56c5f", "#e65265", "#cf4170", "#b5367a",
    "#9b2e7f", "#812581", "#681c81", "#4f127b", "#341069", "#1c1044", "#090720", "#000004",
)  # fmt: skip
GOLD = "#0090c8"  # outlines of gold alignments: no color of the ramp
# Okabe and Ito's colors for every kind of color vision, without black and yellow, which a background may swallow.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
OVER = "#d55e00"  # over an image, which has shades of gray alone
BLOCKED = (204, 209, 217)  # a key that the query may not attend to: no color of the ramp
_INK, _SOFT, _FRAME = "#222222", "#555555", "#8a8a8a"
_COLUMNS = 8  # heads side by side; more wrap into further rows of the same layer
_LONGEST = 14  # characters of a label
_GAP = 14  # pixels between panels and around the picture
_LINE = 17  # pixels of a line of text
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"  # of letters, and what chooses between forms of one; without a width of their own
_IMAGE = 112  # pixels of the longer side of an image, or somewhat less
_SCALE = 78  # pixels of the color scale and what boxes mean, at the right edge
_SENTENCE = 3  # lines of the sentence
_BITMAP = 109  # pixels: the one size of fonts whose letters are colored pictures
_WAVE = 36  # pixels of a drawing of sound, above the keys that stand for it


def variant_colors(labels: Iterable[str]) -> dict[str, str]:
    """Return the color of each of ``labels``, whatever their order: no color comes again before all are taken.

    A label's text decides its color, the same in every comparison; where another one has that color already, it gets the
    next free one. Variants of ``conf/attention`` choose first.
    """
    taken: Counter[int] = Counter()
    colors = {}
    for label in sorted(set(labels), key=variant_place):
        # The salt is one with which the first five variants have five colors.
        wanted = crc32(f"1 {label}".encode())
        place = min(range(len(SERIES)), key=lambda place: (taken[place], (place - wanted) % len(SERIES)))
        taken[place] += 1
        colors[label] = SERIES[place]
    return colors


def ramp_color(weight: float) -> tuple[int, int, int]:
    """Return the color of a weight in [0, 1] as red, green and blue from 0 to 255."""
    red, green, blue = _colors(np.array(weight)).tolist()
    return red, green, blue


def heatmap_png(site_map: SiteMap, title: str, probe: ProbeMaps | None = None) -> bytes:
    """Draw every head of ``site_map`` and return the picture as PNG, with the sentence of ``probe``.

    Rows of panels are layers, columns are heads. Queries run down, keys run to the right. Keys that a causal mask blocks
    are gray; gold alignments, where known, are outlined (thick: sure, thin: possible). Where the keys are squares of the image
    of ``probe``, each head's weights also stand over the image: those of the last query where it is no square, else their mean
    over all queries; the fullest color is the largest of them. Keys that are sound have it above them.
    """
    columns = -(-site_map.heads // -(-site_map.heads // _COLUMNS))  # rows of about the same length
    rows = []
    for layer in range(site_map.layers):
        heads = [(site_map, layer, head, f"layer {layer + 1} · head {head + 1}") for head in range(site_map.heads)]
        rows += [heads[start : start + columns] for start in range(0, len(heads), columns)]
    maps = _draw(rows, title, probe.text if probe else "")
    return _png(maps if probe is None or not probe.squares(site_map) else _above(maps, _over_image(rows, probe)))


def side_by_side(
    series: Sequence[tuple[str, SiteMap]], layer: int = -1, head: int = 0, title: str = "", text: str = ""
) -> bytes:
    """Draw one head of each of several models, given with their labels, in one row and return the picture as PNG.

    ``text`` is the sentence, which stands below the title.

    Of a model with fewer layers (from 0; -1: the last) or heads the last is drawn.
    """
    row = [(site, min(layer, site.layers - 1), min(head, site.heads - 1), label) for label, site in series]
    return _png(_draw([row], title, text))


_Panel = tuple[SiteMap, int, int, str]  # a map, the layer and head to draw, and the caption


def _draw(rows: list[list[_Panel]], title: str, text: str) -> Image.Image:
    """Draw panels of about the same size in a grid: queries stand beside the first column, keys above the first row."""
    sites = [panel[0] for row in rows for panel in row]
    T, S = max(len(site.queries) for site in sites), max(len(site.keys) for site in sites)
    columns = max(map(len, rows))
    cell = int(np.clip(1000 // max(columns * S, len(rows) * T), 12, 28))
    font, heading = _font(min(13, cell - 2)), _font(13, bold=True)
    # Where every panel has the same labels they stand once; models compared may have read different tokens.
    shared = len({(site.rows, site.keys) for site in sites}) == 1
    beside = max(_width(font, label) for site in sites for label in site.rows) + 6
    wave = _WAVE * any(site.wave is not None for site in sites)
    above = max(_width(font, label) for site in sites for label in site.keys) + 6 + wave
    step = S * cell + _GAP + (0 if shared else beside)
    lefts = [_GAP + _LINE + beside + place * step for place in range(columns)]
    scale = lefts[-1] + S * cell + _GAP
    width = max(scale + _SCALE, int(_length(heading, _clean(title))) + 2 * _GAP)
    sentence = _wrapped(text, _font(12), width - 2 * _GAP)
    tops, bottom = [], _GAP + (_LINE + 6 if title else 0) + _LINE * (len(sentence) + 1)  # the last is the axis of keys
    first = bottom
    for place in range(len(rows)):
        tops.append(bottom + _LINE + (above if place == 0 or not shared else 0))
        bottom = tops[-1] + T * cell + _GAP
    gold = any(site.sure_TS is not None for site in sites)
    image = Image.new("RGB", (width, max(bottom, tops[0] + 110 + 64 * gold)), "white")
    _write(image, _GAP, _GAP, _clean(title), "black", heading, "la")
    for line, part in enumerate(sentence):
        _write(image, _GAP, first - _LINE * (len(sentence) + 1 - line), part, _SOFT, _font(12), "la")
    axes = sites[0].axes
    _write(image, lefts[0], first - _LINE, f"{axes[1]} →", _INK, _font(11, bold=True), "la")
    named = f"← {axes[0]}"
    if int(_length(_font(11, bold=True), named)) > bottom - tops[0]:
        named = "← query"
    _upwards(image, named, _font(11, bold=True), _GAP + _LINE // 2 - 4, tops[0], down=True)
    for top, row in zip(tops, rows, strict=True):
        for left, (site, layer, head, caption) in zip(lefts, row, strict=False):
            keys_here = top == tops[0] or not shared
            _panel(image, site, layer, head, left, top, cell)
            most = max(4, int(S * cell / _font(12).getlength("m")))
            _write(image, left, top - keys_here * above - _LINE, _clean(caption, most), _SOFT, _font(12), "la")
            if left == lefts[0] or not shared:
                for t, label in enumerate(site.rows):
                    _write(image, left - 4, top + (t + 0.5) * cell, _clean(label, _LONGEST), _INK, font, "rm")
            for s, label in enumerate(site.keys if keys_here else ()):
                _upwards(image, _clean(label, _LONGEST), font, left + s * cell + cell // 2, top - 4 - wave)
            if keys_here and site.wave is not None:
                _wave(ImageDraw.Draw(image), site.wave, left, top, cell * len(site.keys))
    _scale(ImageDraw.Draw(image), image.width - _SCALE + 10, tops[0], any(site.causal for site in sites), gold)
    return image


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return ``text`` in a few lines of so many pixels; what does not fit is cut off."""
    lines = textwrap.wrap(_clean(text), max(8, int(width / font.getlength("m"))), placeholder="…", max_lines=_SENTENCE)
    while any(_length(font, line) > width for line in lines):  # letters wider than those of the usual font
        lines = [line if _length(font, line) <= width else f"{line[:-2]}…" for line in lines]
    return lines


def _over_image(rows: list[list[_Panel]], probe: ProbeMaps) -> Image.Image:
    """Draw the image once for each panel, with its weights over it."""
    assert probe.image_HW is not None
    H, W = probe.image_HW.shape
    scale = max(1, _IMAGE // max(H, W))
    picture = Image.fromarray(probe.image_HW).convert("RGB").resize((W * scale, H * scale), Image.Resampling.NEAREST)
    site = rows[0][0][0]
    squares = probe.squares(site)
    whose = site.queries[-1] if len(site.queries) > squares else "all queries, mean"
    width, height = max(W * scale, 130) + _GAP, H * scale + _LINE + _GAP
    sheet = Image.new("RGB", (_GAP + width * max(map(len, rows)), _LINE + _GAP + height * len(rows)), "white")
    _write(sheet, _GAP, 0, f"over the image: {whose}; the fullest color is the largest weight", _INK, _font(12), "la")
    for y, row in enumerate(rows):
        for x, (_, layer, head, caption) in enumerate(row):
            weights_TS = site.weights_LHTS[layer, head].astype(np.float64)
            weights_S = (weights_TS[-1] if len(site.queries) > squares else weights_TS.mean(0))[:squares]
            share = weights_S.reshape(H // probe.patch, W // probe.patch) / max(float(weights_S.max()), 1e-9)
            left, top = _GAP + x * width, _LINE + _GAP + y * height
            _write(sheet, left, top - 2, caption, _SOFT, _font(12), "la")
            mask = Image.fromarray((190 * share).round().astype(np.uint8)).resize(
                picture.size, Image.Resampling.NEAREST
            )
            sheet.paste(picture, (left, top + _LINE))
            sheet.paste(OVER, (left, top + _LINE), mask)
    return sheet


def _above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    both = Image.new("RGB", (max(upper.width, lower.width), upper.height + lower.height), "white")
    both.paste(upper, (0, 0))
    both.paste(lower, (0, upper.height))
    return both


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _panel(image: Image.Image, site: SiteMap, layer: int, head: int, left: int, top: int, cell: int) -> None:
    """Draw one head with its frame and the outlines of the gold alignment."""
    colors_TSC = _colors(site.weights_LHTS[layer, head])
    T, S = colors_TSC.shape[:2]
    if site.causal:
        colors_TSC[np.triu(np.ones((T, S), bool), 1)] = BLOCKED
    image.paste(Image.fromarray(colors_TSC.repeat(cell, 0).repeat(cell, 1)), (left, top))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left - 1, top - 1, left + S * cell, top + T * cell), outline=_FRAME)
    if site.sure_TS is None or site.possible_TS is None:
        return
    for gold_TS, width in ((site.possible_TS & ~site.sure_TS, 1), (site.sure_TS, 2)):
        for t, s in np.argwhere(gold_TS):
            x, y = left + s * cell + 1, top + t * cell + 1
            draw.rectangle((x, y, x + cell - 3, y + cell - 3), outline=GOLD, width=width)


def _wave(draw: ImageDraw.ImageDraw, wave: np.ndarray, left: int, bottom: int, width: int) -> None:
    """Draw a sound above ``bottom``, as high as its loudest sample."""
    loudest, middle = max(float(np.abs(wave).max()), 1e-9), bottom - 3 - (_WAVE - 6) / 2
    for x in range(width):
        parts = wave[x * len(wave) // width : max((x + 1) * len(wave) // width, x * len(wave) // width + 1)]
        low, high = (float(one) / loudest * (_WAVE - 6) / 2 for one in (parts[:, 0].min(), parts[:, 1].max()))
        draw.line((left + x, middle - high, left + x, middle - low), _SOFT)


def _scale(draw: ImageDraw.ImageDraw, left: int, top: int, blocked: bool, gold: bool) -> None:
    """Draw the color scale, 0 at its foot, and what gray and outlined cells are."""
    draw.text((left - 1, top - 8), "weight", _INK, _font(10), anchor="ls")
    for place in range(80):
        draw.line((left, top + place, left + 11, top + place), ramp_color(1 - place / 79))
    draw.rectangle((left - 1, top - 1, left + 12, top + 80), outline=_FRAME)
    for value in (0, 0.5, 1):
        draw.text((left + 17, top + 79 * (1 - value)), f"{value:g}", _INK, _font(10), anchor="lm")
    if blocked:
        draw.rectangle((left - 1, top + 90, left + 10, top + 101), BLOCKED, _FRAME)
        draw.text((left + 15, top + 96), "masked", _INK, _font(9), anchor="lm")
    for line, (name, width) in enumerate((("sure", 2), ("possible", 1)) if gold else ()):
        y = top + 130 + 18 * line
        draw.text((left - 1, top + 120), "gold links", _INK, _font(9), anchor="lm")
        draw.rectangle((left - 1, y, left + 10, y + 11), outline=GOLD, width=width)
        draw.text((left + 15, y + 6), name, _INK, _font(9), anchor="lm")


def _upwards(
    image: Image.Image, text: str, font: ImageFont.FreeTypeFont, center: int, bottom: int, down: bool = False
) -> None:
    """Write ``text`` from ``bottom`` upwards; ``down``: likewise, so that it ends at the height of ``bottom`` and hangs down."""
    box = Image.new("RGB", (max(1, int(np.ceil(_length(font, text)))), _LINE), "white")
    _write(box, 0, _LINE / 2, text, _INK, font, "lm")
    turned = box.rotate(90, expand=True)
    place = (center - _LINE // 2, bottom if down else bottom - turned.height)
    below = image.crop((*place, place[0] + turned.width, place[1] + turned.height))
    image.paste(ImageChops.darker(below, turned), place)  # boxes of neighbours overlap


def _colors(weights: np.ndarray) -> np.ndarray:
    """Return the color of each weight (...) as uint8 (..., 3)."""
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in RAMP], np.float64)
    place = np.clip(weights.astype(np.float64), 0, 1) * (len(RAMP) - 1)
    channels = [np.interp(place, np.arange(len(RAMP)), stops[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the fixed-width font that comes with matplotlib, so that pictures are the same everywhere."""
    name = "DejaVuSansMono-Bold.ttf" if bold else "DejaVuSansMono.ttf"
    # Without kerning and ligatures, so that the result does not depend on optional libraries of Pillow.
    path = Path(matplotlib.get_data_path()) / "fonts/ttf" / name
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _width(font: ImageFont.FreeTypeFont, label: str) -> int:
    return max(1, int(np.ceil(_length(font, _clean(label, _LONGEST)))))


def _write(
    image: Image.Image, x: float, y: float, text: str, ink: str, font: ImageFont.FreeTypeFont, anchor: str
) -> None:
    """Write ``text`` at ``anchor`` (of Pillow: l or r, and a or m), each letter in the first font that has it."""
    runs, draw = _runs(text, font), ImageDraw.Draw(image)
    if [one for _, one in runs] in ([], [font]):
        draw.text((x, y), text, ink, font, anchor=anchor)
        return
    ascent, descent = font.getmetrics()
    baseline = y + (ascent if anchor[1] == "a" else (ascent - descent) / 2)
    left = x - (_length(font, text) if anchor[0] == "r" else 0)
    for part, one in runs:
        if one.size == _BITMAP:
            picture = Image.new("RGBA", (int(one.getlength(part)), _BITMAP + 24))
            ImageDraw.Draw(picture).text((0, 0), part, font=one, embedded_color=True)
            shrunk = picture.resize((max(1, int(picture.width * font.size / _BITMAP)), int(font.size * 1.2)))
            image.paste(shrunk, (int(left), int(baseline - font.size)), shrunk)
        else:
            draw.text((left, baseline), part, ink, one, anchor="ls")
        left += _advance(one, part, font)


def _advance(one: ImageFont.FreeTypeFont, part: str, font: ImageFont.FreeTypeFont) -> float:
    """Return the width of a part in its font, beside letters of ``font``."""
    return one.getlength(part) * (font.size / _BITMAP if one.size == _BITMAP else 1)


def _length(font: ImageFont.FreeTypeFont, text: str) -> float:
    return sum(_advance(one, part, font) for part, one in _runs(text, font))


def _runs(text: str, font: ImageFont.FreeTypeFont) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """Cut ``text`` where the font changes: ``font`` where it has the letter, else an installed one."""
    runs: list[tuple[str, ImageFont.FreeTypeFont]] = []
    usual = Path(str(font.path))
    file, one = usual, font
    for letter in text:
        mark = unicodedata.category(letter).startswith("M")  # belongs to the letter before it
        if not (mark and runs and ord(letter) in _letters(file)):
            file = _file_with(letter, usual) or usual
            to_the_left = unicodedata.bidirectional(letter) in (
                "R",
                "AL",
            )  # the usual font is read without their shaping
            one = font if file == usual and not to_the_left else _installed(file, int(font.size))
        if runs and runs[-1][1] is one:
            runs[-1] = runs[-1][0] + letter, one
        else:
            runs.append((letter, one))
    return runs


@cache
def _file_with(letter: str, usual: Path) -> Path | None:
    """Return ``usual`` where it has the letter, else the first font of the system that does; None: no font has it."""
    return next((file for file in (usual, *_system_fonts()) if ord(letter) in _letters(file)), None)


@cache
def _say_once(package: str) -> None:
    what = "pictures of maps show the numbers of letters that no installed font has, as U+4E2D"
    log.warning("%s; on Debian and Ubuntu the package %s has some of them", what, package)


def _package(letter: str) -> str:
    """Return the package of Debian's with a font for the letter."""
    name = unicodedata.name(letter, "")
    if re.match("CJK|HIRAGANA|KATAKANA|HANGUL|BOPOMOFO|IDEOGRAPHIC|FULLWIDTH", name):
        return "fonts-noto-cjk"
    return "fonts-noto-color-emoji" if unicodedata.category(letter) == "So" else "fonts-noto-core"


@cache
def _system_fonts() -> list[Path]:
    """Return the files of fonts, upright ones of usual weight first, without those that draw a box for every letter."""
    from matplotlib import font_manager  # takes long, and most pictures need no other font

    files = [Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", *map(Path, font_manager.findSystemFonts())]
    files = [file for file in files if not re.search("last.?resort|blank", file.name, re.IGNORECASE)]
    other = re.compile("bold|italic|oblique|light|thin|black|medium|serif|condensed", re.IGNORECASE)
    return sorted(files, key=lambda file: (other.search(file.name) is not None, file.name, str(file)))


@cache
def _letters(file: Path) -> frozenset[int]:
    """Return the code points that a font has, none of one that neither has outlines nor is of colored pictures."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(str(file))
        return frozenset(font.get_charmap() if font.scalable or _bitmaps(file) else ())
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _bitmaps(file: Path) -> ImageFont.FreeTypeFont | None:
    """Return a font of colored pictures, which has one size; None: it is none, or of another size."""
    try:
        return ImageFont.truetype(file, _BITMAP) if "color" in file.name.casefold() else None
    except OSError:
        return None


@cache
def _installed(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return _bitmaps(file) or ImageFont.truetype(file, size)


def _clean(text: str, most: int | None = None) -> str:
    """Show what is no letter as a replacement character, and a letter that no font has as its number; cut after ``most``."""
    usual, shown = Path(str(_font(12).path)), ""
    for letter in (c for c in text if c not in _JOINERS):
        if not letter.isprintable():
            shown += "\ufffd"
        elif _file_with(letter, usual) is None:
            _say_once(_package(letter))
            shown += f"U+{ord(letter):04X}"
        else:
            shown += letter
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"
