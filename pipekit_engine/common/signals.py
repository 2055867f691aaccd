"""Acting on signals at once, wherever the main thread stands.

A Python signal handler runs in the main thread, between two bytecodes. So it may come late: a signal that the kernel hands to
another thread does not wake a main thread that waits for a lock. And it may come at the wrong moment: `Event.set()` in a handler
waits for ever when the main thread stands inside `Event.wait()`, or in the `Event.set()` for the signal before. Here a thread
learns of the signals by the wake-up descriptor, which the interpreter's own C handler writes to, and acts on them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType


@contextmanager
def on_signals(
    numbers: Sequence[signal.Signals], act: Callable[[], object], *, again: Callable[[], object] | None = None
) -> Iterator[None]:
    """For the length of the block, call `act` on a thread of its own at the first of these signals.

    At the second one `again` is called in the main thread, wherever it stands: it should do no more than raise. Later ones do
    nothing. A signal that was ignored when the block began (`nohup`) stays ignored. To be entered in the main thread.
    """
    main = threading.get_ident()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before: dict[signal.Signals, Any] = {}
    due = False

    def caught(number: int, frame: FrameType | None) -> None:
        nonlocal due
        if due and again is not None:
            due = False  # an interrupt of the clean-up that the first one began would leave it half-done
            again()

    def listen() -> None:
        nonlocal due
        seen = 0
        while arrived := os.read(reader, 1):
            if arrived[0] in before:
                seen += 1
                if seen == 1:
                    act()
                elif again is not None:
                    due = True
                    signal.pthread_kill(main, arrived[0])  # to the very thread that is to be interrupted
                    return

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, caught)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    try:
        yield
    finally:
        try:
            signal.set_wakeup_fd(previous)
            os.close(writer)
            listener.join()
            os.close(reader)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
