"""The runs that are stopped, killed and resumed."""

from commands import SMOKE

# Nine steps over three epochs; rows, epochs, validations and the end fall on different steps.
WHOLE = (*SMOKE, "trainer.limit_batches=3", "trainer.max_steps=9", "trainer.validate_every=4", "trainer.log_every=2")
DROPOUT = ("backbone.dropout=0.3", "attention.dropout=0.2")  # so that the random state matters
NO_TRACKING = ("tracking=disabled", "tracking.probes=1", "tracking.images=0")
RUN = (*WHOLE, *DROPOUT, *NO_TRACKING)
LANGUAGE_MODEL = (
    *("trainer=smoke", "trainer.threads=1", "task=language_model", "data=recall", "data.length=24", *NO_TRACKING),
    *("data.train_size=100", "data.val_size=20", "data.test_size=20", "data.batch_size=16", *DROPOUT),
    *("backbone.d_model=16", "backbone.layers=1", "backbone.d_ff=16", "attention=additive", "attention.heads=3"),
    *("trainer.max_steps=5", "trainer.validate_every=2", "trainer.limit_batches=3"),
)
MASKED = (
    *("trainer=smoke", "trainer.threads=1", "task=masked_lm", "data=recall", "data.length=24", *NO_TRACKING, *DROPOUT),
    *("data.train_size=100", "data.val_size=20", "data.test_size=20", "data.batch_size=16", "trainer.accumulate=2"),
    *("backbone.d_model=16", "backbone.layers=1", "backbone.d_ff=16", "task.pseudo_sentences=2"),
    *("trainer.max_steps=7", "trainer.validate_every=2", "trainer.limit_batches=3"),
)
# Long enough that a signal from another process finds it training, validating, writing checkpoints and finishing.
LONGER = (
    *(*RUN, "trainer.limit_batches=null", "data.train_size=3000", "data.test_size=400"),
    *("trainer.max_steps=120", "trainer.validate_every=20", "trainer.log_every=1", "task.val_decodes=40"),
)
