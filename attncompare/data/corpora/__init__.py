"""The datasets: one module for each, named like it."""
