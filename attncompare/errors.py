"""The two ways in which a command ends early, each with its exit code."""


class AttnCompareError(Exception):
    """An end that the program expected; its message is one line that names the fix."""

    exit_code = 1


class Refused(AttnCompareError):  # noqa: N818 (it reads as what happened)
    """A config, argument or input file that cannot work: nothing was started (exit code 2)."""

    exit_code = 2


class RunFailed(AttnCompareError):  # noqa: N818
    """A run that started and could not end well, for example because its loss became NaN (exit code 1)."""


class NotFinite(RunFailed):
    """A loss or gradient became NaN or infinite."""
