"""What a run may be configured to do: the schema of ``conf/``, and how a bad config is refused.

values.py        types of single values, each with its words; sections of parts
schema.py        the whole run
variants.py      the named variants of attention, and what a run's is called
checks.py        what no config may hold, whoever wrote it
own_configs.py   a folder of configs beside ``conf/``
messages.py      what is wrong, in one line
plain_values.py  yaml and JSON of unknown origin as plain values
"""

from attncompare.config.schema import CONF_DIR, RunConfig, parse, parse_composed, with_data
from attncompare.config.values import PartConfig, Strict
from attncompare.config.variants import variant_label

__all__ = ["CONF_DIR", "PartConfig", "RunConfig", "Strict", "parse", "parse_composed", "variant_label", "with_data"]
