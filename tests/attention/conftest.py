from one_thread import one_thread  # noqa: F401  (used by every test of this folder)
