"""The same run again from its record, and whether it gives the same numbers.

sources    from what a person typed to what is known of one or many runs
verdict    where two runs diverge, and by how much
command    ``attncompare reproduce``: training again, the verdict, ``reproduction.json``
"""

from attncompare.reproduce.verdict import MEASURED_BY_CLOCK

__all__ = ["MEASURED_BY_CLOCK"]
