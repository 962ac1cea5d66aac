"""Rules for secrets of standards rather than of companies: <private> blocks, JWTs, URLs, files."""

import base64
import re

from karma_sync.redact.finders import private
from karma_sync.redact.matching.rule import ANYWHERE, Rule
from karma_sync.redact.matching.value_checks import (
    is_argument_password,
    is_key,
    is_made_of_words,
    is_password,
    is_placeholder,
)
from karma_sync.redact.rules.shared import EDGE

_PRIVATE_GATE = r"(?i)(?:<|&lt;)private(?:[\s>&\\]|/[>&\\])"
_PORT_TO_USER = (
    r":(?P<name>[0-9]{4,5}|\*):(?:[A-Za-z_][A-Za-z0-9_$-]*|\*):(?:[A-Za-z_][A-Za-z0-9_.@$-]*|\*):"
)
_DATABASE = (
    r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|sqlserver|clickhouse|oracle)"
    r"(?:\+[a-z0-9]{1,12})?"
)
# Before the next word: blanks, or a new line and what tools print before it: a number, file, sign.
_NEXT = r"(?:[ \t]+|[ \t\r]*\n[^\n]{0,64}?)"
_HOST = r"(?:[A-Za-z0-9-]*\.[A-Za-z0-9.-]+|[A-Za-z0-9-]+(?:\r?\n|\\+[nr]|\",|[ \t]+login))"
_WORDS = frozenset({b"pass", b"password", b"passwd", b"pwd", b"pw"})  # user:pass@ in a manual
_TOKEN_SIZE = 20  # the least size of a token that stands alone before the @ of a URL
_PORT_AND_PATH = re.compile(rb"[0-9]{0,5}/")
_TEMPLATE = re.compile(
    rb"(?i)\$|[{<(\[]|%[({svqw]|.*(?:\$\{|\{\{|\.\.\.|\*\*|(?<![a-z0-9])your|placeholder|redacted|x{5})|x+$|\*$"
    rb"|(?-i:[A-Z_]*(?:PASS|SECRET|TOKEN|KEY|PW)[A-Z_]*$)"
)


def _is_url_password(host: bytes, password: bytes) -> bool:
    """No template ({user}:{password}@, user:***@), no example of RFC 3849, no local socket."""
    if host.startswith((b"[2001:db8:", b"%2F")) or _TEMPLATE.match(password):
        return False
    return password not in _WORDS


def _is_odd_password(host: bytes, password: bytes) -> bool:
    """Not the port and path of a URL without a password: localhost:5432/db?email=a@b."""
    return _is_url_password(host, password) and _PORT_AND_PATH.match(password) is None


def _is_token(_name: bytes, user: bytes) -> bool:
    return is_key(user, _TOKEN_SIZE) and not is_made_of_words(user) and not _TEMPLATE.match(user)


def _holds_jwt(_name: bytes, encoded: bytes) -> bool:
    """base64 of a JWT with at least two parts."""
    standard = encoded.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    decoded = base64.b64decode(standard[: len(standard) // 4 * 4])
    return re.match(rb"e[wy][A-Za-z0-9_-]{10,}\.e[wy]", decoded) is not None


def _is_pgpass(port: bytes, password: bytes) -> bool:
    """Any word at a port of PostgreSQL; elsewhere only a password: it may be a line of a log."""
    if port in {b"5432", b"5433", b"6432", b"6543", b"*"}:
        return not (_TEMPLATE.match(password) or password == b"password")
    return is_password(password)


def _is_netrc(_name: bytes, password: bytes) -> bool:
    return not is_placeholder(password)


GENERAL_RULES = (
    Rule(
        name="binary",  # a packed file, a database, a program: nobody sees what is in it
        pattern=EDGE + r"((?:H4sI|UEsDB|N3q8rw|UmFyIR|QlpoO|KLUv|U1FMaXRlIGZvcm1hdCAz|f0VMR"
        r"|TVqQAA)[A-Za-z0-9+/]{40,}={0,2})",
        gate=r"(?:H4sI|UEsDB|N3q8rw|UmFyIR|QlpoO|KLUv|U1FMaXRlIGZvcm1hdCAz|f0VMR|TVqQAA)"
        r"[A-Za-z0-9+/\\]{40}",
        one_line=True,
        source="https://datatracker.ietf.org/doc/html/rfc1952#page-6",
        examples=("«H4sIAAAAAAAA{base64:80}=»", "file: «UEsDBBQAAAAI{base64:80}»"),
        near_misses=("H4sIAAAA", "QlpoOfTheName"),
    ),
    Rule(
        name="binary",  # the same not encoded, to the end of the text
        pattern=r"(\x1f(?:\x8b|\xef\xbf\xbd|\xc2\x8b)\x08|PK\x03\x04|SQLite format 3\x00|\x7fELF"
        r"|BZh[1-9]1AY&SY|7zXZ\x00)",
        until=r"\z",
        gate=r"\x1f|\\+u001[fF]|PK(?:\x03|\\+u0003)|SQLite[ ]format[ ]3(?:\x00|\\+u0000)"
        r"|(?:\x7f|\\+u007[fF])ELF|BZh[1-9]1AY&SY|7zXZ(?:\x00|\\+u0000)",
        reach=ANYWHERE,
        firm=True,
        source="https://datatracker.ietf.org/doc/html/rfc1952#page-6",
        examples=("out: «PK\x03\x04\x14\x00 and so on\n to the end»",),
        near_misses=("PKCS and PK", "SQLite format 3 is a format"),
    ),
    Rule(
        name="private",  # a block that the user marks
        pattern="",
        finder=private.closed,
        gate=_PRIVATE_GATE,
        reach=ANYWHERE,
        firm=True,
        source="https://docs.claude-mem.ai/usage/private-tags",
        examples=(
            "a «<private>the plan\nof two lines <b>x</b></private>» b",
            "«<PRIVATE>a << b <priv> <p<c</PRIVATE>»",
            'x «<private reason="plan" >a <private>b</private> c</private >» d',
            "x «&lt;private/&gt;a&lt;/private&gt;» d",
        ),
        near_misses=("a <private> tag", "</private>", "`<private>` and `</private>`"),
    ),
    Rule(
        name="private-unclosed",  # never closed: to the end of the text
        pattern="",
        finder=private.unclosed,
        gate=_PRIVATE_GATE,
        reach=ANYWHERE,
        firm=True,
        source="https://docs.claude-mem.ai/usage/private-tags",
        examples=(
            "my notes:\n«<private>\nthe <b>plan</b>\nof two lines»",
            "it is «<private>the plan»",
        ),
        near_misses=("the <private> tag hides it", "- `<private>` hides what follows"),
    ),
    Rule(
        name="jwt",
        pattern=EDGE + r"(eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]{10,}){2,4}"
        r"|eyJ[A-Za-z0-9_-]{10,}\.(?:\.[A-Za-z0-9_-]{10,}){3}"
        # with white space in its JSON; not signed
        r"|e[wy][A-Za-z0-9_-]{12,}\.e[wy][A-Za-z0-9_-]{16,}\.(?:[A-Za-z0-9_-]{10,})?)",
        gate=r"eyJ[A-Za-z0-9_-]{10}|[A-Za-z0-9_-]{3}\.e[wy][A-Za-z0-9_-]{16}",
        source="https://datatracker.ietf.org/doc/html/rfc7519#section-3",
        examples=(
            "SUPABASE_SERVICE_ROLE_KEY=«eyJhbGciOiJIUzI1NiJ9.eyJ{url:80}.{url:43}»",
            "encrypted «eyJhbGciOiJkaXIifQ..{url:16}.{url:80}.{url:22}»",
            "indented «ewogICJhbGciOiAiSFMyNTYifQ.ewogICJ{url:80}.{url:43}»",
            "not signed «eyJhbGciOiJub25lIn0.eyJ{alnum:80}.»",
        ),
        near_misses=("eyJhbGciOiJIUzI1NiJ9", "eyJ...", "keyJarOfTheYear.value.of.it"),
    ),
    Rule(
        name="jwt",  # encoded in base64 once more, as in Kubernetes' Secrets
        pattern=EDGE + r"(ZXlK[A-Za-z0-9+/_-]{80,}={0,2})",
        gate=r"ZXlK[A-Za-z0-9+/_\\-]{80}",
        source="https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets",
        check=_holds_jwt,
        examples=("«ZXlKaGJHY2lPaUpJVXpJMU5pSXNJblI1Y0NJNklrcFhWQ0o5LmV5Sn{alnum:60}»",),
        near_misses=("ZXlK{alnum:120}",),
    ),
    Rule(
        name="url",
        pattern=r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/?#\"'`<>\\:]*:(?P<secret>[^\s/?#\"'`<>\\]+)"
        r"@(?P<name>%2F|[A-Za-z0-9_%${./-]|\[[0-9A-Fa-f:]{2,})",
        gate=r":(?:\\*/){2}[^\s/?#\"'`<>:]{0,}:[^\s/?#\"'`<>]{1,}@",
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
            "postgres://%s:%s@%s:%d/x",
            "https://x-access-token:%v@github.com/",
        ),
    ),
    Rule(
        name="url",  # a database's: its password may hold characters that URLs do not allow
        pattern=rf"(?i){_DATABASE}://[^\s/?#\"'`<>\\:]*:(?P<secret>[^\s\"'`<>\\]*[/?#][^\s\"'`<>\\]*)"
        r"@(?P<name>[a-z0-9_.-]+(?::[0-9]+)?(?:[/,?\s\"'`\\]|\z))",
        gate=rf"(?i){_DATABASE}:(?:\\*/){{2}}",
        source="https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS",
        check=_is_odd_password,
        examples=(
            "postgres://app:«Ab3#xk9/Lm»@db:5432/x",
            "mysql+pymysql://root:«Ab3/xk9?Lm»@localhost/x",
        ),
        near_misses=(
            "postgres://localhost:5432/db?email=a@b.example",
            "redis://cache:6379/0 a@b",
            "mongodb://${USER}:${PW}/x@h",
        ),
    ),
    Rule(
        name="url",  # a token alone: https://TOKEN@host
        pattern=r"[A-Za-z][A-Za-z0-9+.-]{1,30}://([A-Za-z0-9_~.-]{20,})@[A-Za-z0-9_-]+[A-Za-z0-9_.-]*",
        gate=r":(?:\\*/){2}[A-Za-z0-9_~.-]{20,}@",
        source="https://datatracker.ietf.org/doc/html/rfc3986#section-3.2.1",
        check=_is_token,
        examples=("git clone https://«{alnum:32}»@git.example.org/o/r.git",),
        near_misses=(
            "https://firstname.lastname.of-someone@host",
            "ssh://deployment-user-of-the-team@host/x",
            "https://{hex:16}@h.example/1",
        ),
    ),
    Rule(
        name="url",  # as database drivers of Go take it: user:password@tcp(host)/database
        pattern=r"[A-Za-z0-9_.-]+:([^\s\"'`@/\\]+)@(?:tcp|unix)\(",
        gate=r"@(?:tcp|unix)\(",
        one_line=True,
        source="https://github.com/go-sql-driver/mysql#dsn-data-source-name",
        check=_is_url_password,
        examples=('open("mysql", "root:«{alnum:12}»@tcp(127.0.0.1:3306)/shop")',),
        near_misses=("user:${PW}@tcp(db)/x", "%s:%s@tcp(%s)/x", "user@tcp(db)/x"),
    ),
    Rule(
        name="url",  # as Oracle's drivers take it: user/password@host
        pattern=r"(?:jdbc:oracle:[a-z]+:|sqlplus(?:[ \t]+-[A-Za-z]+)*[ \t]+[\"']?)[A-Za-z0-9_$#]+/"
        r"([^\s\"'`@/\\]+)@",
        gate=r"jdbc:oracle:|sqlplus(?:[ \t]|\\+t)",
        one_line=True,
        source="https://docs.oracle.com/en/database/oracle/oracle-database/21/jjdbc/data-sources-and-URLs.html",
        check=_is_url_password,
        examples=(
            "jdbc:oracle:thin:scott/«{alnum:10}»@//db.example:1521/x",
            "sqlplus -S scott/«{alnum:10}»@db",
        ),
        near_misses=("jdbc:oracle:thin:@//db.example:1521/x", "sqlplus scott/$PW@db"),
    ),
    Rule(
        name="sql",
        pattern=r"(?i)(?:identified(?:[ \t]+with[ \t]+[a-z0-9_'\"]+)?[ \t]+(?:by|as)"
        r"(?:[ \t]+password)?|(?:user|role|login)[ \t][^;\n]{0,120}[ \t]password(?:[ \t]*=)?)"
        r"[ \t]+[en]?'(?P<secret>[^'\n]{4,})'",
        gate=r"(?i)(?:identified(?:[ \t]|\\+t)+(?:with|by|as)|password(?:[ \t=]|\\+t)+[en]?')",
        source="https://www.postgresql.org/docs/current/sql-createrole.html",
        check=is_argument_password,
        examples=(
            "CREATE USER app WITH PASSWORD '«hunter2!{alnum:4}»';",
            "CREATE USER 'a'@'%' IDENTIFIED BY '«hunter2!{alnum:4}»';",
            "alter role app password '«hunter2!{alnum:4}»'",
        ),
        near_misses=(
            "CREATE USER app WITH PASSWORD '${PW}';",
            "IDENTIFIED BY 'password'",
            "ALTER USER app PASSWORD NULL",
        ),
    ),
    Rule(
        name="pgpass",
        pattern=rf"(?m)(?:(?:^|[\"'`]|:[0-9]{{1,6}}:)[+-]?|[\s→>│]|\[[0-9;]*m)(?:[A-Za-z0-9_.-]+|\*){_PORT_TO_USER}"
        r"(?P<secret>(?:[^:\s\\\"'`\x1b]|\\[\\:])+)[ \t]*(?:\r?$|[\"'`\x1b])",
        gate=_PORT_TO_USER.replace("?P<name>", "?:"),
        source="https://www.postgresql.org/docs/current/libpq-pgpass.html",
        check=_is_pgpass,
        examples=(
            "localhost:5432:shop:alice:«{alnum:14}»",
            "    2→*:*:*:bob:«opensesame»",
            "+*:*:*:bob:«opensesame»",
            "a/.pgpass:3:*:*:*:bob:«opensesame»",
            "localhost:5432:shop:alice:«{alnum:14}»\r\n*:*:*:bob:«opensesame»\r\n",
        ),
        near_misses=(
            "src/a.py:1234:56:error:undefined7",
            "main.go:1234:handler:request:timeout",
            "hostname:port:database:username:password",
        ),
    ),
    Rule(
        name="netrc",
        pattern=rf"machine[ \t]+\S+{_NEXT}login[ \t]+\S+{_NEXT}password[ \t]+([^\s\\\"]{{4,}})",
        gate=rf"machine(?:[ \t]|\\+t)+{_HOST}",
        source="https://everything.curl.dev/usingcurl/netrc.html",
        check=_is_netrc,
        examples=(
            "machine api.example.com\n  login alice\n  password «{alnum:12}»",
            "  1→machine h.example\n  2→  login a\n  3→  password «{alnum:12}»",
            "a/.netrc:1:machine h\na/.netrc:2:login a\na/.netrc:3:password «{alnum:12}»",
        ),
        near_misses=("machine x login y password <password>",),
    ),
)
