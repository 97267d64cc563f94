import os
import signal
import subprocess
import sys
import threading
import time
from subprocess import PIPE

import pytest

from baichuan_jax.core.interrupt import STOPPED, goodbye, stop_on_signal, taking_signals

PROGRAM = """
import os, signal, sys, time
from baichuan_jax.core.interrupt import Interrupted, stop_on_signal, taking_signals, unwinding

def finishes():
    with stop_on_signal("a nap") as stop:
        while not stop.requested:
            time.sleep(0.01)
        time.sleep(0.3)  # or it may end before it is said that it will
        raise Interrupted("napped")

def goes_on():
    with stop_on_signal("a nap"):
        time.sleep(0.3)

def never_finishes():
    with stop_on_signal("a nap"):
        time.sleep(60)

def is_busy():
    try:
        time.sleep(60)
    finally:
        print("unwound")

def tidies():
    try:
        with unwinding():
            time.sleep(60)
    finally:
        print("tidied")

def loses_it():
    with unwinding():
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            time.sleep(60)

signal.signal(signal.SIGINT, getattr(signal, sys.argv[2]))
with taking_signals():
    print("begun", flush=True)
    try:
        globals()[sys.argv[1]]()
    except BaseException as error:
        print(type(error).__name__)
"""


def ended(work: str, signals: int, before: str = "default_int_handler") -> tuple[float, int, str, str]:
    """Return how a program ends that is sent SIGINT so many times: seconds, exit code, and what it says."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, work, before], stdout=PIPE, stderr=PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    start = time.monotonic()
    for _ in range(signals):
        time.sleep(0.15)
        process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=30)
    return time.monotonic() - start, process.returncode, said, errors


STOPPING = "\nbaichuan-jax: stopping after a nap; once more ends it at once\n"


@pytest.mark.parametrize("before", ["default_int_handler", "SIG_IGN"])  # a terminal, a job in the background
def test_the_first_signal_asks(before):
    assert ended("finishes", 1, before)[1:] == (0, "Interrupted\n", STOPPING)


def test_a_request_that_nobody_has_answered_is_not_lost():
    assert ended("goes_on", 1)[1:] == (0, "KeyboardInterrupt\n", STOPPING)


@pytest.mark.parametrize(("work", "said"), [("never_finishes", STOPPING), ("loses_it", "")])
def test_the_second_signal_ends_the_process(work, said):
    seconds, *found = ended(work, 2)
    assert found == [STOPPED, "", said + goodbye() + "\n"]
    assert seconds < 1


def test_what_has_nothing_to_tidy_up_ends_at_once():
    """Nothing is raised: native code that calls back would lose it, or abort."""
    seconds, *found = ended("is_busy", 1)
    assert found == [STOPPED, "", goodbye() + "\n"]
    assert seconds < 1


def test_what_tidies_up_is_unwound():
    assert ended("tidies", 1)[1:] == (0, "tidied\nKeyboardInterrupt\n", "")


def test_an_interrupt_that_is_lost_ends_the_process_all_the_same():
    seconds, *found = ended("loses_it", 1)
    assert found == [STOPPED, "", goodbye() + "\n"]
    assert seconds < 2.5  # 1.5 and what a loaded machine adds


def test_a_library_leaves_signals_alone():
    def handler(*_):
        return None

    outside = signal.signal(signal.SIGINT, handler)
    with stop_on_signal("") as stop:
        assert signal.getsignal(signal.SIGINT) is handler
        os.kill(os.getpid(), signal.SIGINT)
    assert not stop.requested
    assert signal.signal(signal.SIGINT, outside) is handler


def test_work_in_another_thread_handles_no_signals():
    seen = []

    def work():
        with stop_on_signal("") as stop:
            seen.append(stop.requested)

    with taking_signals():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [False]
