"""What a run leaves behind: its record (C7), its attention maps (C9), and the views of both, W&B among them (C8).

record.py       a run is a folder that explains itself: written here, read here
environment.py  where and with what a run was made
maps.py         attention maps of probe sentences, and numbers per head
map_files.py    their files after a step
heatmap.py      maps as pictures; page.py and viewer/ as an interactive page; terminal.py as text
wandb_view.py   the W&B run, fed from the record alone; wandb_figures.py is its summary
callback.py     what ties all this to a Lightning trainer
"""
