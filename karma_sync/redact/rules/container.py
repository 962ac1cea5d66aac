"""Rules for secrets that containers get: Secrets of Kubernetes, logins of Docker."""

import base64

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_basic, is_placeholder

# What may stand before a line: a tool's line number, the sign of a diff, blanks.
_BEFORE = r"(?:[ \t]*[0-9]{1,6}(?:→|\t))?[+-]?[ \t]*"
_KEY = r"\"?[A-Za-z0-9._-]+\"?:[ \t]*"
_DONE = rf"(?:{_BEFORE}{_KEY}\"?\[REDACTED:[a-z0-9-]+\]\"?,?\r?\n)*"
_VALUE = r"\"?(?P<secret>[A-Za-z0-9+/]{4,}={0,2})\"?,?[ \t]*\r?\n"
_ENTRY = rf"\"?data\"?:[ \t]*\{{?\r?\n{_DONE}{_BEFORE}{_KEY}{_VALUE}"
# Lines of the same YAML document: no other `kind:`, and no `---` between two documents.
_LINES = rf"(?:{_BEFORE}(?:[^k\s-][^\n]*|k[^i\n][^\n]*)?\n){{0,80}}?"
_IS_SECRET = rf"{_BEFORE}\"?kind\"?:[ \t]*\"?Secret\b"
_GATE = r"kind\\*\"?:[ \t]*\\*\"?Secret"
_SOURCE = "https://kubernetes.io/docs/concepts/configuration/secret/"


def _is_encoded(_name: bytes, value: bytes) -> bool:
    """base64 of anything."""
    try:
        return bool(base64.b64decode(value, validate=True)) and not is_placeholder(value)
    except ValueError:
        return False


def _holds_login(_name: bytes, value: bytes) -> bool:
    """base64 of Docker's file of logins."""
    try:
        decoded = base64.b64decode(value + b"=" * (-len(value) % 4))
    except ValueError:
        return False
    return b'"auth"' in decoded or b'"password"' in decoded


CONTAINER_RULES = (
    Rule(
        name="kubernetes",  # one entry at a time: the next search skips the entries that are cut
        pattern=rf"{_IS_SECRET}[^\n]*\n{_LINES}{_BEFORE}{_ENTRY}",
        gate=_GATE,
        source=_SOURCE,
        check=_is_encoded,
        examples=(
            "kind: Secret\nmetadata:\n  a: x\ndata:\n  url: «{lower:39}=»\n  user: «{lower:16}»\n",
            "     3→kind: Secret\n     4→data:\n     5→  config: «{lower:44}»\n     6→",
        ),
        near_misses=(
            "kind: ConfigMap\ndata:\n  mode: production\n",
            "kind: Secret\nstringData:\n  mode: production\n",
        ),
    ),
    Rule(
        name="kubernetes",  # as kubectl prints it, with `data` before `kind`
        pattern=rf"{_ENTRY}{_LINES}{_IS_SECRET}",
        gate=_GATE,
        source=_SOURCE,
        check=_is_encoded,
        examples=(
            "data:\n  url: «{lower:39}=»\n  user: «{lower:16}»\nkind: Secret\nmetadata:\n",
            '    "data": {\n        "url": "«{lower:40}»"\n    },\n    "kind": "Secret",\n',
        ),
        near_misses=("data:\n  mode: production\nkind: ConfigMap\n---\nkind: Secret\n",),
    ),
    Rule(
        name="docker",
        pattern=r"\"auth\"[ \t]*:[ \t]*\"(?P<secret>[A-Za-z0-9+/]{8,}={0,2})\"",
        gate=r"\"auth\\*\"[ \t]*:[ \t]*\\*\"[A-Za-z0-9+/\\]{8}",
        source="https://docs.docker.com/reference/cli/docker/login/",
        check=is_basic,
        examples=('{"auths":{"r.example":{"auth":"«YWxpY2U6aHVudGVyMg==»"}}}',),
        near_misses=('"auth": "required"', '"auth": "YWxpY2U="'),
    ),
    Rule(
        name="docker",
        pattern=r"\.dockerconfigjson\"?:[ \t]*\"?(?P<secret>[A-Za-z0-9+/]{24,}={0,2})",
        gate=r"\.dockerconfigjson",
        source="https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/",
        check=_holds_login,
        examples=("  .dockerconfigjson: «eyJhdXRocyI6eyJyIjp7ImF1dGgiOiJZV3hw{lower:20}»",),
        near_misses=("type: kubernetes.io/dockerconfigjson", ".dockerconfigjson: <base64>"),
    ),
)
