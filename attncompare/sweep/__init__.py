"""Many runs: one process, one folder and one W&B run each, and what is known of them afterwards.

job.py       one run of a sweep: its config, and what was asked for
code.py      what besides its config decides the numbers of a run: sources, versions, files of data
folder.py    a sweep's folder and sweep.yaml, found again when the same sweep is started again; one process at a time
again.py     which runs of it have finished, which go on, which begin
pool.py      processes of this machine, some at a time; worker.py is what happens in one of them; devices.py gives each its own
elsewhere.py Hydra's launchers for other machines: SLURM, Ray
start.py     all of it, in order
listing.py   ``attncompare sweeps``
"""
