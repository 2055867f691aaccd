"""YAML files as people write them: what is added to one must leave all its other lines byte for byte.

`g` and `h` are groups.
"""

from __future__ import annotations

_FILES = {
    "comments_everywhere": """\
# head

# of the groups
groups:   # behind the key
  # before a
  a:  # behind a
    members: [x, y]   # behind members
    # inside a, last
  # between

  b: {members: [x]}
  # after b

# of the schedules
schedules:
  s: {group: a, cron: '0 2 * * *'}
""",
    "four_spaces_indented_list": """\
groups:
    g:
        members:
            - a
            -   b   # odd gap
        max_parallel: 2
    h:
        members: [ a,b ]
""",
    "list_not_indented": """\
groups:
  g:
    members:
    - a
    # between
    - - b
      - c
  h:
    members:
    - a
""",
    "mixed_indents": """\
modules:
   odd:
        source: a
        dest:   b
        query: select 1
        dest_table: t
        strategy:      full
groups:
  g:
      members: [odd]
""",
    "quotes": """\
groups:
  'g':
    members: ["a", 'b', c]
    on_failure: "stop"
connections:
  "c": {driver: 'sqlite', "jdbc_url": 'jdbc:sqlite:x', options: {'a': "1", b: '''q'''}}
""",
    "blocks": """\
modules:
  folded:
    source: a
    dest: b
    query: >-
      SELECT a,
        b
      FROM t

      WHERE x
    dest_table: t
    strategy: full
  keep:
    source: a
    dest: b
    query: |+
      SELECT 1

    dest_table: t
    strategy: full
  indented:
    source: a
    dest: b
    query: |2
        SELECT 2
    dest_table: t
    strategy: full
groups:
  g: {members: [folded]}
""",
    "anchors": """\
x-common: &common
  source: a
  dest: b   # the warehouse
modules:
  m:
    <<: *common
    query: SELECT 1
    dest_table: t
    strategy: full
  n:
    <<: [*common]
    query: SELECT 1
    dest_table: &t u
    strategy: full
groups:
  g: {members: [m, n]}
""",
    "document_markers": """\
%YAML 1.1
---
# first
groups:
  g: {members: [a]}
...
""",
    "multiline_flow": """\
groups:
  g: {
    members: [
      a,   # first
      b,

      c
    ],
    max_parallel: 2,
  }
  h:
    members: [a,
              b]
""",
    "odd_scalars": """\
schedules:
  s: {group: g, cron: '0 2 * * *', enabled: yes}
  t: {group: g, cron: "0 3 * * *", enabled: OFF, misfire_grace: 0o17}
modules:
  m:
    source: a
    dest: b
    query: SELECT 1
    dest_table: t
    strategy: full
    retry: 0x1
    max_shrink_percent: 2.50
    watermarks:
      since: {connection: a, resolver_sql: SELECT 1, default: 2013-01-01}
      n: {connection: a, resolver_sql: SELECT 1, default: 1_000}
      z: {connection: a, resolver_sql: SELECT 1, default: 007}
groups:
  g: {members: [m]}
""",
    "nulls": """\
groups:
  g:
    members: [a]
    max_parallel:
    on_failure: ~
connections:
modules: {}
""",
    "no_final_newline": """\
groups:
  g:
    members: [a]
  h:
    members:
      - a""",
    "plain_multiline": """\
modules:
  m:
    source: a
    dest: b
    query: SELECT a
      FROM t
      WHERE b
    dest_table: t
    strategy: full
  n:
    source: a
    dest: b
    query: "SELECT a
      FROM t \\
      WHERE b"
    dest_table: t
    strategy: full
groups:
  g: {members: [m]}
""",
    "blank_lines": """\

groups:

  g:

    members:

      - a


      - b

  h: {members: [a]}


schedules:

  s: {group: g, cron: '0 2 * * *'}
""",
    "tags": """\
groups:
  g:
    members: !!seq [a]
  h: {members: [!!str a]}
""",
}

#: By name; some also with the line ends and the byte order mark of another system.
FILES = {
    **_FILES,
    **{
        f"{name}_crlf": _FILES[name].replace("\n", "\r\n")
        for name in ("comments_everywhere", "list_not_indented", "blocks")
    },
    "byte_order_mark": "\ufeff" + _FILES["comments_everywhere"],
}
