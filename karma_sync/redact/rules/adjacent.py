"""Rules for secrets beside a name for one, without a sign in between.

Such as pairs of arguments, XML elements, lists of settings, and sentences.
"""

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import (
    is_assigned_secret,
    is_key_in_prose,
    is_listed_secret,
    is_paired_key,
    is_paired_secret,
    is_password_after_user,
    is_password_in_prose,
    is_told_password,
)
from karma_sync.redact.rules.assignment import (
    AFTER,
    BARE,
    BARE_END,
    BLANK,
    CLOSE,
    KEYED,
    LINE_END,
    MORE,
    NAME,
    NAMED,
    QUOTED,
    WORD,
)

_SOURCE = "https://12factor.net/config"  # people's habit, not a format of any provider
_USER = r"user(?:name)?[ \t]*[:=]"
_PASSES = r"pass(?:word|wd)?[ \t]*[:=]"

# A name for a secret in a sentence.
_CALLED = r"[a-z0-9]+[ ](?:[a-z]+[ ])?(?:key|token|secret)"
_KEY_NAME = rf"(?P<name>[A-Za-z0-9_.-]*{KEYED}{AFTER})"
_SAID = r"[ !#-.0-9;<>-\[\]-~]{0,32}?"  # other words after it; no character that JSON escapes
_LEADS = r"(?:to|is|are|with|as|:|→|\\+u2192|\||[-=]>)"

ADJACENT_RULES = (
    Rule(
        name="assignment",  # process.env.API_KEY || "…": the default of an unset variable
        pattern=rf"{NAME}{CLOSE}\)?[ \t]*(?:\|\||\?\?|or)[ \t]*{QUOTED}",
        gate_head=NAMED,
        gate=rf"{CLOSE}\)?{BLANK}(?:\|\||\?\?|or){BLANK}[\\\"'`]+(?:[^\s\\\"'`]|\\+/){{6}}",
        one_line=True,
        source=_SOURCE,
        check=is_assigned_secret,
        examples=(
            "const key = process.env.API_KEY || '«{alnum:32}»';",
            'token = os.getenv("AUTH_TOKEN") or "«{hex:40}»"',
        ),
        near_misses=(
            "process.env.API_KEY || 'your-api-key'",
            'password or "the password of user2"',
            "process.env.JWT_SECRET || 'development-secret'",
        ),
    ),
    Rule(
        name="assignment",  # name: | and the value in the next line, as YAML writes texts
        pattern=rf"(?m){NAME}{CLOSE}[ \t]*:[ \t]*[|>][0-9+-]{{0,2}}[ \t\r]*\n[^\n]{{0,64}}?"
        rf"(?P<secret>[^\s\"'`\\]+){LINE_END}",
        gate_head=NAMED,
        gate=rf"{CLOSE}{BLANK}:{BLANK}[|>][0-9+-]{{0,2}}(?:[\s\",]|\\+[nrt])",
        source="https://yaml.org/spec/1.2.2/#81-block-scalar-styles",
        check=is_listed_secret,
        examples=(
            "stringData:\n  password: |\n    «hunter2!{alnum:4}»\n  x: y",
            "    7→  api_token: >-\n    8→    «{hex:40}»\n",
        ),
        near_misses=("  token: |\n    one of the tokens\n", "password: |\n    ${PW}\n"),
    ),
    Rule(
        name="assignment",  # <apiKey>…</apiKey>
        pattern=rf"<(?:[A-Za-z]{{1,10}}:)?{NAME}(?:[ \t][^<>\n]{{0,80}})?>(?P<secret>[^<>\s]+)</",
        gate=rf"<(?:[A-Za-z]{{1,10}}:)?[A-Za-z0-9_.-]*{WORD}{MORE}(?:[ \t\\][^<>\n]{{0,80}})?>"
        r"[^<>\s]{6,}<\\*/",
        one_line=True,
        source="https://maven.apache.org/settings.html#servers",
        check=is_assigned_secret,
        examples=(
            "<server><password>«hunter2!{alnum:4}»</password></server>",
            '<cfg:apiKey type="x">«{hex:32}»</cfg:apiKey>',
        ),
        near_misses=("<password>${env.PW}</password>", "<label-key>title-1</label-key>"),
    ),
    Rule(
        name="assignment",  # set `API_KEY` to `…`, | API_KEY | `…` |
        pattern=rf"{_KEY_NAME}[`*]{{0,3}}[ \t]*{_LEADS}[ \t|]*[`*]{{1,3}}"
        r"(?P<secret>[^\s\"'`\\,;&|<>(){}\[\]*\x1b]+)",
        gate=rf"{KEYED}{MORE}[`*]{{0,3}}{BLANK}{_LEADS}(?:{BLANK}\|?)*[`*]{{1,3}}[^\s\"`*]{{16}}",
        one_line=True,
        source="https://spec.commonmark.org/current/#code-spans",
        check=is_paired_key,
        examples=(
            "- set `ACME_API_KEY` to `«{alnum:32}»`",
            "| ACME_API_KEY | `«{alnum:32}»` |",
            "**Token**: **«{hex:40}»**",
        ),
        near_misses=(
            "| ACME_API_KEY | `the-key-of-your-account-2` |",
            "`token` is `the-token-of-the-user-2`",
        ),
    ),
    Rule(
        name="assignment",  # my API key is …
        pattern=rf"(?i)(?:\A|[^a-z0-9_-])(?P<name>{_CALLED}){_SAID}(?:[ ](?:is|to|as)|:|=)[ ]*"
        r"[`*\"']{0,3}(?P<secret>[a-z0-9_.~+/=-]{16,})",
        gate=rf"(?i)[a-z0-9][ ](?:key|token|secret){_SAID}(?:[ ](?:is|to|as)|:|=)[ ]*"
        r"[`*\"'\\]*[a-z0-9_.~+/=\\-]{16}",
        one_line=True,
        source=_SOURCE,
        check=is_key_in_prose,
        examples=(
            "my api key is «{alnum:32}», use it",
            "The access token for staging: `«{hex:40}»`",
            "Client secret: «{alnum:24}»",
        ),
        near_misses=(
            "the api key is configured in settings-of-the-account-2",
            "The access token is a random value",
            "api key: sk-your-key-goes-here-0123",
            "The public key is {base64:43}8",
        ),
    ),
    Rule(
        name="assignment",  # ("api_key", "…"): two arguments, the first a name
        pattern=rf"[\"']{NAME}\\*[\"'][ \t]*,[ \t]*[bfru]{{0,2}}(?:[\"'`]|\\+[\"'])+"
        rf"(?P<secret>{BARE}){BARE_END}",
        gate_head=NAMED,
        gate=rf"\\*[\"']{BLANK},{BLANK}[bfru]{{0,2}}[\\\"'`]+\S{{6}}",
        one_line=True,
        source=_SOURCE,
        check=is_paired_secret,
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
        check=is_password_in_prose,
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
        name="assignment",  # user = alice, and the password in the next line, even a plain word
        pattern=rf"(?mi){_USER}[ \t]*[^\s\"'\\=:]+[ \t]*\r?\n(?:[ \t]*(?://|\#|;)[^\n=:]*\n){{0,3}}"
        rf"[ \t]*{_PASSES}[ \t]*(?P<secret>[^\s\"'\\]+){LINE_END}",
        gate=rf"(?i){_USER}[^=:]+{_PASSES}".replace(r"[ \t]*", BLANK),
        source=_SOURCE,
        check=is_password_after_user,
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
        name="assignment",  # pw: v, Das Passwort lautet v, password? it's v, wifi password "v"
        pattern=r"(?i)(?:\A|[^a-z0-9_])(?:pw|pwd|pass(?:word|wort|code)|contrase(?:ñ|n)a"
        r"|mot de passe|wachtwoord|senha|parola|kennwort)(?:[ ]?[:?]|[ ](?:lautet|ist|es|est|is))?"
        r"(?:[ ]it'?s)?[ ]+[`\"“*]{0,2}(?P<secret>[^\s\"'`\\“”]*[^\s\"'`\\“”.,;:!?])",
        gate=r"(?i)(?:pwd?|pass(?:word|wort|code)|contrase(?:ñ|n)a|mot de passe|wachtwoord|senha"
        r"|parola|kennwort)(?:[ ]?[:?]|[ ](?:lautet|ist|es|est|is))?(?:[ ]it'?s)?[ ]{1,}[^\s]{6}",
        one_line=True,
        source=_SOURCE,
        check=is_told_password,
        examples=(
            "login: bob@acme.example pw: «river-horse-cloud-battery»",
            "Das Passwort lautet «oH^lpVJoG0M4Ar»",
            "DB password? it's «battery-river-horse-cloud»",
            'wifi password "«0c3e9ac8e7cae6c0561a6aba»"',
        ),
        near_misses=(
            "password reset-flow",
            "the password field-1",
            "Password: required",
            "pass 1.2.3",
        ),
    ),
    Rule(
        name="assignment",  # login with name / value, for a site
        pattern=r"(?i)(?:log ?in|use|user|credentials?|sign in)[ ](?:with|as|is|are)?[ ]?"
        r"[a-z0-9_.@+-]{2,60}[ ]/[ ](?P<secret>[^\s\"'`\\/]{6,})",
        gate=r"(?i)(?:log ?in|use|user|credentials?|sign in)[ ](?:with|as|is|are)?[ ]?"
        r"[a-z0-9_.@+-]{2,}[ ]\\?/[ ][^\s]{6}",
        one_line=True,
        source=_SOURCE,
        check=is_told_password,
        examples=(
            "use admin / «mapleLamp135» for the staging site",
            "login with bob@acme.example / «Qwertz!234»",
        ),
        near_misses=("use sqlite / postgres16 here", "use a / b"),
    ),
)
