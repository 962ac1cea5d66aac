"""The ways in which a transcript writes down a token: beside its name, or alone, and printed."""

import json
from collections.abc import Callable


def camel(name: str) -> str:
    """SOME_NAME as someName."""
    first, *rest = name.lower().split("_")
    return first + "".join(map(str.title, rest))


def kebab(name: str) -> str:
    """SOME_NAME as some-name."""
    return name.lower().replace("_", "-")


Write = Callable[[str, str], str]
"""(the name in capitals, the token) -> a text that holds both, or the token alone."""

# Places that say what the token is.
NAMED: dict[str, Write] = {
    "env": lambda n, t: f"PORT=3000\n{n}={t}\nDEBUG=1\n",
    "env quoted": lambda n, t: f'{n}="{t}"\n',
    "env single": lambda n, t: f"{n}='{t}'\n",
    "export": lambda n, t: f"$ export {n}={t}",
    "export inline": lambda n, t: f'cd app && {n}="{t}" npm run deploy',
    "env prefix": lambda n, t: f"{n}={t} ./run.sh --now",
    "json": lambda n, t: f'{{\n  "{camel(n)}": "{t}",\n  "n": 1\n}}',
    "json compact": lambda n, t: f'{{"a":1,"{n.lower()}":"{t}"}}',
    "python dict": lambda n, t: f"{{'{n.lower()}': '{t}', 'x': None}}",
    "python": lambda n, t: f'{n} = "{t}"  # set by hand',
    "python typed": lambda n, t: f'{n.lower()}: str = "{t}"',
    "python getenv": lambda n, t: f'os.environ.get("{n}", "{t}")',
    "javascript": lambda n, t: f"const {camel(n)} = '{t}';",
    "javascript or": lambda n, t: f"const k = process.env.{n} || '{t}';",
    "javascript member": lambda n, t: f"  {camel(n)}: `{t}`,\n",
    "go": lambda n, t: f'\t{camel(n)} := "{t}"',
    "php": lambda n, t: f"    '{n.lower()}' => '{t}',",
    "ruby": lambda n, t: f"config.{n.lower()} = '{t}'",
    "yaml": lambda n, t: f"app:\n  {n.lower()}: {t}\n  port: 1\n",
    "yaml quoted": lambda n, t: f'app:\n  {kebab(n)}: "{t}"\n',
    "yaml env list": lambda n, t: f"      - name: {n}\n        value: {t}\n",
    "compose": lambda n, t: f"    environment:\n      - {n}={t}\n",
    "toml": lambda n, t: f'[api]\n{n.lower()} = "{t}"\n',
    "ini": lambda n, t: f"[default]\n{n.lower()} = {t}\n",
    "properties": lambda n, t: f"service.{n.lower().replace('_', '.')}={t}\n",
    "hcl": lambda n, t: f'  {n.lower()} = "{t}"\n',
    "dockerfile": lambda n, t: f"FROM x\nENV {n}={t}\nRUN y",
    "dockerfile old": lambda n, t: f"FROM x\nENV {n} {t}\nRUN y",
    "docker -e": lambda n, t: f"docker run --rm -e {n}={t} -p 80:80 img",
    "docker --env": lambda n, t: f"docker run --env {n}='{t}' img",
    "build arg": lambda n, t: f"docker build --build-arg {n}={t} .",
    "powershell": lambda n, t: f'$env:{n} = "{t}"; npm start',
    "powershell single": lambda n, t: f"$Env:{n}='{t}'",
    "cmd set": lambda n, t: f"set {n}={t}\r\nnode x",
    "setx": lambda n, t: f'setx {n} "{t}"',
    "fish": lambda n, t: f"set -gx {n} {t}",
    "fish long": lambda n, t: f"set --export {n} '{t}'",
    "flag": lambda n, t: f"acme --{kebab(n)} {t} deploy",
    "flag equals": lambda n, t: f"acme --{kebab(n)}={t} deploy",
    "argument list": lambda n, t: f'["acme", "--{kebab(n)}", "{t}"]',
    "heroku": lambda n, t: f"heroku config:set {n}={t} -a app",
    "kubectl": lambda n, t: f"kubectl create secret generic x --from-literal={n.lower()}={t}",
    "curl -d": lambda n, t: f"""curl -d '{{"{n.lower()}":"{t}"}}' https://h.example/v1""",
    "form data": lambda n, t: f"curl -d '{n.lower()}={t}&x=1' https://h.example/v1",
    "query": lambda n, t: f"GET https://h.example/v1?{n.lower()}={t}&page=2 200",
    "header": lambda n, t: f"curl -H 'X-{kebab(n).title()}: {t}' https://h.example",
    "xml": lambda n, t: f"<{camel(n)}>{t}</{camel(n)}>",
    "xml attribute": lambda n, t: f'<add key="{camel(n)}" value="{t}" />',
    "numbered": lambda n, t: f"    11→# keys\n    12→{n}={t}\n    13→\n",
    "diff added": lambda n, t: f"@@ -1,2 +1,2 @@\n ctx\n+{n}={t}\n",
    "diff removed": lambda n, t: f"@@ -1,2 +1,2 @@\n ctx\n-{n}={t}\n",
    "diff yaml": lambda n, t: f"@@ -1 +1 @@\n-  {n.lower()}: {t}\n+  x: y\n",
    "grep": lambda n, t: f"deploy/.env:7:{n}={t}\n",
    "markdown": lambda n, t: f"- set `{n}` to `{t}`",
    "markdown code": lambda n, t: f"```bash\nexport {n}={t}\n```",
    "markdown table": lambda n, t: f"| {n} | `{t}` |",
    "ansi": lambda n, t: f"\x1b[33m{n}\x1b[0m=\x1b[32m{t}\x1b[0m",
    "log": lambda n, t: f"12:00:01 INFO loaded {n.lower()}={t}, region=eu",
    "comment": lambda n, t: f"# {n}={t}",
    "sentence": lambda n, t: f"My {n.lower().replace('_', ' ')} is {t}, please use it.",
}

# Places where only the token stands.
ALONE: dict[str, Write] = {
    "alone": lambda _, t: t,
    "prose": lambda _, t: f"use {t} for now.",
    "quoted": lambda _, t: f'client = Client("{t}")',
    "backticks": lambda _, t: f"it is `{t}`",
    "parenthesis": lambda _, t: f"connect({t})",
    "stack trace": lambda _, t: f"AuthError: Incorrect key provided: {t}. at f (/a/b.js:1:2)",
    "query key": lambda _, t: f"https://h.example/v1?key={t}&alt=json",
    "encoded query": lambda _, t: f"redirect?u=https%3A%2F%2Fh%3Fk%3D{t}%26x%3D1",
    "bearer": lambda _, t: f'curl -H "Authorization: Bearer {t}" https://h.example',
    "echo": lambda _, t: f"echo -n '{t}' | gh secret set X",
    "escaped newline": lambda _, t: f'"a\\n{t}\\nb"',
    "diff line": lambda _, t: f"+{t}\n-{t}\n",
    "numbered line": lambda _, t: f"     1→{t}\n     2\t{t}\n",
    "csv": lambda _, t: f"1,{t},prod",
    "url userinfo": lambda _, t: f"git clone https://x:{t}@git.example.org/o/r",
    "markdown link": lambda _, t: f"[k]({t})",
    "angle": lambda _, t: f"<value>{t}</value>",
    "list": lambda _, t: f"* {t}\n* other",
}


def _lines(text: str, before: Callable[[int], str]) -> str:
    """Each line behind what a tool prints before it."""
    return "".join(f"{before(at)}{line}\n" for at, line in enumerate(text.split("\n"), 1))


def _escaped(text: str) -> str:
    """A JSON string of which every second character is an escape."""
    return "".join(
        f"\\u{ord(char):04x}" if at % 2 and char.isascii() else json.dumps(char)[1:-1]
        for at, char in enumerate(text)
    )


Print = Callable[[str], str]
"""A text -> the JSON value as which a record holds it."""

# How tools print a text, and how records hold what they print.
PRINTED: dict[str, Print] = {
    "crlf": lambda t: json.dumps(t.replace("\n", "\r\n")),
    "crlf in json": lambda t: json.dumps(json.dumps({"o": t.replace("\n", "\r\n")})),
    "escapes": lambda t: f'"{_escaped(t)}"',
    "escapes in json": lambda t: json.dumps(f'{{"o": "{_escaped(t)}"}}'),
    "slashes": lambda t: json.dumps(t).replace("/", "\\/"),
    "slashes in json": lambda t: json.dumps(json.dumps({"o": t}).replace("/", "\\/")),
    "json in json": lambda t: json.dumps(json.dumps({"a": json.dumps({"b": t})})),
    "lines of a patch": lambda t: json.dumps([f"+{line}" for line in t.split("\n")]),
    "blocks": lambda t: json.dumps([{"type": "text", "text": t}]),
    "numbered": lambda t: json.dumps(_lines(t, "{:6}→".format)),
    "numbered by cat": lambda t: json.dumps(_lines(t, "{:6}\t".format)),
    "numbered crlf": lambda t: json.dumps(_lines(t.replace("\n", "\r\n"), "{:6}→".format)),
    "grep": lambda t: json.dumps(_lines(t, "src/a.env:{}:".format)),
    "around a find of grep": lambda t: json.dumps(_lines(t, "src/a.env-{}-".format)),
    "rg": lambda t: json.dumps(_lines(t, "{}:".format)),
    "containers' logs": lambda t: json.dumps(_lines(t, lambda _: "web-1  | ")),
    "log with times": lambda t: json.dumps(_lines(t, lambda _: "2026-01-02T03:04:05.67Z ")),
    "log of jobs": lambda t: json.dumps(_lines(t, lambda _: "build\tTest\t2026-01-02T03:04:05Z ")),
    "quoted": lambda t: json.dumps(_lines(t, lambda _: "> ")),
    "bat": lambda t: json.dumps(_lines(t, "{:4} │ ".format)),
    "tags": lambda t: json.dumps(f"<stdout>{t}</stdout>"),
    "python": lambda t: json.dumps(f"CompletedProcess(args=['x'], stdout={t!r})"),
    "bytes of python": lambda t: json.dumps(f"stdout={t.encode()!r}"),
}
