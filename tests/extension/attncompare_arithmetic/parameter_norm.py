"""A Lightning callback: the length of all parameters as one vector, logged beside the metrics of each validation."""

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class ParameterNorm(Callback):
    """Adds ``parameter_norm`` to ``metrics.csv`` and W&B."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            norms = [parameter.norm() for parameter in pl_module.parameters()]
            pl_module.log("parameter_norm", torch.stack(norms).norm().cpu())
