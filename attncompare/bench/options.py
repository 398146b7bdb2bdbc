"""What all benchmarks can be told. No torch here: wrong options are refused before it is imported (C11)."""

from dataclasses import dataclass
from pathlib import Path

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Length:
    """How long contenders are measured: at least ``rounds`` rounds, and more while ``seconds`` have not passed."""

    rounds: int = 10
    seconds: float = 2.0
    sample_seconds: float = 0.005  # the calls of one sample take about that long, or one call does


@dataclass(frozen=True)
class Options:
    """What the command line says for every benchmark."""

    rounds: int | None = None  # None: as the benchmark chooses
    threads: int | None = None  # None: as torch chooses
    device: str = "cpu"
    quick: bool = False  # sizes and rounds that show that it works, and nothing else
    json: Path | None = None
    plot: Path | None = None
    markdown: bool = False

    @property
    def words(self) -> list[str]:
        """Return the options that change figures, as they are typed."""
        numbers = {"rounds": self.rounds, "threads": self.threads}
        said = [f"--{name} {number}" for name, number in numbers.items() if number is not None]
        return [*said, *([f"--device {self.device}"] if self.device != "cpu" else []), *(["--quick"] * self.quick)]

    def length(self, rounds: int = 10, seconds: float = 2.0) -> Length:
        """Return how long to measure, where a benchmark wants so many rounds and seconds by itself."""
        if self.quick:
            return Length(self.rounds or 2, 0.0, 0.0)
        return Length(self.rounds or rounds, 0.0 if self.rounds else seconds)


def data_words(data_path: Path | None) -> list[str]:
    """Return the option that says where Multi30k is, as it is typed."""
    return [] if data_path is None else [f"--data-path {data_path}"]
