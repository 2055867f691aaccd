"""Certificates for the tests' servers, by openssl: an authority, and what it signs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import unavailable


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM files."""

    cert: Path
    key: Path


class Authority:
    """An authority in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            unavailable("no openssl to make certificates with")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.pair = Pair(folder / "ca.pem", folder / "ca.key")
        self.openssl("req", "-x509", *self._new(self.pair, f"/CN={name}"), "-days", "2")

    @property
    def ca(self) -> str:
        """Path of the authority's certificate."""
        return str(self.pair.cert)

    def _new(self, pair: Pair, subject: str) -> list[str]:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(pair.key))
        return [*key, "-subj", subject, "-out", str(pair.cert)]

    def sign(self, name: str, *, hosts: str = "", days: int = 2) -> Pair:
        """A certificate for `hosts` (`DNS:a,IP:b`), with `days` left; negative: it has expired."""
        made = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        self.openssl("req", *self._new(Pair(request, made.key), f"/CN={name}"))
        extensions.write_text(f"subjectAltName={hosts}\n" if hosts else "basicConstraints=CA:FALSE\n")
        signer = ("-CA", str(self.pair.cert), "-CAkey", str(self.pair.key), "-CAcreateserial", "-days", str(days))
        self.openssl("x509", "-req", "-in", str(request), *signer, "-extfile", str(extensions), "-out", str(made.cert))
        return made

    def openssl(self, *arguments: str) -> None:
        """Run openssl."""
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
