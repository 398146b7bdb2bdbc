"""What ``bench attention`` can be asked for. Imports nothing heavy: what cannot work is refused at once (C11)."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from attncompare.errors import Refused
from attncompare.registry import unknown

DTYPES = ("float32", "bfloat16")
PARTS = ("functions", "modules")
PEERS = ("eager", "compile", "sdpa")


@dataclass(frozen=True)
class Variant:
    """What a file of conf/attention asks of the function that goes from queries, keys and values to context."""

    name: str
    score: str
    causal: bool


@dataclass(frozen=True)
class Wish:
    """Which attention, in which sizes, against whom."""

    attention: tuple[str, ...]
    parts: tuple[str, ...] = PARTS
    peers: tuple[str, ...] = PEERS
    lengths: tuple[int, ...] = (64, 256, 1024, 4096)
    batch: int = 1
    heads: int = 4
    head_dim: int = 32
    dtype: str = "float32"

    @property
    def variants(self) -> list[Variant]:
        """Return the wished variants; of those that are the same function (heads are given apart), the first."""
        found = {
            (variant.score, variant.causal): variant for variant in reversed([variant_of(n) for n in self.attention])
        }
        return sorted(found.values(), key=lambda variant: self.attention.index(variant.name))


# Sizes at which the docs tell how fast and how large attention is.
PRESETS: dict[str, dict[str, Any]] = {
    "additive": {"attention": ("additive",), "parts": ("functions",), "lengths": (1024,)},
    "memory": {
        "attention": ("additive",),
        "parts": ("functions",),
        "lengths": (1024, 2048, 4096),
        "heads": 1,
        "head_dim": 64,
    },
    "module": {"parts": ("modules",), "lengths": (256,), "batch": 8, "heads": 6, "head_dim": 64},
}
_QUICK: dict[str, Any] = {"lengths": (16, 32), "heads": 2, "head_dim": 8}


def wish(preset: str | None, quick: bool, **given: Any) -> Wish:
    """Return what is wished: what was given (None: nothing), else what the preset says, else the defaults.

    Raises:
        Refused: for an unknown variant, part or peer.
    """
    valid = {"attention": variant_names(), "parts": PARTS, "peers": PEERS}
    said = {key: value for key, value in given.items() if value is not None}
    for key, names in valid.items():
        for name in said.get(key, ()):
            if name not in names:
                raise Refused(f"--{key}: {unknown(key.removesuffix('s'), name, names)}")
    chosen = PRESETS[preset] if preset else {}
    return replace(Wish(tuple(variant_names())), **{**chosen, **(_QUICK if quick else {}), **said})


def variant_names() -> list[str]:
    """Return the names of all files in conf/attention."""
    from attncompare.config import CONF_DIR

    return sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml"))


@cache
def variant_of(name: str) -> Variant:
    """Return what conf/attention/NAME.yaml, with the file that it builds on, asks for."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from attncompare.config import CONF_DIR, AttentionConfig

    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composed = compose("train", overrides=[f"attention={name}"])
    config = AttentionConfig.model_validate(OmegaConf.to_container(composed.attention))
    return Variant(name, config.score, config.causal)
