"""Rules for values that are assigned to a name for a secret: NAME_KEY, TOKEN, SECRET, PASSWORD.

The patterns here only find name and value; `secret_names.kind_of_name` judges the name, the
checks in value_checks.py judge the value.
"""

import re

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import (
    is_assigned_secret,
    is_environment_secret,
    is_inline_secret,
    is_line_value,
    is_set_value,
)

_SOURCE = "https://12factor.net/config"  # the custom of .env files, not a provider's format
KEYED = r"(?i:[A-Za-z0-9_.-]key|token|secret)"
_SET_BY = r"(?:(?i:passw(?:or)?d|passphrase|pwd|[_.-]pass|[_.-]p(?:sk|w))|[a-z]Pass|pass)"
_SETTING = r"(?:SECRET|TOKEN|(?:PRIVATE|API)_?KEY)"  # in the environment: any value is literal
WORD = rf"(?:{KEYED}|{_SET_BY})"
AFTER = (  # what may follow the word in the name of a secret: API_KEY_PROD, token2, secretKeyBase
    r"(?:[_.-]?(?:[0-9]{1,3}|(?i:b64|backup|base(?:64)?|current|default|dev(?:elopment)?|encoded"
    r"|env|live|local|main|new|old|plain|prod(?:uction)?|qa|raw|sandbox|secondary|stag(?:e|ing)"
    r"|str(?:ing)?|te?mp|test(?:ing)?|text|val(?:ue)?))){0,2}"
)
NAME = rf"(?P<name>(?:AWS::[A-Za-z0-9]+::)?[A-Za-z0-9_.-]*{WORD}{AFTER})"
CLOSE = r"""(?:\\*["'`]|&(?:quot|apos|#3[49]);)?\]?"""  # the end of a quoted name, or of an index
_TYPE = r"(?::[ \t]*&?[A-Za-z][A-Za-z0-9_' \[\]|]{0,24})?"  # token: str = "…"
SPACE = r"(?:[ \t]|\x1b\[[0-9;]*m)*"  # blanks, and a terminal's changes of colour
_SIGN = r"(?::=|:-|=>|={1,3}|:)"
QUOTED = (  # f"…", '…', `…`; a backslash may escape a quote, but not the end of a line
    r"(?:[A-Za-z]{0,2}\"(?P<secret_a>(?:[^\"\\\r\n]|\\+[^nrt\\\r\n])+)\""
    r"|[A-Za-z]{0,2}'(?P<secret_b>(?:[^'\\\r\n]|\\+[^nrt\\\r\n])+)'"
    r"|`(?P<secret_c>[^`\\\r\n]+)`"
    r"|\\+[\"'](?P<secret_d>[^\"'\\\r\n]+)\\+[\"']"
    r"|[A-Za-z]{0,2}(?:\"\"\"|''')(?P<secret_e>[^\"'\\\s]+)"  # of several lines: the first word
    r"|&(?:quot|apos|#3[49]);(?P<secret_f>[^&\s]+)&)"  # in HTML
)
BARE = r"""[^\s"'`\\,;&|<>(){}\[\]\x1b]+"""  # a value between other words, without quotes
BARE_END = r"""(?:[\s"'`\\,;&|<>)}\]\x1b]|\z)"""
LINE_END = r"""[ \t\r]*(?:#[^\n]*)?(?:$|["'`\x1b]|\\+[nr])"""
# Where a line begins, or a string that holds one: after a line number, a dash, a comment sign, the
# sign of a diff, the file that grep prints, a terminal's colour, a time, or the bar of a box.
_START = (
    r"(?m)(?:^|[→;&\"'`|│>]|\\+[nr]|[:-][0-9]{1,6}[:-]|^[0-9]{1,6}:|[0-9][Z\t]|\[[0-9;]*m)"
    r"[ \t#/+>-]*(?:export[ \t]+|set[ \t]+|ENV[ \t]+|env[ \t]+)?"
)

# The gates: the same patterns, with room for the backslashes of text that is still escaped.
# Whatever AFTER matches, and more: its words in every gate would take a second to compile. An s
# alone does not do: `output_tokens` is in every record.
MORE = r"(?:[_.-]?(?:[a-rt-zA-RT-Z0-9]|[sS][aetAET])[A-Za-z0-9]{0,10}){0,2}"
NAMED = rf"{WORD}{MORE}"  # the head of the gates of many rules
BLANK = r"(?:[ \t]|\\+t|(?:\x1b|\\+u001[bB])\[[0-9;]*m)*"
_TYPE_BLANK = _TYPE.replace(r"[ \t]*", BLANK)
_FIRST = r"""[A-Za-z]{0,2}(?:[\\"'`]*[^\s\\"'`{(\[<]|[\\"'`]*\\[{(\[<])"""
# No value of a key is a secret without a digit, a sign, a long word, or letters that change between
# upper and lower case as in no name; a password's may be any.
_ANY = r"(?:[^\s\\]|\\+[^nrt\s\\])"
_TELLING = rf"{_ANY}*(?:[0-9!$%^&*+?~|;@#]|[A-Za-z]{{10}}|[a-z][A-Z]{{2}}|[A-Z][a-z][A-Z])"
_MARKER = "[REDACTED:"


def _unmarked(first: str, other: str, size: int, marker: str = _MARKER) -> str:
    """The gate of `size` characters or more that do not begin with the marker of an earlier cut.

    A text is searched again after its cuts, and no value that begins with a marker is a secret.
    The first character matches `first`, each of the others `other`; `%s` in them stands for one
    more character that does not match.
    """
    differing = list[str]()
    for at, character in enumerate(marker):
        one = (other if at else first).replace("%s", re.escape(character))
        rest = other.replace("%s", "") * (size - at - 1)
        differing.append(re.escape(marker[:at]) + one + rest)
    return f"(?:{'|'.join(differing)})"


# together as long as value_checks.PASSWORD_SIZE
_TELLS_FIRST = rf"""[\\"'`]*[0-9!$%^&*+?~|;@#]{_ANY}{{5}}"""
_VALUE = rf"(?:{_FIRST}{_TELLING}|{_TELLS_FIRST})"
_BETWEEN = rf"{MORE}{CLOSE}{BLANK}{_TYPE_BLANK}{_SIGN}{BLANK}"
# The first may be escaped. A quote before it is no part of the value, nor is a change of colour.
_BEGUN = (
    r"""(?:[^\s\\"'`\x1b%s]|\\[^nrtu\s\\"'`]|\\[\\"'`][^\s\\%s]"""
    r"|\\u(?:[^0]|0[^0]|00[^1]|001[^bB]))"
)
_GONE_ON = r"(?:[^\s\\%s]|\\[^nrt\s])"
_SET_TO = rf"""[\\"'`]*{_unmarked(_BEGUN, _GONE_ON, 6)}"""
_ENV_NAME = r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|_PASS)(?:_?[A-Z0-9]{1,16})?="
_NO_BLANK = r"""[^\s"'`\\%s]"""
_IN_LIST = r"""[^\s"'`\\,;(){}<>%s]"""
_IN_QUERY = r"""[^&\s"'`#\\%s]"""
# One gate for all rules here: most texts that open one of them open all, and a search for each of
# several gates costs as much as one for all of them. A value in the environment, in the list of
# YAML and in the query of a URL may begin with what opens an expression elsewhere.
_GATE = (
    rf"(?:{KEYED}{_BETWEEN}{_VALUE}|(?:{_SET_BY}|{_SETTING}){_BETWEEN}(?:{_SET_TO}|{_VALUE}))"
    rf"|{_ENV_NAME}{_unmarked(_NO_BLANK, _NO_BLANK, 8)}"
    rf"|{KEYED}{MORE}{CLOSE}{BLANK}:{BLANK}\[{_unmarked(_IN_LIST, _IN_LIST, 5, _MARKER[1:])}"
    rf"|{KEYED}{MORE}=(?:[<({{]{_IN_QUERY.replace('%s', '')}{{5}}"
    rf"|\[{_unmarked(_IN_QUERY, _IN_QUERY, 5, _MARKER[1:])})"
)

ASSIGNMENT_RULES = (
    Rule(
        name="assignment",  # password = "…", 'token': '…', and \"token\": \"…\" one escape deeper
        pattern=rf"{NAME}{CLOSE}{SPACE}{_TYPE}{_SIGN}{SPACE}{QUOTED}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=is_assigned_secret,
        examples=(
            'db_password = "«hunter2!{alnum:4}»"',
            "'apiKey': '«{alnum:32}»',",
            '{\\"client_secret\\": \\"«{alnum:30}»\\"}',
            'const token: string = "«{hex:40}»";',
            'config["auth_token"] = "«{alnum:24}»"',
            '"password":"«ab\\"cd1234»"',
            'SECRET_KEY = """«{alnum:30}»"""',
            "{&quot;apiKey&quot;: &quot;«{alnum:32}»&quot;}",
            '"password": "«hGtRkWqZxYbNmLpD»"',
            '"password": "«foo/bar9Kx»", "passwd": "«<a9zK!qQ»", "db_pwd": "«*lEhRX&rkLVnbK»"',
            'DB_PASSWORD="«swordfish»"',
            '{"DB_PASSWORD": "«horse-cloud-onion-staple»"}',
            '{"CLIENT_SECRET": "«horse-cloud-onion-staple»"}',
            "'API_KEY': '«swordfish»'",
            '{"cfg": {"serviceToken": "«{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}»"}}',
        ),
        near_misses=(
            'API_KEY="your-key-here"',
            'apiKey: "${API_KEY}"',
            'password: "Enter your password"',
            'password: "Password"',
            "password = 'newPassword'",
            "password = '$password2'",
            'ADMIN_PASSWORD="$ADMIN_PASSWORD"',
            "FORGOT_PASSWORD: 'forgotpassword',",
            'token = "access_token"',
            'NEXT_TOKEN = "swordfish"',
            'ID_TOKEN = "id-token-hint"',
            'cache_key = "user:profile:42"',
            'SECRET="xxxxxxxxxxxx"',
            '"next_page_token": "{alnum:40}"',
            '"public_key": "{alnum:40}"',
            '"AWS::ApiGateway::ApiKey": "{hex:16}"',
            '"topic_key": "bugfix/e2e-engram-github-403"',
            "'CopySourceKey': 'SSECustomerKeyOfTheCopy'",
            "private_key: PKCS7PrivateKeyTypes,",
            "'secret': 'V1SecretProjection'",
            "FLOW_KEY = 'google_oauth2_flow_{0}'",
        ),
    ),
    Rule(
        name="assignment",  # NAME=value to the end of the line: .env, export in a shell
        pattern=rf"{_START}(?P<name>[A-Z][A-Z0-9_]*{_ENV_NAME})(?P<secret>[^\s\"'`\\\x1b]+)",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=is_environment_secret,
        examples=(
            "A=1\nDB_PASSWORD=«s3cret(!){alnum:3}»\nB=2",
            "export STRIPE_API_KEY=«{alnum:30}»",
            "    12→SESSION_SECRET=«{hex:32}»",
            "JWT_SECRET=«correcthorsebattery»",
            "export DEPLOY_TOKEN=«horse-cloud-onion-staple»",
            "\x1b[32mexport DB_PASSWORD=«s3cret{alnum:4}»\x1b[0m",
            "MYSQL_ROOT_PASSWORD=«horse-cloud-onion-staple»\n",
            "SERVICE_TOKEN=«k{alnum:20}7.D{alnum:20}4»\n",
            "DB_PASSWORD=«$ecretPa55» && x",
        ),
        near_misses=(
            "API_KEY=your-key-here",
            "API_KEY=${VAR}",
            "TOKEN=$(gcloud auth print-access-token)",
            "API_TOKEN=<token>",
            "SECRET_KEY=xxxx",
            "PWD=/home/alice/work2",
            "MAX_TOKENS=4096",
        ),
    ),
    Rule(
        name="assignment",  # name: value to the end of the line: YAML
        pattern=rf"{_START}{NAME}{CLOSE}{SPACE}:[ \t]{SPACE}"
        rf"(?P<secret>[^\s\"'`\\,;(){{}}<>\x1b]+){LINE_END}",
        gate=_GATE,
        one_line=True,
        source="https://yaml.org/spec/1.2.2/#plain-style",
        check=is_line_value,
        examples=(
            "db:\n  password: «hunter2»\n  port: 1",
            "secret_key: «{hex:32}» # main",
            "deploy/values.yaml:12:DB_PASSWORD: «r00tpw!x»",
            "\x1b[31m-  api_key: «{hex:32}»\x1b[m",
            "2026-01-02T03:04:05Z   api_key: «{hex:32}»",
            "environment:\n  POSTGRES_PASSWORD: «swordfish»\n",
            "environment:\n  CLIENT_SECRET: «swordfish»\n",
            "  rootPassword: «river-cloud-cloud-horse»\n",
            "db:\n  password: «ZbIpPkexzjsleHxR»\n",
            "svc:\n  service_token: «{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}»\n",
            "svc:\n  service_token: «k{alnum:20}7.D{alnum:20}4»\n",
        ),
        near_misses=(
            "password: string",
            "  DEPLOY_TOKEN: DeployToken",
            "apiKey: process.env.X",
            "token: accessToken",
            "secret_key: null",
            "The token: it is a word",
            "token: getToken2()",
            "DB_PASSWORD: required",
            "DB_PASSWORD: undefined",
            "  password: PasswordInput",
            "  token: request.session.token2",
        ),
    ),
    Rule(
        name="assignment",  # name = value to the end of the line: ini
        pattern=rf"{_START}{NAME}{CLOSE}{SPACE}={SPACE}"
        rf"(?P<secret>[^\s\"'`\\,;(){{}}<>\x1b]+){LINE_END}",
        gate=_GATE,
        one_line=True,
        source="https://docs.python.org/3/library/configparser.html#supported-ini-file-structure",
        check=is_set_value,
        examples=(
            "api_token = «{alnum:24}»",
            " ctx\n+app_token = «{base64:40}8»\n-x",
            "[pypi]\nusername = a\npassword = «hGtRkWqZxYbNmLpD»\n",
        ),
        near_misses=("password = newPassword", "token = self.token", "password = user_password2"),
    ),
    Rule(
        name="assignment",  # the same for a value that may hold any sign
        pattern=rf"{_START}(?P<name>[A-Za-z0-9_.-]*(?:{_SET_BY}|(?i:secret_?key)){AFTER}){CLOSE}"
        rf"{SPACE}:[ \t]{SPACE}(?P<secret>[^\s\"'`\\\x1b]+){LINE_END}",
        gate=_GATE,
        one_line=True,
        source="https://yaml.org/spec/1.2.2/#plain-style",
        check=is_line_value,
        examples=(
            "db:\n  password: «ab;cd(12)e»\n",
            "web-1  |   password: «ab;cd(12)e»\n",
            "a.yml-12-  password: «ab;cd(12)e»\n",
            "app:\n  secret_key: «7-s^b)5rte_gqc%ngn9%z)nbcd4hne!qze%q@0fb1&x(dz»\n",
        ),
        near_misses=("password: getPassword(x2);", "secretKey: createSecret(x2, 'a');"),
    ),
    Rule(
        name="assignment",
        pattern=rf"{_START}(?P<name>[A-Za-z0-9_.-]*{_SET_BY}{AFTER}){CLOSE}{SPACE}={SPACE}"
        rf"(?P<secret>[^\s\"'`\\\x1b]+){LINE_END}",
        gate=_GATE,
        one_line=True,
        source="https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html",
        check=is_set_value,
        examples=("spring.datasource.password=«x7(y;{alnum:6}»",),
        near_misses=("  password = hash(password2, salt);",),
    ),
    Rule(
        name="assignment",  # in the query of a URL
        pattern=rf"[?&]{NAME}=(?P<secret>[^&\s\"'`#\\]+)",
        gate=_GATE,
        one_line=True,
        source="https://datatracker.ietf.org/doc/html/rfc3986#section-3.4",
        check=is_inline_secret,
        examples=("jdbc:postgresql://db/x?user=app&password=«Vj;5CU(A6)»&ssl=true",),
        near_misses=("?user=app&password=${PW}", "f?page=2&next_token={alnum:20}"),
    ),
    Rule(
        name="assignment",  # between semicolons, as in .NET's connection strings
        pattern=rf";[ \t]*(?P<name>{_SET_BY})=(?P<secret>[^;\s\"'`\\]+)",
        gate=_GATE,
        one_line=True,
        source="https://learn.microsoft.com/en-us/sql/connect/ado-net/connection-string-syntax",
        check=is_inline_secret,
        examples=("Server=db;User Id=sa;Password=«Tg&9(9)Cnq»;Encrypt=true",),
        near_misses=("Server=db;Password=<password>;",),
    ),
    Rule(
        name="assignment",  # name=value between other words: a query, a command line, a log
        pattern=rf"{NAME}{CLOSE}{SPACE}(?:=|:-){SPACE}(?P<secret>{BARE}){BARE_END}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=is_inline_secret,
        examples=(
            "GET /v1?api_key=«{hex:32}»&page=2",
            "run --access-token=«{alnum:24}» now",
            "run --access-token=«2WJXszCu» now",
            "docker run -e DB_PASSWORD=«k9!{alnum:8}» img",
            "(secret=«{alnum:24}»)",
            "docker run -e POSTGRES_PASSWORD=«copperChair734» -p 80:80 img",
            "2026-01-02 DEBUG auth user=bob password=«troutChair68» ok",
            "deploy --basic-auth-password=«troutChair106» --yes",
        ),
        near_misses=(
            "login(password=password2)",
            "f(token=get_token(3))",
            "--token=$TOKEN x",
            "?token=abc&x",
        ),
    ),
    Rule(
        name="assignment",  # name: value in the same places; after a parenthesis it is an argument
        # in code, before an @ or after a colon it is part of a URL
        pattern=rf"(?:\A|[^A-Za-z0-9_.:(-]){NAME}{CLOSE}{SPACE}:{SPACE}"
        rf"(?P<secret>[^\s\"'`\\,;&|<>(){{}}\[\]@\x1b]+){BARE_END}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=is_inline_secret,
        examples=("got token: «{alnum:24}» for alice", "{name: x, api_key: «{hex:32}», n: 1}"),
        near_misses=(
            "initialize(token: {hex:32}-us)",
            "fetch(apiKey: key2)",
            "https://token:{alnum:24}@",
            "arn:aws:secretsmanager:*:*:secret:{alnum:24}",
        ),
    ),
)
