from one_thread import one_thread  # noqa: F401  (used by every test of this folder)
from small_models import size, tokens  # noqa: F401  (fixtures)
