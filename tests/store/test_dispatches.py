"""Work that is sent to workers: taken once, sent again while nobody has taken it."""

from __future__ import annotations

import threading

from pipekit_engine.store import Store
from pipekit_engine.store.dispatches import RESEND_FIRST_S


def _age(store: Store, seconds: float) -> None:
    with store._database.plain_write() as transaction:
        transaction.execute("UPDATE dispatch SET sent_s = sent_s - :s, claimed_s = claimed_s - :s", {"s": seconds})


def test_of_many_one_takes_it(store: Store) -> None:
    store.dispatches.add("r", "q")
    store.dispatches.add("r", "q")
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.append(store.dispatches.claim("r"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]
    assert not store.dispatches.is_open("r")
    assert not store.dispatches.withdraw("r")
    (item,) = store.dispatches.taken()
    assert item.worker is not None
    assert item.worker.alive()
    assert 0 <= item.silence_s < 60
    store.dispatches.forget(["r"])
    assert not store.dispatches.claim("r")


def test_what_is_taken_back_nobody_takes(store: Store) -> None:
    store.dispatches.add("r", "q")
    assert store.dispatches.withdraw("r")
    assert not store.dispatches.claim("r")
    assert not store.dispatches.due()


def test_it_is_sent_again_with_growing_pauses(store: Store) -> None:
    store.dispatches.add("r", "q")
    assert not store.dispatches.due()
    for pause in (1, 2, 4, 8, 16, 16):
        _age(store, pause * RESEND_FIRST_S - 5)
        assert not store.dispatches.due()
        _age(store, 6)
        assert [(item.id, item.queue) for item in store.dispatches.due()] == [("r", "q")]
        assert not store.dispatches.due()
    store.dispatches.claim("r")
    _age(store, 10_000)
    assert not store.dispatches.due()
