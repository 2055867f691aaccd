"""Runs all checks on one connection, in minutes, and gives a report.

Every table of a certification begins with `bench.PREFIX` and stands in the scratch schema, which holds nothing else. They are
dropped when it ends, in whatever way.
"""

from __future__ import annotations

import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.certify.bench import CANCELLED, Bench
from pipekit_engine.certify.merging import strategy_checks
from pipekit_engine.certify.outcomes import Broken, Finding, Refused, cause
from pipekit_engine.certify.report import Anonymizer, Report
from pipekit_engine.certify.speed import speed_checks
from pipekit_engine.certify.texts import key_checks, name_checks
from pipekit_engine.certify.transactions import transaction_checks
from pipekit_engine.certify.types import type_checks
from pipekit_engine.certify.watermarks import watermark_checks
from pipekit_engine.errors import PipekitError, RunCancelled
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from pipekit_engine.certify.outcomes import Check
    from pipekit_engine.config import Config
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Connection, Driver


def checks(dialect: Dialect) -> Iterator[Check]:
    """All of them, in their order."""
    yield from type_checks(dialect)
    yield from name_checks()
    yield from key_checks()
    yield from strategy_checks()
    yield from watermark_checks(dialect)
    yield from transaction_checks()
    yield from speed_checks()


def certify(
    config: Config,
    connection: Connection,
    driver: Driver,
    schema: str,
    *,
    quick: bool = False,
    cancel: threading.Event | None = None,
    on_finding: Callable[[Finding], None] = lambda finding: None,
    only: Callable[[Check], bool] = lambda check: True,
) -> Report:
    """Certify a connection in a scratch schema. `quick` asks a few questions of each subject, in seconds.

    Raises ConfigurationError for a schema that cannot be used, ConnectError families, and RunCancelled once `cancel` is set; in
    each case what was made is dropped.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pipekit-certify-") as folder:
        bench = Bench(config, connection, driver, schema, Path(folder))
        if cancel is not None:
            bench.cancel = cancel
        redactor = Redactor(Secrets.of(config).values())
        anonymizer = Anonymizer(connection, schema, (folder, str(config.folder)))

        def clean(text: str) -> str:
            return anonymizer.clean(redactor.clean(text))

        findings = []
        with bench:
            opened, facts = bench.opened, _facts(bench)
            for check in checks(bench.dialect):
                if (quick and not check.quick) or not only(check):
                    continue
                finding = _run(bench, check, clean)
                findings.append(finding)
                on_finding(finding)
    return Report(
        bench.kind,
        opened.product,
        opened.product_version,
        opened.driver,
        opened.driver_version,
        {name: clean(value) for name, value in facts.items()},
        datetime.now(timezone.utc),
        not quick,
        round(time.monotonic() - started, 1),
        tuple(findings),
    )


def _run(bench: Bench, check: Check, clean: Callable[[str], str]) -> Finding:
    if bench.cancel.is_set():
        raise RunCancelled(CANCELLED)
    bench.forget()
    try:
        return Finding(check.subject, check.name, "held", clean(check.run(bench) or ""))
    except Refused as said:
        return Finding(check.subject, check.name, "refused", clean(str(said)))
    except Broken as said:
        return Finding(check.subject, check.name, "broken", clean(str(said)))
    except PipekitError as error:
        if bench.cancel.is_set():
            raise RunCancelled(CANCELLED) from error
        return Finding(check.subject, check.name, "broken", clean(f"it failed: {cause(error)}"))


def _facts(bench: Bench) -> dict[str, str]:
    """Collation, isolation and the like; what the login may not ask is left out."""
    found = {}
    for name, sql in bench.dialect.server_facts.items():
        try:
            rows = bench.query(sql)
        except PipekitError:
            continue
        if rows and rows[0][0] is not None:
            found[name] = str(rows[0][0])
    return found
