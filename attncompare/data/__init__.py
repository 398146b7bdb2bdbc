"""Corpora, tokenizers, batches, and the LightningDataModule over them.

A :class:`~attncompare.data.dataset.Dataset` (``corpora/``) loads a ``corpus``, ``reading`` local ``files`` or the hub;
``encoding`` learns a ``tokenizer`` from it and makes each split a set of ids. ``batches`` says which rows make which batch,
and what a batch holds. ``module`` does all this for a run's config, and picks the fixed examples for attention maps.
"""
