"""Two hypothesis profiles: ``quick`` is the same cases each time, for every test run; ``long`` draws new ones each time."""

from hypothesis import HealthCheck, settings
from one_thread import one_thread  # noqa: F401  (used by every test of this folder)

# A law trains models and reads folders: neither its speed nor the size of what it draws says anything. Examples are kept
# nowhere: a failing one is printed whole, and the quick ones are always the same.
_COMMON = settings(
    deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
settings.register_profile("quick", _COMMON, derandomize=True)
settings.register_profile("long", _COMMON)
