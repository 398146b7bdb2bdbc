"""The files of ``data=pairs``, checked as bytes before anything is loaded or started. Imports nothing heavy."""

from pathlib import Path

from attncompare.config import PairsConfig
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused
from attncompare.metric_names import counted

_LONGEST = 2**20  # bytes of a line


def checked_pair_files(config: PairsConfig) -> dict[str, tuple[Path, Path]]:
    """Return source and target file of each split, after reading them all once.

    Raises:
        Refused: if a file is missing, empty, of another length than its partner, not UTF-8, or holds a blank line.
    """
    if config.path is None:
        raise Refused("data.path=null; give the folder of the files")
    folder = Path(config.path)
    if not folder.is_dir():
        raise Refused(f"data.path={config.path} is no folder")
    files = {split: (folder / f"{split}.{config.source}", folder / f"{split}.{config.target}") for split in SPLITS}
    for source, target in files.values():
        counts = count_lines(source), count_lines(target)
        if counts[0] != counts[1]:
            raise Refused(
                f"{source} has {counted(counts[0], 'line')} but {target} has {counts[1]}; line by line they must translate"
            )
    return files


def count_lines(path: Path) -> int:
    """Return the number of lines, which end in LF or CRLF, reading the file once and never whole.

    Raises:
        Refused: if the file is missing, no plain file, empty, not UTF-8, or holds a blank line, a line beyond a
            mebibyte, a NUL byte or a stray carriage return.
    """
    count = 0
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise Refused(f"{path}: no plain file")
        with path.open("rb") as file:
            for count, line in enumerate(iter(lambda: file.readline(_LONGEST + 1), b""), start=1):
                _check(line, f"{path}, line {count}")
    except OSError as error:
        raise Refused(f"{path}: cannot read: {error.strerror}") from None
    if count == 0:
        raise Refused(f"{path} is empty; it must hold one sentence a line")
    return count


def _check(line: bytes, where: str) -> None:
    if len(line) > _LONGEST:
        raise Refused(f"{where}: longer than {_LONGEST} bytes; this is no sentence")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{where}: not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x})") from None
    if "\0" in text:
        raise Refused(f"{where}: a NUL byte; this is no text file")
    if "\r" in text.removesuffix("\n").removesuffix("\r"):
        # Other readers take it for the end of a line, and every later pair would be shifted by one.
        raise Refused(f"{where}: a carriage return inside the line; lines must end in LF or CRLF")
    if not text.strip():
        raise Refused(f"{where}: blank; remove the line here and in the other language, or fill it")
