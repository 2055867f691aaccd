"""Many runs, one after another, through one engine and through `pipekit serve`: what grows.

    python bench/soak.py [--engine 5000] [--served 500] [--samples 10]

After each tenth of the runs it prints, of each process, resident memory, descriptors and threads, and the files below
the project's folder; at the end what was more in the second half, when a JVM has warmed up after some thousand runs, than
ever before. It ends with exit status 1 when files grew, other than those that Dagster keeps of each run until `retention` takes
them; descriptors or threads by more than come and go (the JVM's compilers, SQLite's files); or memory by more than a
tenth and 20 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipekit_dagster.retention import prune_runs  # noqa: E402
from pipekit_engine.common.processes import ProcessName  # noqa: E402
from pipekit_engine.engine import Engine  # noqa: E402
from tests.dagster.project import Project  # noqa: E402
from tests.dagster.served import Served, descendants  # noqa: E402

#: What comes and goes.
_SLACK_MB, _SLACK = 20, 3


@dataclass
class Sample:
    """What a process, or a folder, has at a moment."""

    memory_mb: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Of a process."""
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        memory = int(status.get("VmRSS", "0 kB").split()[0]) / 1024
        return cls(memory, len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status["Threads"]))


class Watch:
    """Takes samples of processes and a folder, prints them, and says what grew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time.monotonic()
        self.samples: list[dict[str, Sample]] = []
        self.files: list[int] = []

    def take(self, done: int, pids: dict[str, int]) -> None:
        """One sample of each process."""
        found = {name: Sample.of(pid) for name, pid in pids.items()}
        self.samples.append(found)
        self.files.append(sum(1 for path in self._folder.rglob("*") if path.is_file()))
        told = "  ".join(
            f"{name} {one.memory_mb:.0f} MB {one.descriptors} fd {one.threads} thr" for name, one in found.items()
        )
        print(f"{done:>6} runs {time.monotonic() - self._began:>7.0f} s  {told}  {self.files[-1]} files", flush=True)

    def grown(self) -> list[str]:
        """What was more at any time of the second half than it ever was in the first."""
        half = len(self.samples) // 2 + 1
        problems = []
        for name in self.samples[0].keys() & self.samples[-1].keys():
            before, after = ([found[name] for found in part] for part in (self.samples[:half], self.samples[half:]))
            for what, slack in (("memory_mb", _SLACK_MB), ("descriptors", _SLACK), ("threads", _SLACK)):
                first, second = (max(getattr(one, what) for one in part) for part in (before, after))
                if second > first * (1.1 if what == "memory_mb" else 1) + slack:
                    problems.append(f"{name}: {what} {first:.0f} -> {second:.0f}")
        return problems


@contextmanager
def project() -> Iterator[Project]:
    """A project with one small module in a group."""
    with tempfile.TemporaryDirectory(prefix="pipekit-soak-") as folder:
        made = Project(Path(folder))
        made.add_module("one")
        made.add_group("g", ("one",))
        yield made


def repeat(watch: Watch, runs: int, samples: int, once: Callable[[], None], pids: Callable[[], dict[str, int]]) -> None:
    """Do it many times; a sample before the first, after some, and after the last."""
    watch.take(0, pids())
    each = max(1, runs // samples)
    for number in range(1, runs + 1):
        once()
        if number % each == 0 or number == runs:
            watch.take(number, pids())


def soak_engine(runs: int, samples: int) -> list[str]:
    """Runs of one engine with warm sessions, in this process."""
    import os

    with project() as made, Engine(made.config) as engine, engine.session_pool() as sessions:

        def pids() -> dict[str, int]:
            return {"engine": os.getpid(), **{f"jrunner {n}": pid for n, pid in enumerate(descendants(os.getpid()), 1)}}

        engine.run("one", sessions=sessions)
        watch = Watch(made.folder)
        repeat(watch, runs, samples, lambda: run_once(engine, sessions), pids)
        files = watch.files
    more = [f"files {files[1]} -> {files[-1]}"] if files[-1] > files[1] else []
    return [*watch.grown(), *more]


def run_once(engine: Engine, sessions: object) -> None:
    """One run, which must succeed."""
    record = engine.run("one", sessions=sessions).record  # type: ignore[arg-type]
    assert record.status == "success", record.error


def soak_served(runs: int, samples: int) -> list[str]:
    """Runs of a group that the real daemon launches, a process each."""
    with project() as made:
        served = Served(made)
        served.start()
        try:

            def once() -> None:
                ended = served.ended(served.run_group("g"))
                assert ended["status"] == "success", ended

            def pids() -> dict[str, int]:
                found: dict[str, ProcessName] = {
                    name: served.service(name) for name in ("code server", "daemon", "web server")
                }
                return {name: process.pid for name, process in found.items()}

            once()
            watch = Watch(made.folder)
            repeat(watch, runs, samples, once, pids)
            with made.instance() as instance:
                gone, _ = prune_runs(instance, "__repository__@pipekit", timedelta(0), budget_s=600)
            left = sum(1 for path in made.folder.rglob("*") if path.is_file())
        finally:
            served.stop()
    kept = runs + 1 - gone
    print(f"retention deleted {gone} runs and left {left} files; {watch.files[0]} there were after the first")
    # The newest run is kept, and one that may have ended a moment ago.
    more = [f"files {watch.files[0]} -> {left}"] if kept > 2 or left > watch.files[0] + 10 else []
    return [*watch.grown(), *more]


def main() -> int:
    """Both parts; 1 when something grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=int, default=5000, help="runs through one engine")
    parser.add_argument("--served", type=int, default=500, help="runs through `pipekit serve`")
    parser.add_argument("--samples", type=int, default=10)
    options = parser.parse_args()
    problems = []
    if options.engine:
        problems += [f"engine: {each}" for each in soak_engine(options.engine, options.samples)]
    if options.served:
        problems += [f"served: {each}" for each in soak_served(options.served, options.samples)]
    for problem in problems:
        print(f"grew: {problem}")
    print("nothing grew" if not problems else "")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
