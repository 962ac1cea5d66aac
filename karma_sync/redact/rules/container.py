"""Rules for secrets that containers get: Secrets of Kubernetes, logins of Docker."""

import base64

from karma_sync.redact.finders import kubernetes
from karma_sync.redact.matching.rule import ANYWHERE, Rule
from karma_sync.redact.matching.value_checks import is_basic

_GATE = r"kind\\*[\"']?[ \t]*:[ \t]*\\*[\"']?Secret"


def _holds_login(_name: bytes, value: bytes) -> bool:
    """base64 of Docker's file of logins."""
    try:
        decoded = base64.b64decode(value + b"=" * (-len(value) % 4))
    except ValueError:
        return False
    return b'"auth"' in decoded or b'"password"' in decoded


CONTAINER_RULES = (
    Rule(
        name="kubernetes",
        pattern="",
        finder=kubernetes.values,
        gate=_GATE,
        reach=ANYWHERE,
        source="https://kubernetes.io/docs/concepts/configuration/secret/",
        examples=(
            "kind: Secret\nmetadata:\n  a: x\ndata:\n  url: «{lower:39}=»\n  user: «{lower:16}»\n",
            "     3→kind: Secret\n     4→data:\n     5→  config: «{lower:44}»\n     6→",
            "data:\n  url: «{lower:39}=»\n  user: «{lower:16}»\nkind: Secret\nmetadata:\n",
            '    "data": {\n        "url": "«{lower:40}»"\n    },\n    "kind": "Secret",\n',
            "kind: Secret\nstringData:\n  # of the test machine\n  mode: «production»\n"
            "  key: |\n    «{lower:12}»\n    «{lower:8}»\n  last: «{lower:9}» # x\ntype: Opaque\n",
            '{"apiVersion":"v1","data":{"user":"«YWxpY2U=»","pass":"«{lower:12}»"},"kind":"Secret"}',
        ),
        near_misses=(
            "kind: ConfigMap\ndata:\n  mode: production\n",
            "data:\n  mode: production\nkind: ConfigMap\n---\nkind: Secret\n",
            '{"kind":"ConfigMap","data":{"mode":"production"}}, {"kind":"Secret","data":{}}',
            "kind: Secret\nstringData:\n  mode: ${MODE}\n  other: {{ .Values.other }}\n",
        ),
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
