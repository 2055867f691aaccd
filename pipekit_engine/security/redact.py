"""Keeps secrets out of everything that is printed, logged or stored.

Two nets: `Redactor` removes the known values of the secrets in every form in which programs repeat them, and
`redact_url` removes what a URL carries (user-info passwords, password-like parameters) even when nobody declared it
a secret. A URL that cannot be understood is printed as stars: better to show too little.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

STARS = "***"

_SENSITIVE = r"[\w.-]*(?:passw|pwd|passphrase|secret|token|credential|api_?key|access_?key|private_?key)[\w.-]*"
#: `name=` where a URL may hold parameters. What ends the value depends on what stands before the name.
_PARAMETER = re.compile(rf"(?P<before>[?&;:(,])\s*{_SENSITIVE}\s*=\s*", re.IGNORECASE)
_VALUE_ENDS = {"?": "&", "&": "&", ";": ";", ":": ";", "(": ")", ",": ",)"}
#: SQL Server: {a;b}, a closing brace doubled. One that is not closed takes all the rest.
_BRACED = re.compile(r"\{(?:[^}]|\}\})*(?:\}|$)")
_HOST = r"(?:[\w.~%-]*|\[[0-9A-Fa-f:.%\w]+\])(?:\\[\w$.-]+)?(?::\d*)?"
_AUTHORITY = re.compile(rf"{_HOST}(?:,{_HOST})*")
#: MySQL's and MariaDB's long form: address=(host=a)(port=3306)
_ADDRESS = re.compile(r"(?:address=)?(?:\([\w.]+=[^()]*\))+(?:,(?:address=)?(?:\([\w.]+=[^()]*\))+)*")
_URL_IN_TEXT = re.compile(r"\b(?:jdbc:[A-Za-z0-9]+:|[A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>`]*")
_JDBC_PREFIX = re.compile(r"jdbc:[a-z0-9]+:", re.IGNORECASE)


@dataclass(frozen=True)
class UrlForm:
    """What a kind of database says of its URLs.

    `is_path`: the rest, where there is no `//` in it, is a path or a name and never a login. `redact_login` is for logins of a
    form of their own: the URL without its password, None where that cannot be told.
    """

    is_path: bool = False
    redact_login: Callable[[str], str | None] | None = None


#: By the prefix of JDBC URLs, each asked for when such a URL comes.
_FORMS: dict[str, Callable[[], UrlForm]] = {
    prefix: lambda: UrlForm(is_path=True) for prefix in ("jdbc:duckdb:", "jdbc:ucanaccess:", "jdbc:classic:")
}


def know_url(prefix: str, form: Callable[[], UrlForm]) -> None:
    """Take note of whom to ask for the form of such URLs; every URL that nobody spoke of is trusted with nothing.

    `prefix` is `jdbc:name:` in lower case.
    """
    _FORMS[prefix] = form


def redact_url(url: str) -> str:
    """The URL without passwords; `***` for one that cannot be understood.

    Understands `scheme://` URLs and JDBC URLs, with a login before `@` and parameters after `?` or `;`, and what the kinds of
    databases told of theirs (`know_url`).
    """
    redacted = _redact(url)
    return STARS if redacted is None else redacted


def url_holds_secret(url: str) -> bool:
    """True when the URL carries a password, or may carry one in a login that cannot be understood."""
    redacted = _redact(url)
    return "@" in url if redacted is None else redacted != url


def is_secret_name(name: str) -> bool:
    """True for a parameter or option whose value should be a secret, such as `password` or `trustStorePassword`."""
    return re.fullmatch(_SENSITIVE, name, re.IGNORECASE) is not None


def _redact(url: str) -> str | None:
    if not _URL_IN_TEXT.match(url):
        return None
    url = _without_parameters(url)
    jdbc = _JDBC_PREFIX.match(url)
    prefix = jdbc.group().lower() if jdbc else ""
    form = _FORMS.get(prefix, UrlForm)()
    if form.redact_login is not None:
        return form.redact_login(url)
    head, slashes, rest = url.partition("//")
    if not slashes or "?" in head or ";" in head:
        return url if form.is_path or "@" not in url else None
    end = next((i for i, char in enumerate(rest) if char in "/?;#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    login, at, host = authority.rpartition("@")
    if not (_AUTHORITY.fullmatch(host) or _ADDRESS.fullmatch(host)):
        return None
    if not at:
        # An @ further on, but before any parameters, may end a password that holds a slash.
        path = re.split(r"[?;]", tail, maxsplit=1)[0]
        return None if "@" in path else url
    if "@" in tail:
        return None
    user, colon, _ = login.partition(":")
    return f"{head}//{user}{colon}{STARS if colon else ''}@{host}{tail}"


def _without_parameters(url: str) -> str:
    parts: list[str] = []
    position = 0
    while match := _PARAMETER.search(url, position):
        start = match.end()
        braced = _BRACED.match(url, start)
        end = braced.end() if braced else start
        while end < len(url) and url[end] not in _VALUE_ENDS[match["before"]]:
            end += 1
        parts.append(url[position:start] + (STARS if end > start else ""))
        position = end
    return "".join(parts) + url[position:]


#: What pipekit's own messages say of secrets. With the password `secret` they would lose it, and tell it by that.
_OWN_WORDS = (
    r"(?P<own>(?<!\w)(?:pipekit secrets(?: set| unset| list)?|pipekit set-password|secrets\.env|PIPEKIT_SECRETS)(?!\w))"
)


#: Values that were read while the process runs: each redactor knows them.
_LEARNED: dict[str, Redactor] = {}


def learn(values: Iterable[str]) -> None:
    """Let all redactors, those that are there included, know these values."""
    for value in values:
        if value and value not in _LEARNED:
            _LEARNED[value] = Redactor([value])


class Redactor:
    """Replaces secrets in text by `***`: the values given, as they are and as URLs and JSON write them, and URL
    passwords.

    Values of fewer than four characters are replaced only where they stand alone, or nothing would be left to read.
    Of a value of several lines, each line of eight characters or more is a secret too, since logs come line by
    line.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        texts: set[str] = set()
        for value in values:
            lines = [line.strip() for line in value.splitlines()]
            texts.update(text for text in (value, *(line for line in lines if len(line) >= 8)) if text.strip())
        patterns = []
        for text in sorted(texts, key=len, reverse=True):
            pattern = "".join(map(_any_form, text))
            patterns.append(pattern if len(text) >= 4 else rf"(?<!\w){pattern}(?!\w)")
        self._known = re.compile("|".join([_OWN_WORDS, *patterns])) if patterns else None

    def clean(self, text: str) -> str:
        """The text without secrets."""
        text = self._without_known(text)
        for learned in list(_LEARNED.values()):
            text = learned._without_known(text)
        if "://" in text or "jdbc:" in text:
            text = _URL_IN_TEXT.sub(_clean_url, text)
        return text

    def _without_known(self, text: str) -> str:
        return text if self._known is None else self._known.sub(lambda match: match["own"] or STARS, text)


def _clean_url(match: re.Match[str]) -> str:
    # Prose around a URL may end in punctuation that is not part of it.
    url = match[0].rstrip(".,)]}>;")
    return redact_url(url) + match[0][len(url) :]


def _any_form(char: str) -> str:
    """A pattern for one character as programs write it: plain, URL-encoded, or escaped for SQL, JSON or Python."""
    if char.isascii() and char.isalnum():
        return char
    plain = re.escape(char)
    url = "(?i:" + "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass")) + ")"
    # SQL, CSV and JDBC URLs double what would end a literal.
    doubled = char * 2 if char in "'\"`}]" else char
    escaped = {re.escape(form) for form in (json.dumps(char)[1:-1], repr(char)[1:-1], "\\" + char, doubled)}
    forms = [*sorted(escaped - {plain}, key=len, reverse=True), url, plain]
    return "(?:" + "|".join(forms + ([r"\+"] if char == " " else [])) + ")"
