"""Hydra's ``-m`` with one process for each run (``attncompare.sweep``); a folder of this name is where Hydra looks."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from attncompare.errors import Refused


@dataclass
class ProcessLauncherConfig:
    """``hydra/launcher=processes``, the default."""

    _target_: str = "hydra_plugins.attncompare_processes.ProcessLauncher"
    workers: int | None = None  # runs at a time; null: one for each core, or one on a GPU


ConfigStore.instance().store(
    group="hydra/launcher", name="processes", node=ProcessLauncherConfig, provider="attncompare"
)


class ProcessLauncher(Launcher):
    """Runs every job of a sweep in a process of its own, ``workers`` at a time."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:  # noqa: ARG002
        """Keep what Hydra hands over."""
        self._loader, self._config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:  # noqa: ARG002
        """Compose and check every run, then train them all.

        Raises:
            Refused: if any config is bad; nothing was started.
            RunFailed: at the end, if any run failed.
        """
        from attncompare.config import parse_composed
        from attncompare.sweep import Job, run_jobs

        if self._workers is not None and self._workers < 1:
            raise Refused(f"hydra.launcher.workers={self._workers}: must be a positive integer, or null")
        jobs = []
        for overrides in job_overrides:
            composed = self._loader.load_sweep_config(self._config, list(overrides))
            # Unresolved: an override may hold an interpolation.
            asked = tuple(OmegaConf.to_container(composed.hydra.overrides.task, resolve=False))
            OmegaConf.set_struct(composed, False)
            del composed["hydra"]
            try:
                jobs.append(Job(parse_composed(composed), asked))
            except Refused as error:
                raise Refused(f"{error} (in the run {' '.join(asked)})") from None
        print(run_jobs(jobs, self._workers))  # the one thing on standard output, so that a shell can hand it on
        return []
