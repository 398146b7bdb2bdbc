"""Works for processes of their own; they import little, as each process does."""

import time


def sleeping(pause, seconds, turns):
    for _ in range(turns):
        pause()
        time.sleep(seconds)


def reporting(pause, seconds):
    while True:
        pause(seconds)


def filling(mebibytes):
    return lambda: bytearray(b"\1") * (mebibytes * 2**20)
