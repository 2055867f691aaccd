"""Certify a database by its JDBC URL, without a project of one's own: `make certify URL=jdbc:... SCHEMA=scratch LOGIN=me`.

The password is taken from PIPEKIT_CERTIFY_PASSWORD. The report goes to certificate-KIND.json in the working directory; copied to
docs/certificates, it gets into docs/verified.md by `python docs/build_reference.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from pipekit_engine.cli.main import app
from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers, kind_of_url
from pipekit_engine.models import Connection
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Change, Store

JARS = [Path(sys.prefix) / "share" / "pipekit" / "jars", Path("/usr/share/java")]


def main() -> None:
    """Make a project in a temporary folder, and run the command in it."""
    parser = argparse.ArgumentParser(description="Certify a database.")
    parser.add_argument("url")
    parser.add_argument("--schema", required=True)
    parser.add_argument("--login")
    parser.add_argument("--kind", help="else told by the URL")
    options = parser.parse_args()
    os.environ.pop("PIPEKIT_SECRETS", None)  # would lead elsewhere
    kind = options.kind or kind_of_url(options.url)
    report = Path(f"certificate-{kind}.json").absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        secrets = folder / "secrets.env"
        config = folder / "pipekit.yaml"
        jars = ", ".join(map(str, JARS))
        config.write_text(f"database: pipekit.db\nsecrets: {secrets}\njars: [{jars}]\n", encoding="utf-8")
        Secrets.load(secrets).set("CERTIFY_PASSWORD", os.environ.get("PIPEKIT_CERTIFY_PASSWORD", ""))
        url = Config(database=str(folder / "pipekit.db")).database_url
        Store.init(url)
        password = "$CERTIFY_PASSWORD" if options.login else None
        connection = Connection(
            name="certified", driver=kind, jdbc_url=options.url, username=options.login, password=password
        )
        with Store.open(url) as store:
            drivers = [Change("create", "drivers", driver.name, driver) for driver in builtin_drivers()]
            store.definitions.save([*drivers, Change("create", "connections", connection.name, connection)])
        command = ["connections", "certify", "certified", "--schema", options.schema, "--yes", "--report", str(report)]
        app(["--config", str(config), *command])


if __name__ == "__main__":
    main()
