"""A law, tried on a few cases in every test run and on many in the long one."""

import functools
import inspect

import pytest
from hypothesis import Phase, given, settings


def cases(quick, long, *, shrink=True, **strategies):
    """Make a test of a law: it must hold for whatever is drawn from ``strategies``.

    Args:
        quick: how many cases in every test run, the same ones each time; 0: it is not among those tests.
        long: how many in the long run, new ones each time.
        shrink: look for the simplest case that fails. Not where one takes a second: looking takes hundreds.
        strategies: the law's arguments that are drawn; its others are fixtures.
    """

    def decorate(law):
        fixtures = [name for name in inspect.signature(law).parameters if name not in strategies]
        phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
        profiles = [pytest.param("quick", quick, id="quick")] if quick else []
        profiles.append(pytest.param("long", long, id="long", marks=pytest.mark.long))

        @functools.wraps(law)
        def test(profile, examples, request):
            fixed = {name: request.getfixturevalue(name) for name in fixtures}

            @settings(settings.get_profile(profile), max_examples=examples, phases=phases)
            @given(**strategies)
            def holds(**drawn):
                law(**fixed, **drawn)

            holds()

        del test.__wrapped__  # pytest reads the arguments of this function, not those of the law
        return pytest.mark.parametrize(("profile", "examples"), profiles)(test)

    return decorate
