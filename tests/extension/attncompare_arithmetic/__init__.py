"""Parts for attncompare: a score, a task with a metric, a dataset, a backbone and a callback, each in one file."""
