"""Secrets of a standard rather than of a company: keys, headers, addresses, what the user marks."""

import base64
import re

from karma_sync.redact.rule import Rule
from karma_sync.redact.rules_ai import EDGE
from karma_sync.redact.values import (
    is_password,
    is_spoken,
    is_stand_in,
)

# Text without a second <private>: part of the tag before another `<`, and not the tag after all.
_PART = r"(?:p(?:r(?:i(?:v(?:a(?:te?)?)?)?)?)?)?"
_OTHER = r"(?:[^<p]|p[^<r]|pr[^<i]|pri[^<v]|priv[^<a]|priva[^<t]|privat[^<e]|private[^<>])"

_KIND = r"[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?"
_BEGIN = rf"-{{4,5}} ?BEGIN {_KIND} ?-{{4,5}}"
_FINISH = rf"-{{4,5}} ?END {_KIND} ?-{{4,5}}"
# Between the header and the key itself: line ends in any notation, the line numbers of a tool
# (`   13→`), quotes and signs of code around it, and the headers of old OpenSSL and PGP files.
_GAP = r"(?:[^A-Za-z0-9]|\\+[nrt]|[0-9]{1,6}[^A-Za-z0-9+/=])*"
_HEADERS = rf"(?:[A-Z][A-Za-z-]{{2,20}}: [^\r\n]{{0,200}}[\r\n]{_GAP})*"
_UNDASHED = r"(?:[^-]|-{1,3}[^-])*?"  # up to the next header or footer
_KEY_GATE = r"BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY"
_LAST_RUN = re.compile(rb"[A-Za-z0-9+/=]{16,}\Z")
_LINE = 40  # characters of base64 that no identifier in code has
_SIGNS_OF_CODE = re.compile(rb"[()\[\]{}*?^$]|\.\.\.|-----BEGIN")
_LITTLE = 8  # characters of base64 that are no key yet

_PORT_TO_USER = (
    r":(?P<name>[0-9]{4,5}|\*):(?:[A-Za-z_][A-Za-z0-9_$-]*|\*):(?:[A-Za-z_][A-Za-z0-9_.@$-]*|\*):"
)
_TEMPLATE = re.compile(
    rb"(?i)\$|[{<(\[]|%[({]|.*(?:\$\{|\{\{|\.\.\.|\*\*|your|placeholder|redacted|x{4})|x+$|\*$"
    rb"|(?-i:[A-Z_]*(?:PASS|SECRET|TOKEN|KEY|PW)[A-Z_]*$)"
)


def _is_key_block(_name: bytes, block: bytes) -> bool:
    """The header is followed by a key and not by the name of a variable that holds one."""
    run = _LAST_RUN.search(block)
    return run is not None and (len(run[0]) >= _LINE or not is_spoken(run[0]))


def _is_short_key(_name: bytes, block: bytes) -> bool:
    """A block with both ends and little in it, as in a test: not an expression, not prose."""
    inner = block[block.index(b"KEY") : block.rindex(b"END")].strip(b"KEYBLOC -")
    if _SIGNS_OF_CODE.search(inner) or not re.search(rb"[\r\n]|\\[nr]", inner):
        return False
    key = re.sub(rb"[^A-Za-z0-9+/]", b"", re.sub(rb"\\+[nrt]|\s[0-9]+\xe2\x86\x92", b"", inner))
    return len(key) >= _LITTLE and not key.islower()


def _holds_private_key(_name: bytes, encoded: bytes) -> bool:
    """base64 of a PEM header, as Kubernetes and CI variables keep a key."""
    head = encoded[:80].rstrip(b"=")
    return b"PRIVATE KEY" in base64.b64decode(head[: len(head) // 4 * 4])


def _is_url_password(host: bytes, password: bytes) -> bool:
    """All but templates ({user}:{password}@, user:***@), RFC 3849's example, a local socket."""
    return not (host.startswith((b"[2001:db8:", b"%2F")) or _TEMPLATE.match(password))


def _is_pgpass(port: bytes, password: bytes) -> bool:
    """At a port of PostgreSQL any word; elsewhere it might be a line of a log."""
    if port in {b"5432", b"5433", b"6432", b"6543", b"*"}:
        return not (_TEMPLATE.match(password) or password == b"password")
    return is_password(password)


def _is_netrc(_name: bytes, password: bytes) -> bool:
    return not is_stand_in(password)


GENERAL_RULES = (
    Rule(
        name="private",  # what the user marks; the innermost block first, the outer one round later
        pattern=rf"(?is)(<private>(?:[^<]|<(?:{_PART}<)*{_OTHER})*?<(?:{_PART}<)*/private>)",
        gate=r"(?i)private>",
        firm=True,
        source="https://docs.claude-mem.ai/usage/private-tags",
        examples=(
            "a «<private>the plan\nof two lines <b>x</b></private>» b",
            "«<PRIVATE>a << b <priv> <p<c</PRIVATE>»",
        ),
        near_misses=("a <private> tag", "</private>"),
    ),
    Rule(
        name="pem",
        pattern=rf"({_BEGIN}{_GAP}{_HEADERS}[A-Za-z0-9+/=]{{16,}})",
        until=_FINISH,
        gate=_KEY_GATE,
        source="https://datatracker.ietf.org/doc/html/rfc7468#section-10",
        check=_is_key_block,
        examples=(
            "«-----BEGIN PRIVATE KEY-----\n{base64:64}\n-----END PRIVATE KEY-----»\nnext",
            "     1→«-----BEGIN OPENSSH PRIVATE KEY-----\n     2→{base64:70}\n     3→{base64:70}»",
            '{"private_key": "«-----BEGIN PRIVATE KEY-----\\n{base64:64}\\n'
            '-----END PRIVATE KEY-----»\\n"}',
            "«-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
            "DEK-Info: AES-128-CBC,{HEX:32}\n\n{base64:64}\n-----END RSA PRIVATE KEY-----»",
            "«-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{base64:64}\n"
            "-----END PGP PRIVATE KEY BLOCK-----»",
            "«---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{base64:70}\n"
            "---- END SSH2 ENCRYPTED PRIVATE KEY ----»",
        ),
        near_misses=(
            'if "-----BEGIN PRIVATE KEY-----" in text: raise ValueError("a private key")',
            'pem = "-----BEGIN PRIVATE KEY-----\\n" + encodedPrivateKeyMaterial + "\\n-----END"',
            "-----BEGIN PUBLIC KEY-----\n{base64:64}\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\n{base64:64}\n-----END CERTIFICATE-----",
        ),
    ),
    Rule(
        name="pem",
        pattern=rf"({_BEGIN}{_UNDASHED}{_FINISH})",
        gate=_KEY_GATE,
        source="https://datatracker.ietf.org/doc/html/rfc7468#section-10",
        check=_is_short_key,
        examples=("«-----BEGIN EC PRIVATE KEY-----\n{base64:16}\n-----END EC PRIVATE KEY-----»",),
        near_misses=(
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "/-----BEGIN PRIVATE KEY-----[\\s\\S]+?-----END PRIVATE KEY-----/g",
            "-----BEGIN OPENSSH PRIVATE KEY----------END OPENSSH PRIVATE KEY-----",
        ),
    ),
    Rule(
        name="pem",
        pattern=EDGE + r"(LS0tLS1CRUdJTi[A-Za-z0-9+/]{40,}={0,2})",
        gate=r"LS0tLS1CRUdJTi",
        source="https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/",
        check=_holds_private_key,
        examples=("client-key-data: «LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ{base64:60}»",),
        near_misses=("client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tC{base64:60}",),
    ),
    Rule(
        name="jwt",
        pattern=EDGE + r"(eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]{10,}){2,4}"
        r"|eyJ[A-Za-z0-9_-]{10,}\.(?:\.[A-Za-z0-9_-]{10,}){3})",
        gate=r"eyJ[A-Za-z0-9_-]{10,}\.",
        source="https://datatracker.ietf.org/doc/html/rfc7519#section-3",
        examples=(
            "SUPABASE_SERVICE_ROLE_KEY=«eyJhbGciOiJIUzI1NiJ9.eyJ{url:80}.{url:43}»",
            "encrypted «eyJhbGciOiJkaXIifQ..{url:16}.{url:80}.{url:22}»",
        ),
        near_misses=("eyJhbGciOiJIUzI1NiJ9", "eyJ...", "keyJarOfTheYear.value.of.it"),
    ),
    Rule(
        name="url",
        pattern=r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/?#\"'`<>\\:]*:(?P<secret>[^\s/?#\"'`<>\\]+)"
        r"@(?P<name>%2F|[A-Za-z0-9_%${./-]|\[[0-9A-Fa-f:]{2,})",
        gate=r":(?:\\*/){2}[^\s/?#\"'`<>:]*:[^\s/?#\"'`<>]+@",
        source="https://datatracker.ietf.org/doc/html/rfc3986#section-3.2.1",
        check=_is_url_password,
        examples=(
            "postgres://app:«{alnum:12}»@db:5432/x",
            "redis://:«{alnum:20}»@10.0.0.1:6379",
            "mongodb+srv://u:«p%40ss{alnum:4}»@c.example.net",
            "https:\\/\\/u:«{alnum:9}»@h.example",
            "postgres://app:«{alnum:12}»@/shop?host=/var/run",
        ),
        near_misses=(
            "postgres://${DB_USER}:${DB_PASS}@localhost/db",
            "https://user:***@host",
            "http://localhost:3000/@scope",
            "postgres://user:<password>@h",
        ),
    ),
    Rule(
        name="pgpass",
        pattern=rf"(?m)(?:(?:^|[\"'`])[+-]?|[\s→]|\[[0-9;]*m)(?:[A-Za-z0-9_.-]+|\*){_PORT_TO_USER}"
        r"(?P<secret>(?:[^:\s\\\"'`\x1b]|\\[\\:])+)[ \t]*(?:$|[\"'`\x1b])",
        gate=_PORT_TO_USER.replace("?P<name>", "?:"),
        source="https://www.postgresql.org/docs/current/libpq-pgpass.html",
        check=_is_pgpass,
        examples=(
            "localhost:5432:shop:alice:«{alnum:14}»",
            "    2→*:*:*:bob:«opensesame»",
            "+*:*:*:bob:«opensesame»",
        ),
        near_misses=(
            "src/a.py:1234:56:error:undefined7",
            "main.go:1234:handler:request:timeout",
            "hostname:port:database:username:password",
        ),
    ),
    Rule(
        name="netrc",
        pattern=r"machine\s+\S+\s+login\s+\S+\s+password\s+([^\s\\\"]{4,})",
        gate=r"machine(?:[\s\",]|\\+[nrt])+[^\s]+?(?:[\s\",]|\\+[nrt])+login",
        source="https://everything.curl.dev/usingcurl/netrc.html",
        check=_is_netrc,
        examples=("machine api.example.com\n  login alice\n  password «{alnum:12}»",),
        near_misses=("machine x login y password <password>",),
    ),
)
