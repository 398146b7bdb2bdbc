"""From a model and a sentence to its attention maps."""

import torch

from attncompare.data.module import Probe
from attncompare.tasks.base import Task
from attncompare.maps.maps import ProbeMaps, SiteMap


@torch.no_grad()
def probe_maps(task: Task, number: int, probe: Probe) -> ProbeMaps:
    """Return all attention maps of one sentence, in evaluation mode and through the explicit path.

    The training mode of the model is what it was before, and no random number is drawn.
    """
    was_training = task.training
    task.eval()
    try:
        weights = task.probe_weights(probe.source_ids, probe.target_ids)
    finally:
        task.train(was_training)
    read = tuple(task.tokenizer.labels(probe.target_ids[:-1]))
    source = tuple(task.source_tokenizer.labels(probe.source_ids)) if probe.source_ids is not None else ()
    axes = {"encoder_self": (source, source), "decoder_self": (read, read), "cross": (read, source)}
    sites = tuple(
        SiteMap(
            site,
            *axes[site],
            weights_LHTS.numpy(),
            sure_TS=probe.sure_TS if site == "cross" else None,
            possible_TS=probe.possible_TS if site == "cross" else None,
        )
        for site, weights_LHTS in weights.items()
    )
    return ProbeMaps(number, _text(task, probe), sites)


def _text(task: Task, probe: Probe) -> str:
    target = task.tokenizer.decode(probe.target_ids)
    return target if probe.source_ids is None else f"{task.source_tokenizer.decode(probe.source_ids)} → {target}"
