"""One file for each backbone (``conf/backbone/``)."""
