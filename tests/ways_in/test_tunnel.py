"""Connections through an SSH server: OpenSSH's client opens the way, checks who is there, and never outlives its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.databases.addresses import Address
from pipekit_engine.databases.tunnels import SshTunnel
from pipekit_engine.errors import ConfigurationError, ConnectError, OutcomeUnknown, PipekitError
from pipekit_engine.jrunner.client import Session
from pipekit_engine.jrunner.errors import JRunnerCancelled, JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Tls, Tunnel
from tests.running.workbench import Workbench
from tests.servers.certificates import Authority
from tests.servers.mariadb import MariaDBServer
from tests.servers.ssh import SshServer
from tests.waiting import wait_until
from tests.ways_in.conftest import TlsPostgreSQL

_numbers = count(1)


@pytest.fixture
def tunnelled(bench: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer) -> Iterator[Workbench]:
    """A workbench whose `dst` is a PostgreSQL behind the SSH server."""
    with tls_postgresql.fresh_database() as database:
        connect(bench, "dst", tls_postgresql, sshd, database=database)
        yield bench
        end_sessions(bench)


def connect(
    bench: Workbench, name: str, server: TlsPostgreSQL, sshd: SshServer, database: str = "postgres", **changes: object
) -> None:
    url = f"jdbc:postgresql://{server.host}:{server.port}/{database}"
    tunnel = Tunnel.model_validate(sshd.tunnel(**changes))
    bench.connect(name, "postgresql", url, server.user, server.password, tunnel=tunnel)


def end_sessions(bench: Workbench) -> None:
    """Close the session's connections, that the database can be dropped."""
    with bench.pool.session() as session:
        session.close()


def tunnels(session: Session) -> list[SshTunnel]:
    return [item for item in session.process.attached.values() if isinstance(item, SshTunnel)]


def clients(port: int) -> list[int]:
    """The ssh processes that lead to our server."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"ssh") and str(port).encode() in words:
            found.append(int(folder.name))
    return found


def test_a_run_goes_through_its_tunnel_and_a_warm_session_keeps_it(tunnelled: Workbench, sshd: SshServer) -> None:
    tunnelled.source("CREATE TABLE t (a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    tunnelled.module(dest_table="public.t", merge_key=["a"], strategy="upsert")
    assert tunnelled.run().status == "success"
    with tunnelled.pool.session() as session:
        (first,) = tunnels(session)
    tunnelled.source("INSERT INTO t VALUES (3)")
    assert tunnelled.run().status == "success"
    assert tunnelled.rows("SELECT a FROM public.t") == [("1",), ("2",), ("3",)]
    with tunnelled.pool.session() as session:
        assert tunnels(session) == [first]
    # Cut, it is opened anew by the next run.
    sshd.cut()
    wait_until(lambda: not first.alive, "the end of the client")
    tunnelled.source("INSERT INTO t VALUES (4)")
    assert tunnelled.run().status == "success"
    assert len(tunnelled.rows("SELECT a FROM public.t")) == 4


def test_a_tunnel_that_is_cut_while_rows_go_is_named(tunnelled: Workbench, sshd: SshServer) -> None:
    with tunnelled.session("dst") as (session, handle):
        failed: list[JRunnerError] = []

        def ask() -> None:
            try:
                session.query(handle, "SELECT pg_sleep(30)")
            except JRunnerError as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.5)
        sshd.cut()
        asking.join(20)
        assert "the SSH tunnel through 127.0.0.1 port" in str(failed[0])
        assert "ended" in str(failed[0])


@pytest.mark.parametrize(
    "where",
    [*(pytest.param(where, marks=pytest.mark.slow) for where in ("in staging", "in the merge")), "in the commit"],
)
def test_a_run_whose_tunnel_is_cut(
    tunnelled: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer, where: str
) -> None:
    """All of the merge or nothing, the tunnel is named, and the next run gives the exact rows."""
    bench = tunnelled
    bench.source("CREATE TABLE t (a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    bench.module(dest_table="public.t", strategy="full")
    bench.run()
    bench.source("INSERT INTO t VALUES (3)")
    # A run waits before the lock that `holder` has: a trigger's of the staging table, of the table, of its transaction's end.
    wait = (
        "CREATE FUNCTION wait() RETURNS {} LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN {}; END $$"
    )
    made = {
        "in staging": [
            wait.format("event_trigger", "").replace("RETURN ;", ""),
            "CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION wait()",
        ],
        "in the merge": [
            wait.format("trigger", "NULL"),
            "CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION wait()",
        ],
        "in the commit": [
            wait.format("trigger", "NULL"),
            "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
        ],
    }
    database = bench.store.definitions.connection("dst").jdbc_url.rsplit("/", 1)[1]
    with tls_postgresql.connect(database) as holder:
        for statement in made[where]:
            holder.execute(statement)  # type: ignore[call-overload]
        holder.execute("SELECT pg_advisory_lock(1)")
        failed: list[PipekitError] = []

        def run() -> None:
            try:
                bench.run()
            except PipekitError as error:
                failed.append(error)

        running = threading.Thread(target=run)
        running.start()
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' "
            "AND pid <> pg_backend_pid()"
        )
        wait_until(lambda: holder.execute(waiting).fetchall() != [], "the wait")
        sshd.cut()
        running.join(60)
        [error] = failed
        assert "the SSH tunnel through 127.0.0.1 port" in str(error)
        assert isinstance(error, OutcomeUnknown) is (where == "in the commit"), str(error)
        holder.execute("SELECT pg_advisory_unlock(1)")
        wait_until(lambda: holder.execute(waiting).fetchall() == [], "the end of the lost session")
        counted = holder.execute("SELECT count(*) FROM t").fetchall()
        assert counted == [(2,)] or (where == "in the commit" and counted == [(3,)])
    assert bench.run().status == "success"
    assert bench.rows("SELECT a FROM public.t") == [("1",), ("2",), ("3",)]
    assert bench.staging_left() == []


def test_an_agent_is_not_asked(
    bench: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose key would go unnoticed, and stay behind with a server's next login: the message says to name a file."""
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        wait_until(socket.exists, "the agent")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(tmp_path))
        subprocess.run(["ssh-add", "-q", str(sshd.key)], check=True)
        connect(bench, "agent", tls_postgresql, sshd, key=None)
        with (
            pytest.raises(ConnectError, match=r"could not be opened(.|\n)*No agent is asked.*tunnel\.key"),
            bench.session("agent"),
        ):
            pass
    finally:
        agent.terminate()
        agent.wait()


def test_what_is_wrong_with_a_tunnel_is_told(
    bench: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer, tmp_path: Path
) -> None:
    before = set(clients(sshd.port))  # the warm session keeps its own
    empty, open_key = tmp_path / "nobody", tmp_path / "open key"
    empty.touch()
    open_key.write_bytes(sshd.key.read_bytes())
    open_key.chmod(0o644)
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{sshd.port} {sshd.public(sshd.other_key)}")
    wrong = [
        ({"known_hosts": str(empty)}, "Its host key is not in .*nobody"),
        ({"known_hosts": str(changed)}, "Its host key is another than the one in .*changed"),
        ({"known_hosts": str(tmp_path / "gone")}, r"tunnel\.known_hosts: there is no file .*gone"),
        ({"key": str(sshd.other_key)}, "takes neither the key nor the user"),
        ({"key": str(sshd.locked_key)}, r"tunnel\.key has a passphrase"),
        ({"key": str(tmp_path / "gone")}, r"tunnel\.key: there is no file .*gone"),
        ({"key": str(open_key)}, "chmod 600"),
        ({"port": tls_postgresql.port}, "could not be opened"),
        ({"host": "no-such-host.invalid"}, "Could not resolve hostname"),
    ]
    for changes, message in wrong:
        name = f"w{next(_numbers)}"
        connect(bench, name, tls_postgresql, sshd, **changes)
        with pytest.raises(ConnectError, match=message), bench.session(name):
            pass
    wait_until(lambda: set(clients(sshd.port)) <= before, "the end of the clients")


def test_a_database_that_is_not_behind_the_tunnel_is_told(bench: Workbench, sshd: SshServer) -> None:
    bench.connect(
        "no", "postgresql", "jdbc:postgresql://127.0.0.1:9/d", "u", tunnel=Tunnel.model_validate(sshd.tunnel())
    )
    with (
        pytest.raises(ConnectError, match=r"It goes through the SSH tunnel of .*Connection refused"),
        bench.session("no"),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("//one:1,two:2/d", "must name one"),
        ("d", "must name one"),
        ("//db,other/d", "must name one"),
    ],
)
def test_a_url_that_no_tunnel_leads_to_is_refused(bench: Workbench, url: str, message: str) -> None:
    bench.connect("no", "postgresql", f"jdbc:postgresql:{url}", tunnel=Tunnel(host="bastion"))
    with pytest.raises(ConfigurationError, match=message), bench.session("no"):
        pass


@pytest.mark.parametrize(
    ("url", "to", "rewritten"),
    [
        ("jdbc:postgresql://db/d?x=1", "db:5432", "jdbc:postgresql://here:7/d?x=1"),
        ("jdbc:postgresql://[2001:db8::1]:6/d", "[2001:db8::1]:6", "jdbc:postgresql://here:7/d"),
        ("jdbc:sqlserver://db:1433;databaseName=d", "db:1433", "jdbc:sqlserver://here:7;databaseName=d"),
        ("jdbc:oracle:thin:@//db:1521/s", "db:1521", "jdbc:oracle:thin:@//here:7/s"),
        ("jdbc:oracle:thin:@db:1521:SID", "db:1521", "jdbc:oracle:thin:@here:7:SID"),
        ("jdbc:oracle:thin:@tcps://db:2484/s", "db:2484", "jdbc:oracle:thin:@tcps://here:7/s"),
        ("jdbc:jtds:sqlserver://db:1433/d;a=b", "db:1433", "jdbc:jtds:sqlserver://here:7/d;a=b"),
    ],
)
def test_the_address_in_a_url(url: str, to: str, rewritten: str) -> None:
    address = Address.of(url, "5432")
    assert (str(address), address.url("here", 7)) == (to, rewritten)


def test_the_certificate_is_compared_with_the_real_name(
    bench: Workbench, tls_postgresql: TlsPostgreSQL, tls_mariadb: MariaDBServer, sshd: SshServer, authority: Authority
) -> None:
    """The URL's host is known to the SSH server only, and the certificate is for it."""
    tunnel = Tunnel.model_validate(sshd.tunnel())
    tls = Tls(mode="verify-full", ca=authority.ca)
    for kind, server in (("postgresql", tls_postgresql), ("mariadb", tls_mariadb)):
        database = "postgres" if kind == "postgresql" else "information_schema"
        for host, good in (("localhost", True), ("127.0.0.1", False)):
            name = f"{kind}{good}"
            url = f"jdbc:{kind}://{host}:{server.port}/{database}"
            bench.connect(name, kind, url, server.user, server.password, tls=tls, tunnel=tunnel)
            if good:
                with bench.session(name) as (session, handle):
                    assert session.query(handle, "SELECT 1").first == "1"
            else:
                with pytest.raises(ConnectError, match=r"tls\.mode verify-full: .* another name"), bench.session(name):
                    pass
    bench.connect("my", "mysql", f"jdbc:mysql://localhost:{tls_mariadb.port}/x", "u", tls=tls, tunnel=tunnel)
    with pytest.raises(ConfigurationError, match="take verify-ca"), bench.session("my"):
        pass
    plain = Tls(mode="verify-ca", ca=authority.ca)
    url = f"jdbc:mysql://localhost:{tls_mariadb.port}/information_schema"
    bench.connect("my2", "mysql", url, tls_mariadb.user, tls_mariadb.password, tls=plain, tunnel=tunnel)
    with bench.session("my2") as (session, handle):
        assert session.query(handle, "SELECT 1").first == "1"
        session.close()


def test_two_sessions_have_a_tunnel_each(bench: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer) -> None:
    connect(bench, "c", tls_postgresql, sshd)
    with SessionPool(2) as pool, pool.session() as one, pool.session() as two:
        for session in (one, two):
            link = bench.engine._connections().open(session, "c", "read")
            assert session.query(link.handle, "SELECT 1").first == "1"
        assert len(clients(sshd.port)) >= 2
        ports = {tunnels(session)[0].port for session in (one, two)}
        assert len(ports) == 2
        kept = [tunnel for session in (one, two) for tunnel in tunnels(session)]
    assert not any(tunnel.alive for tunnel in kept)


def test_a_cancel_ends_the_opening(bench: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect(bench, "c", tls_postgresql, sshd, port=silent.getsockname()[1])
        cancel = threading.Event()
        threading.Timer(0.5, cancel.set).start()
        began = time.monotonic()
        with bench.pool.session() as session, pytest.raises(JRunnerCancelled):
            bench.engine._connections().open(session, "c", "read", cancel=cancel)
        assert time.monotonic() - began < 5
        assert clients(silent.getsockname()[1]) == []


def test_the_client_does_not_outlive_a_killed_engine(
    bench: Workbench, tls_postgresql: TlsPostgreSQL, sshd: SshServer, tmp_path: Path
) -> None:
    """Neither ssh nor the session's folder."""
    connect(bench, "c", tls_postgresql, sshd)
    program = (
        "import sys, time; from pathlib import Path; from tests.running.workbench import Workbench;"
        "from pipekit_engine.engine import Engine; from pipekit_engine.config import Config;"
        "from pipekit_engine.jrunner.client import Session; from tests.jars import JAR_FOLDERS;"
        "folder = Path(sys.argv[1]);"
        "config = Config(database=str(folder / 'pipekit.db'), secrets=folder / 'secrets.env', jars=JAR_FOLDERS);"
        "engine = Engine(config); session = Session();"
        "engine._connections().open(session, 'c', 'read');"
        "print(session.pid, session.process.temporary.path, flush=True); time.sleep(60)"
    )
    others = set(clients(sshd.port))  # of warm sessions
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    pid, folder = child.stdout.readline().split(maxsplit=1)
    jrunner = ProcessName.of(int(pid))
    before = set(clients(sshd.port)) - others
    assert before
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    wait_until(lambda: not jrunner.alive() and not before & set(clients(sshd.port)), "the end of both")
    wait_until(lambda: not Path(folder.strip()).exists(), "the end of the folder")
