"""Corpora, tokenizers, batches, and the LightningDataModule over them.

A :class:`~attncompare.data.dataset.Dataset` (``corpora/``) loads a ``corpus``, reading local ``files`` (``reading``) or the
``hub``; ``encoding`` learns a ``tokenizer`` from it and makes the ids of each split, a set of ``sets``. ``order`` says which
rows make which batch, ``batches`` what a batch holds; ``probes`` picks the fixed examples for attention maps. ``module``
does all this for a run's config.
"""
