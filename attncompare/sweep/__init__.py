"""Many runs: one process and one folder each, and the same command goes on with the same sweep.

folder.py          the runs of a sweep and its folder: found again by the same command, what is finished skipped, the rest trained
reuse.py           the runs that are there already, of other sweeps or trained alone
plan.py            what a sweep would train, and what that takes: ``--dry-run``
pool.py            processes of this machine, with its cores and GPUs shared between them
elsewhere.py       Hydra's launchers for other machines: SLURM, Ray
progress_board.py  how far the runs are, in one table
listing.py         the command ``attncompare sweeps``
"""
