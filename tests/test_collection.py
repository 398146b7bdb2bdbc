import gc

from attncompare.cli.collection import importing, without_collection


class Loop:
    """Garbage: it holds itself."""

    def __init__(self):
        self.itself = self


def loops_looked_through():
    return [one for one in gc.get_objects() if type(one) is Loop]


def test_nothing_is_collected_meanwhile_and_afterwards_again():
    assert gc.isenabled()
    with without_collection():
        assert not gc.isenabled()
        with without_collection():
            pass
        assert not gc.isenabled(), "the inner one leaves it as it was"
    assert gc.isenabled()


def test_what_was_imported_is_never_looked_through_again():
    try:
        with importing():
            kept = Loop()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert kept not in loops_looked_through()
    finally:
        gc.unfreeze()


def test_an_error_ends_it_as_well():
    try:
        with without_collection():
            raise ValueError
    except ValueError:
        assert gc.isenabled()
