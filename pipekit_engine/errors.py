"""Every error that pipekit raises on purpose, sorted by what the operator does next.

    PipekitError
    ├── ConfigurationError      mend a file, a flag or the machine; nothing was changed       exit status 2
    │   ├── DefinitionsError    the YAML definitions have problems, all of them listed
    │   ├── NotFoundError       no module, group, connection or run of that name
    │   ├── RecordChanged       somebody else has changed the record meanwhile
    │   ├── SecretError         a $VAR is not set, or the secrets file cannot be used
    │   ├── StoreError          the state store is missing, too old, too new or not writable
    │   │   └── StoreUnavailable  its server does not answer just now
    │   └── RuntimeMissing      Java, jrunner or a JDBC jar is not there
    ├── RunError                a run ended with status `error`                                exit status 1
    │   ├── ConnectError        a database refused the login or could not be reached
    │   ├── SourceError         resolving a watermark or reading the source failed
    │   ├── StagingError        staging could not be made, filled or verified
    │   ├── DestinationError    the destination does not fit the module; it was not touched
    │   ├── MergeError          the merge was rolled back; the destination is as it was
    │   ├── OutcomeUnknown      the connection broke during the commit: look, or run again
    │   ├── CheckError          a check of the module failed, before the merge or after it
    │   ├── HookError           the merge was committed, a hook failed
    │   └── Interrupted         the process that ran it died; found and ended by another
    ├── LockedError             somebody else is running it                                    exit status 3
    │   ├── ModuleLocked
    │   └── GroupLocked
    └── RunCancelled            ended on request; the destination is as it was unless it says otherwise  exit status 130

The exit statuses are documented in docs/reference/cli.md.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipekit_engine.records.runs import GroupRunRecord, RunRecord

#: What to do when nobody can tell whether a merge was committed.
RUN_AGAIN = (
    "run it again: it gives the right rows in both cases (with strategy append, if its watermark is read from the "
    "destination)"
)


class PipekitError(Exception):
    """Base of all errors that pipekit raises on purpose. `str()` is a message fit for a person."""

    exit_status = 1
    #: The run that this error ended, as run_log holds it; None when no run had begun.
    record: RunRecord | None = None
    #: The group run that this error ended; None when no group run had begun.
    group_record: GroupRunRecord | None = None


class ConfigurationError(PipekitError):
    """Something that a person wrote or installed has to be mended. Nothing was changed."""

    exit_status = 2


class DefinitionsError(ConfigurationError):
    """The definitions have problems. `problems` lists them, each naming file, place and fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class NotFoundError(ConfigurationError):
    """No record of that name; the message offers the nearest one that exists."""

    def __init__(self, what: str, name: object, known: Iterable[str] = ()) -> None:
        known = sorted(known)
        message = f"There is no {what} {name!r}."
        near = get_close_matches(str(name), known, n=1)
        if near:
            message += f" Did you mean {near[0]!r}?"
        elif known:
            shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            message += f" Known: {shown}."
        super().__init__(message)


class RecordChanged(ConfigurationError):
    """Somebody else has changed the record since it was looked at; look at it again."""

    def __init__(self, label: str) -> None:
        super().__init__(f"The {label} was changed meanwhile. Look at it again, and change it anew.")


class SecretError(ConfigurationError):
    """A `$VAR` reference that nothing sets, or a secrets file that cannot be used."""


class StoreError(ConfigurationError):
    """The state store cannot be used as it is."""


class StoreUnavailable(StoreError):
    """The state store's server does not answer just now; it may in a moment."""


class RuntimeMissing(ConfigurationError):
    """Java, the jrunner jar or a JDBC driver's jar is not there. The message says what to install."""


class RunError(PipekitError):
    """A module run or group run ended with status `error`."""

    #: True when the destination already holds the run's rows.
    merge_committed = False


class ConnectError(RunError):
    """A database refused the login or could not be reached within the connect timeout."""


class SourceError(RunError):
    """Resolving a watermark, describing or reading the source failed. The destination is untouched."""


class StagingError(RunError):
    """The staging table could not be made, filled or verified. The destination is untouched."""


class DestinationError(RunError):
    """The destination table does not fit the module. It is untouched."""


class EarlierMergeActive(RunError):
    """The merge of an earlier run of the module is still under way at the destination. This run did nothing."""


class MergeError(RunError):
    """The merge failed and was rolled back. The destination is as it was."""


class OutcomeUnknown(RunError):
    """The connection broke while the merge was being committed, so nobody knows whether it was."""


class CheckError(RunError):
    """A check of severity `error` failed: before the merge, then nothing was merged, or after it (`merge_committed`)."""


class HookError(RunError):
    """A hook failed after the merge was committed."""

    merge_committed = True


class Interrupted(RunError):
    """The process that ran it died without finishing."""


class LockedError(PipekitError):
    """The module or group is being run by somebody else."""

    exit_status = 3


class ModuleLocked(LockedError):
    """Another run of this module is in progress."""


class GroupLocked(LockedError):
    """Another run of this group is in progress."""


class RunCancelled(PipekitError):
    """The run was cancelled."""

    exit_status = 130
