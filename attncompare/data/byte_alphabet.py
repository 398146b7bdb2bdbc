"""The 256 characters by which byte-level BPE writes bytes (Radford et al. 2019), and the way back."""

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
# Printable bytes stand for themselves; the others, in order, for the characters from U+0100 on.
_BYTE = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(_OTHERS)}


def bytes_of(token: str) -> bytes:
    """Return the bytes that a token of a byte-level vocabulary stands for."""
    return bytes(_BYTE[character] for character in token)


def readable(content: bytes) -> str:
    """Return ``content`` as text; bytes that are no whole UTF-8 character appear as ``⟨E2⟩``."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        text = content.decode(errors="surrogateescape")
        return "".join(f"⟨{ord(c) - 0xDC00:02X}⟩" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
