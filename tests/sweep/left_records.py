"""Records of runs that nobody trained."""

from attncompare.record import create_folder
from attncompare.record import RecordLogger


def leave(sweep, job, state):
    """Leave the record of a run in ``state``, where it is begun already: there."""
    path = job.begun or create_folder(job.config, sweep.path)
    writer = RecordWriter.create(path, job.config, job.overrides, [], group=sweep.group, wandb={"missing": None})
    if state != "running":
        writer.close(state, None if state == "finished" else "for a test")
    return path
