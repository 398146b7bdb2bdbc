"""How a process ended that said nothing itself, in words."""

import multiprocessing
import os
import signal

from attncompare.training.processes_deaths import death


def _end_by(number):
    os.kill(os.getpid(), number)


def test_a_signal_is_named_and_one_without_a_name_has_its_number():
    endings = []
    for number in (signal.SIGKILL, signal.SIGTERM, 40):
        process = multiprocessing.get_context("fork").Process(target=_end_by, args=(number,))
        process.start()
        process.join()
        endings.append(death(process.exitcode))
    assert endings == ["SIGKILL: the system may have run out of memory", "SIGTERM", "signal 40"]
    assert death(3) == "exit code 3"
