"""Corpora, tokenizers, batches, and the LightningDataModule that puts them behind one face.

Data flows from ``corpora``, which make a ``corpus``, through a ``tokenizer`` into the ids of one split: a ``pair_set``
(translation), a ``stream_set`` or a ``row_set`` (text). ``order`` says which rows make which batch, ``batches`` what a
batch holds; ``probes`` picks the fixed examples for attention maps, with gold alignments from ``alignment``. ``module``
does all this for a run's config. ``pair_files`` checks the files of ``data=pairs`` before anything starts.
"""
