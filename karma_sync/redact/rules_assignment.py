"""Values given to a name that says it is a secret: NAME_KEY, TOKEN, SECRET, PASSWORD.

The name alone is captured here and judged in `values.kind_of_name`; the value likewise.
"""

from karma_sync.redact.rule import Rule
from karma_sync.redact.values import (
    assigned,
    assigned_in_environment,
    assigned_inline,
    is_beside_user,
    is_given,
    is_paired,
    is_said,
)

_SOURCE = "https://12factor.net/config"  # no provider's format: the custom of .env files
_WORD = r"(?i:[A-Za-z0-9_.-]key|token|secret|passw(?:or)?d|passphrase|pwd|[_.-]pass)"
_AFTER = (  # API_KEY_PROD, token2, secretKeyBase: what may follow the word in the name of a secret
    r"(?:[_.-]?(?:[0-9]{1,3}|(?i:b64|backup|base(?:64)?|current|default|dev(?:elopment)?|encoded"
    r"|env|live|local|main|new|old|plain|prod(?:uction)?|qa|raw|sandbox|secondary|stag(?:e|ing)"
    r"|str(?:ing)?|te?mp|test(?:ing)?|text|val(?:ue)?))){0,2}"
)
_NAME = rf"(?P<name>(?:AWS::[A-Za-z0-9]+::)?[A-Za-z0-9_.-]*{_WORD}{_AFTER})"
_CLOSE = r"""(?:\\*["'`])?\]?"""  # of a quoted name, or of an index: config["token"] =
_TYPE = r"(?::[ \t]*&?[A-Za-z][A-Za-z0-9_' \[\]|]{0,24})?"  # token: str = "…"
_SIGN = r"(?::=|=>|={1,3}|:)"
_QUOTED = (  # f"…", '…', `…`; a backslash may escape a quote, but no end of a line
    r"(?:[A-Za-z]{0,2}\"(?P<secret_a>(?:[^\"\\\r\n]|\\+[^nrt\\\r\n])+)\""
    r"|[A-Za-z]{0,2}'(?P<secret_b>(?:[^'\\\r\n]|\\+[^nrt\\\r\n])+)'"
    r"|`(?P<secret_c>[^`\\\r\n]+)`"
    r"|\\+[\"'](?P<secret_d>[^\"'\\\r\n]+)\\+[\"'])"
)
_BARE = r"""[^\s"'`\\,;&|<>(){}\[\]\x1b]+"""  # a value between other words, without quotes
_BARE_END = r"""(?:[\s"'`\\,;&|<>)}\]\x1b]|\z)"""
_LINE_END = r"""[ \t\r]*(?:#[^\n]*)?(?:$|["'`\x1b]|\\+[nr])"""
# Where a line, or a string that is one, begins: behind a line number, a dash, a comment sign, the
# sign of a diff, the place that grep writes, a colour of a terminal.
_START = (
    r"(?m)(?:^|[→;&\"'`]|\\+[nr]|:[0-9]{1,6}:|\[[0-9;]*m)[ \t#/+>-]*"
    r"(?:export[ \t]+|set[ \t]+|ENV[ \t]+|env[ \t]+)?"
)

# The gates: the same forms, with room for the backslashes of text that is still escaped.
_BLANK = r"(?:[ \t]|\\+t)*"
_TYPE_BLANK = _TYPE.replace(r"[ \t]*", _BLANK)
_FIRST = r"""[A-Za-z]{0,2}(?:[\\"'`]*[^\s\\"'`{(\[<]|[\\"'`]*\\[{(\[<])"""
# No value is a secret without a digit, a sign, or so many letters in a row (values.LONG_WORD).
_TELLING = r"(?:[^\s\\]|\\+[^nrt\s\\])*(?:[0-9!$%^&*+?~|;@#]|[A-Za-z]{12})"
_GATE = rf"{_WORD}{_AFTER}{_CLOSE}{_BLANK}{_TYPE_BLANK}{_SIGN}{_BLANK}{_FIRST}{_TELLING}"
_ENV_NAME = r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|_PASS)(?:_?[A-Z0-9]{1,16})?="
_ENV_GATE = rf"{_ENV_NAME}[A-Za-z0-9]{{8}}|{_GATE}"
_FLAG = r"--(?:[a-z]+-)*(?:[a-z]*key|token|secret|password|passphrase)"
_USER = r"user(?:name)?[ \t]*[:=]"
_PASSES = r"pass(?:word|wd)?[ \t]*[:=]"

ASSIGNMENT_RULES = (
    Rule(
        name="assignment",  # password = "…", 'token': '…', and \"token\": \"…\" one escape deeper
        pattern=rf"{_NAME}{_CLOSE}[ \t]*{_TYPE}{_SIGN}[ \t]*{_QUOTED}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=assigned,
        examples=(
            'db_password = "«hunter2!{alnum:4}»"',
            "'apiKey': '«{alnum:32}»',",
            '{\\"client_secret\\": \\"«{alnum:30}»\\"}',
            'const token: string = "«{hex:40}»";',
            'config["auth_token"] = "«{alnum:24}»"',
            '"password":"«ab\\"cd1234»"',
        ),
        near_misses=(
            'API_KEY="your-key-here"',
            'apiKey: "${API_KEY}"',
            'password: "Enter your password"',
            'token = "access_token"',
            'cache_key = "user:profile:42"',
            'SECRET="xxxxxxxxxxxx"',
            '"next_page_token": "{alnum:40}"',
            '"public_key": "{alnum:40}"',
            '"AWS::ApiGateway::ApiKey": "{hex:16}"',
            '"topic_key": "bugfix/e2e-engram-github-403"',
            "'CopySourceKey': 'SSECustomerKeyOfTheCopy'",
            "private_key: PKCS7PrivateKeyTypes,",
        ),
    ),
    Rule(
        name="assignment",  # NAME=value to the end of the line: .env, export in a shell
        pattern=rf"{_START}(?P<name>[A-Z][A-Z0-9_]*{_ENV_NAME})(?P<secret>[^\s\"'`\\\x1b]+)",
        gate=_ENV_GATE,
        one_line=True,
        source=_SOURCE,
        check=assigned_in_environment,
        examples=(
            "A=1\nDB_PASSWORD=«s3cret(!){alnum:3}»\nB=2",
            "export STRIPE_API_KEY=«{alnum:30}»",
            "    12→SESSION_SECRET=«{hex:32}»",
            "JWT_SECRET=«correcthorsebattery»",
            "\x1b[32mexport DB_PASSWORD=«s3cret{alnum:4}»\x1b[0m",
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
        name="assignment",  # name: value and name = value, nothing behind it: YAML, ini
        pattern=rf"{_START}{_NAME}{_CLOSE}[ \t]*(?::[ \t]+|=[ \t]*)"
        rf"(?P<secret>[^\s\"'`\\,;(){{}}<>\x1b]+){_LINE_END}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=assigned,
        examples=(
            "db:\n  password: «hunter2»\n  port: 1",
            "api_token = «{alnum:24}»",
            "secret_key: «{hex:32}» # main",
            " ctx\n+app_token = «{base64:40}8»\n-x",
            "deploy/values.yaml:12:DB_PASSWORD: «r00tpw!x»",
            "\x1b[31m-  api_key: «{hex:32}»\x1b[m",
        ),
        near_misses=(
            "password: string",
            "apiKey: process.env.X",
            "token: accessToken",
            "secret_key: null",
            "The token: it is a word",
            "token: getToken2()",
        ),
    ),
    Rule(
        name="assignment",  # name=value between other words: a query, a command line, a log
        pattern=rf"{_NAME}{_CLOSE}[ \t]*=(?P<secret>{_BARE}){_BARE_END}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=assigned_inline,
        examples=(
            "GET /v1?api_key=«{hex:32}»&page=2",
            "run --access-token=«{alnum:24}» now",
            "docker run -e DB_PASSWORD=«k9!{alnum:8}» img",
            "(secret=«{alnum:24}»)",
        ),
        near_misses=(
            "login(password=password2)",
            "f(token=get_token(3))",
            "--token=$TOKEN x",
            "?token=abc&x",
        ),
    ),
    Rule(
        name="assignment",  # name: value likewise; behind a parenthesis it is an argument in code,
        # before an @ it is an address, behind a colon part of one
        pattern=rf"(?:\A|[^A-Za-z0-9_.:(-]){_NAME}{_CLOSE}[ \t]*:[ \t]*"
        rf"(?P<secret>[^\s\"'`\\,;&|<>(){{}}\[\]@\x1b]+){_BARE_END}",
        gate=_GATE,
        one_line=True,
        source=_SOURCE,
        check=assigned_inline,
        examples=("got token: «{alnum:24}» for alice", "{name: x, api_key: «{hex:32}», n: 1}"),
        near_misses=(
            "initialize(token: {hex:32}-us18)",
            "fetch(apiKey: key2)",
            "https://token:{alnum:24}@",
            "arn:aws:secretsmanager:*:*:secret:{alnum:24}",
        ),
    ),
    Rule(
        name="assignment",  # ("api_key", "…"): two arguments, the first a name
        pattern=rf"[\"']{_NAME}\\*[\"'][ \t]*,[ \t]*(?:[\"'`]|\\+[\"'])+"
        rf"(?P<secret>{_BARE}){_BARE_END}",
        gate=rf"{_WORD}{_AFTER}\\*[\"']{_BLANK},{_BLANK}[\\\"'`]+\S{{16}}",
        source=_SOURCE,
        check=is_paired,
        examples=(
            'environ.setdefault("API_KEY", "«{hex:32}»")',
            "buildConfigField 'String', 'API_KEY', '\"«{hex:32}»\"'",
        ),
        near_misses=(
            'get("api_key", "the-key-of-the-service-2")',
            'fill("password", "alice@example.com")',
        ),
    ),
    Rule(
        name="assignment",  # the password is hunter2
        pattern=r"(?i)pass(?:word|phrase)[^\n=:]{0,48}?[ \t]is[ \t]+(?:now[ \t]+|set to[ \t]+)?"
        r"(?P<name>[\"'`]?)(?P<secret>[^\s\"'`\\,;]{3,}[^\s\"'`\\,;.])",
        gate=r"(?i)pass(?:word|phrase)[^=:]*(?:[ \t]|\\+t)is(?:[ \t]|\\+t)",
        source=_SOURCE,
        check=is_said,
        examples=(
            "the password is «hunter{digits:2}x», thanks",
            "The password for the user \"bob\" is now '«swordfish»'.",
        ),
        near_misses=(
            "the password is required",
            'the password is "invalid"',
            "A password is at least 8 characters",
            "wait until the password is available**",
        ),
    ),
    Rule(
        name="assignment",  # user = alice, and in the next line the password, even a plain word
        pattern=rf"(?mi){_USER}[ \t]*[^\s\"'\\=:]+[ \t]*\r?\n(?:[ \t]*(?://|\#|;)[^\n=:]*\n){{0,3}}"
        rf"[ \t]*{_PASSES}[ \t]*(?P<secret>[^\s\"'\\]+){_LINE_END}",
        gate=rf"(?i){_USER}[^=:]+{_PASSES}".replace(r"[ \t]*", _BLANK),
        source=_SOURCE,
        check=is_beside_user,
        examples=(
            "user = alice\npassword = «sim_salabim»\n",
            "username: bob\n// of the test machine\npassword: «swordfish»",
        ),
        near_misses=(
            "user = args.user\npassword = args.password",
            "username: alice\npassword: your_password",
        ),
    ),
    Rule(
        name="assignment",  # set -gx NAME value in fish, setenv in csh, ENV in a Dockerfile
        pattern=rf"(?:set[ \t]+-[a-zA-Z]*x[a-zA-Z]*|setenv|ENV)[ \t]+{_NAME}[ \t]+[\"']?"
        rf"(?P<secret>{_BARE})",
        gate=rf"(?:-[a-zA-Z]*x[a-zA-Z]*|setenv|ENV)(?:[ \t]|\\+t)+[A-Za-z0-9_.-]*{_WORD}",
        one_line=True,
        source="https://fishshell.com/docs/current/cmds/set.html",
        check=assigned,
        examples=(
            "set -gx DEPLOY_KEY «{hex:32}»",
            "setenv DB_PASSWORD '«hunter2!{alnum:4}»'",
            "ENV API_TOKEN «{alnum:24}»",
        ),
        near_misses=(
            "set -x DEPLOY_KEY $argv[1]",
            "ENV API_TOKEN your-token",
            "set -x TOKEN (cat t1)",
        ),
    ),
    Rule(
        name="assignment",  # curl -u user:password
        pattern=r"curl(?:[ \t][^\n|;]*?)?[ \t](?:-u|--user)[ \t=]*[\"']?[^\s:\"'$<{]+:"
        r"(?P<secret>[^\s\"'`\\]+)",
        gate=r"(?:-u|--user)(?:[ \t=\"'\\]|\\+t)*[^\s:]+:",
        source="https://curl.se/docs/manpage.html#-u",
        check=is_given,
        examples=(
            "curl -s -u alice:«s3cr3t{alnum:6}» https://h.example/",
            "curl --user 'bob:«Tr0ub4dor&3»' h.example",
        ),
        near_misses=(
            "curl -u alice:$PASSWORD https://h.example/",
            "curl -u user:password h.example",
            "docker run -u 1000:1000999 img",
        ),
    ),
    Rule(
        name="assignment",  # --password value, also as two elements of an argument list
        pattern=rf"(?P<name>{_FLAG})[ \t\n]+(?P<secret>{_BARE})",
        gate=rf"{_FLAG}[^A-Za-z0-9=-]",
        source="https://www.gnu.org/software/libc/manual/html_node/Argument-Syntax.html",
        check=assigned,
        examples=("tool --password «s3cr3t{alnum:4}» run", "--api-key «{alnum:24}»"),
        near_misses=("--token <token>", "--password $PW", "--api-key requires a value"),
    ),
)
