"""``attncompare wandb-report``: build them online, or say what would be built."""

import shlex
from pathlib import Path

from attncompare.compare.gathering import gather
from attncompare.compare.groups import compare_groups
from attncompare.compare.in_wandb import tracked_online
from attncompare.errors import Refused, RunFailed
from attncompare.text import printable
from attncompare.wandb_logging.report_plan import Plan, plan_of


def build(paths: list[Path], *, offline: bool = False) -> None:
    """Create a workspace and a report in W&B for the runs in ``paths``, and print where they are.

    Without a login or a network, or if ``offline`` says so, nothing is created and the plan is printed.

    Args:
        paths: folders of runs, or folders that hold runs, such as a sweep's.
        offline: create nothing.

    Raises:
        Refused: if the runs cannot be compared, or the library wandb-workspaces is missing where it is needed.
        RunFailed: if W&B's server is there and does not take them.
    """
    gathered = gather(paths)
    comparisons = compare_groups(gathered.runs, left_out=gathered.left_out)
    given = " ".join(shlex.quote(str(path)) for path in paths)
    again = f"attncompare reproduce {shlex.quote(str(gathered.runs[0].path))}"
    plan = plan_of(comparisons, [f"attncompare compare {given}", again])
    if offline:
        return _print(plan, "wandb-report --offline creates nothing")
    from attncompare.wandb_logging.wandb_login import require_login
    from attncompare.wandb_logging.report_build import account, create, require_library

    try:
        require_login("wandb-report", "read here what it would create")
    except Refused as error:
        return _print(plan, str(error))
    require_library()
    try:
        entity = account()
    except RunFailed as error:
        return _print(plan, f"wandb-report: {error}")
    created = create(plan, plan.entity or entity)
    print(f"workspace: {created.workspace}")
    print(f"report: {created.report}")
    if not tracked_online(gathered.runs):
        print(f"These runs were not sent to W&B while they trained; send them with: attncompare upload {given}")
    return None


def _print(plan: Plan, why: str) -> None:
    print(f"{printable(why)}. It would be:")
    for line in plan.lines():
        print(printable(line))
