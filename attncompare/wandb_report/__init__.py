"""``attncompare wandb-report``: a workspace and a report in W&B for the runs of a sweep.

plan.py     what they show, in plain words, without W&B
build.py    the same as objects of the library wandb-workspaces (extra ``attncompare[wandb]``), and their creation
command.py  ``attncompare wandb-report``
"""
