"""Hydra's ``-m``, as ``attncompare.sweep`` trains many runs; a folder of this name is where Hydra looks."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from attncompare.errors import Refused

# What Hydra is told on the way here, which nobody asked for.
_OURS = ("hydra.mode=", "hydra.sweeper.fresh=", "hydra.sweeper.dry_run=")


@dataclass
class ProcessesConfig:
    """``hydra/launcher=processes``, the default: one process of this machine for each run."""

    workers: int | None = None  # runs at a time; null: one for each GPU, or for each core where none is used


@dataclass
class CombinationsConfig:
    """``hydra/sweeper=combinations``, the only one here."""

    _target_: str = "hydra_plugins.attncompare_combinations.CombinationsSweeper"
    params: dict[str, str] | None = None  # keys and their values, which the command line may change
    cases: list[str] | None = None  # overrides for some of the runs each; null: the same for all
    fresh: bool = False  # train also what is finished, in a new folder
    dry_run: bool = False  # show what would be trained, and start nothing


_STORE = ConfigStore.instance()
_STORE.store(group="hydra/launcher", name="processes", node=ProcessesConfig, provider="attncompare")
_STORE.store(group="hydra/sweeper", name="combinations", node=CombinationsConfig, provider="attncompare")


class CombinationsSweeper(Sweeper):
    """Composes and checks every combination of the given values before the first run begins."""

    def __init__(self, params: DictConfig | None, cases: Sequence[str] | None, fresh: bool, dry_run: bool) -> None:
        self._params, self._cases = dict(params or {}), list(cases or [""])
        self._fresh, self._dry_run = fresh, dry_run

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:  # noqa: ARG002
        """Keep what Hydra hands over; what a run does is known to the sweep, not to the caller."""
        self._context, self._config = hydra_context, config

    def sweep(self, arguments: list[str]) -> None:
        """Train every run that is not finished, and print the sweep's folder; with ``dry_run`` print what that would be.

        Raises Refused if any config is bad; nothing was started; RunFailed at the end, if any run did not finish."""
        from attncompare.sweep.folder import start
        from attncompare.sweep.plan import print_plan
        from attncompare.sweep.pool import share_here

        jobs = [self._job(overrides) for overrides in self._combinations(arguments)]
        launch = self._launch(jobs)
        if self._dry_run:
            here = self._on_this_machine
            print_plan(jobs, self._fresh, (lambda left: share_here(left, self._workers()).workers) if here else None)
            return
        # The one thing on standard output, so that a shell can hand it on.
        print(start(jobs, self._command(arguments), launch, fresh=self._fresh))

    def _combinations(self, arguments: list[str]) -> list[list[str]]:
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        given = [f"{key}={value}" for key, value in self._params.items()]
        combinations: list[list[str]] = []
        for case in self._cases:
            parsed = parser.parse_overrides([*given, *shlex.split(case), *arguments])
            (batch,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
            combinations += batch
        return combinations

    def _job(self, overrides: list[str]) -> Any:
        from attncompare.config import parse_composed
        from attncompare.sweep.folder import Job

        composed = self._context.config_loader.load_sweep_config(self._config, overrides)
        # Unresolved: an override may hold an interpolation.
        asked = tuple(OmegaConf.to_container(composed.hydra.overrides.task, resolve=False))
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        try:
            return Job(parse_composed(composed), asked, own_configs=self._own_configs())
        except Refused as error:
            raise Refused(f"{error} (in the run {' '.join(asked)})") from None

    def _command(self, arguments: list[str]) -> str:
        of_hydra = [word for word in self._config.hydra.overrides.hydra if not word.startswith(_OURS)]
        own = self._own_configs()
        if own is not None and own.is_relative_to(here := Path.cwd()):
            own = own.relative_to(here)
        where = [] if own is None else ["--config-dir", str(own)]
        return shlex.join(["attncompare", "train", "-m", *where, *of_hydra, *arguments])

    def _own_configs(self) -> Path | None:
        """Return the folder that --config-dir gave to Hydra."""
        sources = self._config.hydra.runtime.config_sources
        return next((Path(source.path) for source in sources if source.provider == "command-line"), None)

    @property
    def _on_this_machine(self) -> bool:
        return bool(self._config.hydra.runtime.choices["hydra/launcher"] == "processes")

    def _workers(self) -> int | None:
        workers: int | None = self._config.hydra.launcher.workers
        if workers is not None and workers < 1:
            raise Refused(f"hydra.launcher.workers={workers}: must be a positive integer, or null")
        return workers

    def _launch(self, jobs: Sequence[Any]) -> Any:
        if self._on_this_machine:
            from attncompare.sweep.pool import train_here

            return partial(train_here, workers=self._workers())
        if any(job.config.sweep.max_time is not None for job in jobs):
            raise Refused(
                "sweep.max_time: only with hydra/launcher=processes; a cluster's jobs have limits of their own"
            )
        from attncompare.sweep.elsewhere import train_elsewhere

        return partial(train_elsewhere, config=self._config, launcher_of=self._launcher)

    def _launcher(self, config: DictConfig, member: TaskFunction) -> Any:
        return Plugins.instance().instantiate_launcher(self._context, member, config)
