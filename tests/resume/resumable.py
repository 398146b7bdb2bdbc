"""The runs that are stopped, killed and resumed."""

from commands import SMOKE

# Nine steps over two epochs and a bit; rows, validations and the end fall on different steps.
WHOLE = (*SMOKE, "trainer.limit_batches=4", "trainer.max_steps=9", "trainer.validate_every=4", "trainer.log_every=3")
DROPOUT = ("backbone.dropout=0.3", "attention.dropout=0.2")  # so that the random state matters
QUIET = ("tracking=disabled", "tracking.probes=2")
RUN = (*WHOLE, *DROPOUT, *QUIET)
LANGUAGE_MODEL = (
    *("trainer=smoke", "trainer.threads=1", "task=language_model", "data=recall", "data.length=24", *QUIET, *DROPOUT),
    *("data.train_size=100", "data.val_size=20", "data.test_size=20", "backbone.d_model=16", "attention=additive"),
    *("trainer.max_steps=5", "trainer.validate_every=2", "trainer.limit_batches=3", "attention.heads=3"),
)
# Long enough that a kill finds it training, validating, writing checkpoints and finishing.
LONGER = (
    *(*RUN, "tracking.images=0", "trainer.limit_batches=null", "data.train_size=3000", "data.test_size=400"),
    *("trainer.max_steps=200", "trainer.validate_every=20", "trainer.log_every=1", "task.val_decodes=40"),
)
