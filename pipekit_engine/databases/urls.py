"""What a JDBC URL gives away: `redact_url` and `url_holds_secret`, knowing the kinds of databases.

The kinds tell `security.redact` of their URLs as they are loaded. Whoever looks at the URL of a connection takes these functions
from here, so that the kinds are loaded by then.
"""

from __future__ import annotations

import pipekit_engine.databases.dialects  # noqa: F401  (see above)
from pipekit_engine.security.redact import redact_url, url_holds_secret

__all__ = ["redact_url", "url_holds_secret"]
