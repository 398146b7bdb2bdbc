"""Finished runs in one compact file, ``NAME.tar.xz``; unpacked they are ordinary run folders with a valid seal.

Weights and maps are left out, and so are ``run.log``, resume checkpoints and W&B's files, which no seal covers. The
manifest of each run names what is missing. The same runs give the same bytes.
"""

import lzma
import tarfile
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from attncompare.config import RunConfig
from attncompare.config.variants import variant_in_file_names
from attncompare.errors import Refused
from attncompare.record.files import LIMIT, MEBIBYTE, read_inside, require_relative, write_bytes
from attncompare.record.run import find_runs

SUFFIX = ".tar.xz"
DROPPED = ("checkpoints/*", "maps/*")
"""What an archive leaves out: a reproduction compares metrics, predictions and the weights' SHA-256, not the weights."""
_MOST_FILES = 20_000
_MEMORY = 256 * MEBIBYTE  # of the decompressor, whose settings an archive chooses


def pack(paths: Iterable[str | Path], archive: Path | str, drop: Sequence[str] = DROPPED) -> int:
    """Write the finished runs in ``paths`` into ``archive`` and return its size in bytes.

    ``paths`` are folders of runs or of sweeps; the runs in ``NAME.tar.xz`` are called ``NAME/<data>-<variant>-s<seed>``,
    with the backbone before the variant where runs differ in it, and the heads behind it where names would be the same.
    ``drop`` are patterns of files to leave out; add ``predictions.jsonl`` where the data must not be copied.
    Raises Refused if a run is not finished or damaged, two runs would have one name, or the archive is too large.
    """
    archive = Path(archive)
    if not archive.name.endswith(SUFFIX):
        raise Refused(f"{archive}: the name of an archive ends with {SUFFIX}")
    files: dict[str, bytes] = {}
    runs = find_runs(paths)
    several_backbones = len({run.config.backbone.name for run in runs}) > 1
    names = [_name(run.config, several_backbones) for run in runs]
    if len(set(names)) < len(names):
        names = [_name(run.config, several_backbones, heads=True) for run in runs]
    for run, name in zip(runs, names, strict=True):
        folder = f"{archive.name.removesuffix(SUFFIX)}/{name}"
        if f"{folder}/summary.json" in files:
            raise Refused(f"{run.path}: another run is called {name}, too")
        files |= {f"{folder}/{file}": content for file, content in run.without(drop).items()}
    if sum(map(len, files.values())) > LIMIT:
        raise Refused(f"{archive}: more than {LIMIT} bytes; pack fewer runs, or drop more files")
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(files, key=lambda name: (name.split("/", 2)[2], name)):  # alike beside alike: smaller
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, BytesIO(files[name]))
    content = lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    write_bytes(archive, content)
    return len(content)


def _name(config: RunConfig, backbone: bool, heads: bool = False) -> str:
    variant = variant_in_file_names(config.attention)
    backbone_name = config.backbone.name if backbone else ""
    heads_name = f"h{config.attention.heads}" if heads else ""
    return "-".join(filter(None, (config.data.name, backbone_name, variant, heads_name, f"s{config.seed}")))


def unpack(archive: Path | str, folder: Path, only: str | None = None) -> Path:
    """Unpack ``archive``, or the one run ``only``, into ``folder`` and return the folder of its runs in there.

    Nothing is written outside of ``folder`` or over what is there, and at most 256 MiB. Refused is what is damaged, too
    large, or holds anything but plain files of runs.
    """
    archive = Path(archive)
    packed, top, runs = read_inside(archive.parent, archive.name), archive.name.removesuffix(SUFFIX), set()
    try:
        decompressor = lzma.LZMADecompressor(memlimit=_MEMORY)
        content = decompressor.decompress(packed, LIMIT + 1)
        if len(content) > LIMIT or not decompressor.eof:
            raise Refused(f"{archive}: cut, or more than {LIMIT} bytes when unpacked")
        with tarfile.open(fileobj=BytesIO(content), mode="r:") as tar:
            members = tar.getmembers()
            if len(members) > _MOST_FILES:
                raise Refused(f"{archive}: holds {len(members)} files; at most {_MOST_FILES} are read")
            for member in members:
                parts = require_relative(member.name, str(archive)).parts
                if not member.isreg() or len(parts) < 3 or parts[0] != top:
                    raise Refused(f"{archive}: {member.name!r} is no file of a run in {top}")
                runs.add(parts[1])
                source = tar.extractfile(member)
                if source is not None and only in (None, parts[1]):
                    target = folder.joinpath(*parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as file:
                        file.write(source.read())
    except (lzma.LZMAError, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise Refused(f"{archive}: damaged ({error})") from None
    except OSError as error:
        raise Refused(f"{archive}: cannot be unpacked into {folder} ({error.strerror})") from None
    if not runs or (only is not None and only not in runs):
        raise Refused(f"{archive}: holds no run {only or ''}; it holds: {', '.join(sorted(runs))}")
    return folder / top / (only or "")
