"""Corpora, tokenizers, batches, and the LightningDataModule over them.

A :class:`~attncompare.data.dataset.Dataset` (``corpora/``) loads a ``corpus``, ``reading`` local ``files`` or the hub;
``encoding`` learns a ``tokenizer`` from it. How each split becomes a set of ids or vectors, and which examples suit attention
maps, is said for each kind of data in ``kinds/``. ``batches`` says which rows make which batch, and what a batch holds.
``module`` does all this for a run's config.
"""
