"""Sessions that use one JVM: connections of their own, one end, and files that one of them writes or several read."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from pipekit_engine.jrunner import JRunnerCancelled, JRunnerDied, JRunnerError, Session, SessionPool
from pipekit_engine.jrunner.files import OpenFiles
from pipekit_engine.jrunner.jvm import SESSIONS_PER_JVM
from tests.jrunner.conftest import process_lives, sqlite_request
from tests.jrunner.test_client import soon


def test_sessions_of_a_pool_share_a_jvm_up_to_a_number() -> None:
    with SessionPool(SESSIONS_PER_JVM + 1, share=True) as pool:
        with pool.session() as first, pool.session() as second:
            assert (second.pid, second.prefix != first.prefix) == (first.pid, True)
        lent = [pool.session() for _ in range(SESSIONS_PER_JVM + 1)]
        sessions = [each.__enter__() for each in lent]
        assert len({session.pid for session in sessions[:SESSIONS_PER_JVM]}) == 1
        assert sessions[-1].pid != first.pid
        with pytest.raises(JRunnerCancelled), pool.session(cancel=soon(0.1)):
            pass
        for each in lent:
            each.__exit__(None, None, None)
        pids = {session.pid for session in sessions}
    assert not any(process_lives(pid) for pid in pids)


def test_many_threads_that_begin_at_once_start_one(tmp_path: Path) -> None:
    pids, barrier = [], threading.Barrier(SESSIONS_PER_JVM)
    with SessionPool(SESSIONS_PER_JVM, share=True) as pool:

        def work(number: int) -> None:
            barrier.wait(60)
            with pool.session() as session:
                barrier.wait(60)
                name = f"{session.prefix}a"
                session.open(sqlite_request(name, tmp_path / f"{number}.db"))
                session.execute(name, ["CREATE TABLE t (n)", f"INSERT INTO t VALUES ({number})"])
                barrier.wait(60)
                pids.append((session.pid, session.query(name, "SELECT n FROM t").first, str(number)))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(SESSIONS_PER_JVM)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(pids) == SESSIONS_PER_JVM
    assert len({pid for pid, _, _ in pids}) == 1
    assert all(found == number for _, found, number in pids)


def test_an_error_of_one_leaves_the_other_alone(tmp_path: Path) -> None:
    with SessionPool(2, share=True) as pool, pool.session() as one, pool.session() as two:
        one.open(sqlite_request(f"{one.prefix}a", tmp_path / "a.db"))
        two.open(sqlite_request(f"{two.prefix}a", tmp_path / "a.db"))
        with pytest.raises(JRunnerError, match="no such table"):
            one.query(f"{one.prefix}a", "SELECT * FROM nowhere")
        endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
        with pytest.raises(JRunnerCancelled):
            one.query(f"{one.prefix}a", endless, cancel=soon(0.3))
        assert two.query(f"{two.prefix}a", "SELECT 1").first == "1"
        one.close(f"{one.prefix}a")
        assert two.query(f"{two.prefix}a", "SELECT 2").first == "2"


def test_the_end_of_the_process_is_everybodys_and_the_next_gets_another() -> None:
    with SessionPool(2, share=True) as pool:
        with pool.session() as one, pool.session() as two:
            os.kill(one.pid, signal.SIGKILL)
            for session in (one, two):
                with pytest.raises(JRunnerDied):
                    session.query("a", "SELECT 1")
        with pool.session() as next_one, pool.session() as after:
            assert next_one.alive
            assert (after.pid, next_one.pid != one.pid) == (next_one.pid, True)


def test_a_session_beside_another_ends_with_it() -> None:
    with Session() as first:
        second = Session(beside=first)
        assert second.pid == first.pid
        second.end()
        assert not first.alive


def test_one_writes_a_file_or_several_read_it(tmp_path: Path) -> None:
    files, file = OpenFiles(), tmp_path / "a"
    assert files.take(0, "r", file, writes=False)
    assert files.take(1, "r", file, writes=False)
    assert not files.take(2, "w", file, writes=True)
    assert not files.take(1, "w", file, writes=True)
    assert files.take(2, "w", tmp_path / "b", writes=True)
    files.release(0, "r")
    assert files.take(1, "w", file, writes=True)
    assert not files.take(0, "r", file, writes=False)
    files.release(1, "w")
    assert files.take(0, "r", file, writes=False)
    files.clear()
    assert files.take(2, "w", file, writes=True)
