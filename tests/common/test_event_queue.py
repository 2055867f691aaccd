"""The queue whose reader signals may interrupt."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipekit_engine.common.event_queue import EventQueue

ROOT = Path(__file__).parents[2]

#: Signals some thousand times a second while a reader waits for what never comes. `SimpleQueue` of CPython 3.11 hangs here
#: within seconds.
_STORM = """
import faulthandler, queue, signal, sys, time
from pipekit_engine.common.event_queue import EventQueue
faulthandler.dump_traceback_later(60, exit=True)
signal.signal(signal.SIGALRM, lambda *_: sum(range(3000)))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
events, ended = EventQueue(), time.monotonic() + 4
while time.monotonic() < ended:
    try:
        events.get(0.002)
    except queue.Empty:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
"""

#: An exception out of a signal handler, again and again, in a reader that a writer keeps busy.
_INTERRUPTED = """
import faulthandler, queue, signal, sys, threading, time
from pipekit_engine.common.event_queue import EventQueue
faulthandler.dump_traceback_later(60, exit=True)
class Stop(BaseException): pass
def interrupt(*_): raise Stop
signal.signal(signal.SIGALRM, interrupt)
events, got, done = EventQueue(), [], False
def write():
    for number in range(20000):
        events.put(number)
        if number % 50 == 0: time.sleep(0.002)
writer = threading.Thread(target=write)
writer.start()
while not (got and got[-1] == 19999):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while True:
            try:
                item = events.get(0.05)
            except queue.Empty:
                break
            got.append(item)
            if item == 19999: break
    except Stop:
        if not writer.is_alive() and events.empty(): break
signal.setitimer(signal.ITIMER_REAL, 0)
writer.join()
assert got == sorted(set(got)), "in order, none twice"
"""


@pytest.mark.parametrize("program", [_STORM, _INTERRUPTED], ids=["a storm of signals", "interrupted reader"])
def test_signals_never_make_a_reader_wait_for_ever(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_items_come_in_order_and_an_empty_queue_says_so() -> None:
    events: EventQueue[int] = EventQueue()
    with pytest.raises(queue.Empty):
        events.get(0)
    for number in range(3):
        events.put(number)
    assert [events.get(0), events.get_nowait(), events.get(1)] == [0, 1, 2]
    assert events.empty()
    with pytest.raises(queue.Empty):
        events.get_nowait()


def test_a_sleeping_reader_is_woken() -> None:
    events: EventQueue[str] = EventQueue()
    threading.Timer(0.05, events.put, ["here"]).start()
    assert events.get(30) == "here"


def test_nothing_waits_on_a_queue_that_signals_break() -> None:
    packages = ("pipekit_engine", "pipekit_dagster", "pipekit_import")
    sources = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    users = [path.name for path in sources if re.search(r"queue\.(SimpleQueue|Queue|LifoQueue)\(", path.read_text())]
    assert users == []
