"""The places in transcripts that hold headers, passwords and private keys, as written there."""

import base64
import json
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

Header = Callable[[str, str], str]
"""(the header's name, its value) -> a text that holds them."""

HEADERS: dict[str, Header] = {
    "curl double": lambda h, v: f'curl -s -H "{h}: {v}" https://h.example/v1',
    "curl single": lambda h, v: f"curl -s -H '{h}: {v}' https://h.example/v1",
    "curl long": lambda h, v: f'curl --header="{h}: {v}" https://h.example',
    "curl -v": lambda h, v: f"> GET /v1 HTTP/1.1\n> Host: h\n> {h}: {v}\n> Accept: */*",
    "json": lambda h, v: f'{{"headers": {{"{h}": "{v}"}}}}',
    "python": lambda h, v: f"headers={{'{h}': '{v}', 'Accept': 'x'}}",
    "python f": lambda h, v: f'headers["{h}"] = f"{v}"',
    "python bytes": lambda h, v: f"(b'{h.lower()}', b'{v}')",
    "node": lambda h, v: f"headers: {{ '{h}': '{v}' }},",
    "node set": lambda h, v: f"req.setHeader('{h}', '{v}')",
    "node template": lambda h, v: f"headers: {{ '{h}': `{v}` }},",
    "node raw": lambda h, v: f"[ '{h}', '{v}' ]",
    "go": lambda h, v: f'req.Header.Set("{h}", "{v}")',
    "http/2": lambda h, v: f"> {h.lower()}: {v}\r\n> accept: */*",
    "http/2 in brackets": lambda h, v: f"* [HTTP/2] [1] [{h.lower()}: {v}]\n",
    "yaml": lambda h, v: f"headers:\n  {h}: {v}\n",
    "yaml quoted": lambda h, v: f'headers:\n  {h}: "{v}"\n',
    "httpie": lambda h, v: f"http GET h.example/v1 '{h}:{v}'",
    "numbered": lambda h, v: f'    12→    -H "{h}: {v}" \\\n',
    "diff": lambda h, v: f'-  -H "{h}: {v}"\n+  -H "x"',
    "powershell": lambda h, v: f'-Headers @{{"{h}"="{v}"}}',
    "listed": lambda h, v: f'{{"name": "{h}",\n "value": "{v}"}}',
    "git": lambda h, v: f'git -c http.extraheader="{h}: {v}" clone x',
    "markdown": lambda h, v: f"`{h}: {v}`",
}

SCHEMES = {
    "Bearer ": "{url:40}",
    "Token ": "{hex:40}",
    "token ": "{alnum:36}",
    "ApiKey ": "{base64:44}==",
    "Bot ": "{alnum:59}",
    "GenieKey ": "{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}",
    "Negotiate ": "{base64:120}==",
    "Splunk ": "{hex:32}",
    "Api-Token ": "{alnum:40}",
    "": "{alnum:40}",
}

KEY_HEADERS = (
    "X-Api-Key",
    "X-Auth-Token",
    "Api-Key",
    "X-Vault-Token",
    "PRIVATE-TOKEN",
    "apikey",
    "X-Access-Token",
    "Ocp-Apim-Subscription-Key",
    "X-Amz-Security-Token",
)

Password = Callable[[str], str]
"""(a password without a quote) -> a text that holds it."""

PASSWORDS: dict[str, Password] = {
    "env": lambda p: f'DB_PASSWORD="{p}"\n',
    "pgpassword": lambda p: f"PGPASSWORD='{p}' psql -h db",
    "yaml": lambda p: f"  password: {p}\n",
    "yaml quoted": lambda p: f'password: "{p}"',
    "toml": lambda p: f'password = "{p}"\n',
    "ini": lambda p: f"[client]\nuser=root\npassword={p}\n",
    "properties": lambda p: f"spring.datasource.password={p}\n",
    "compose": lambda p: f"      POSTGRES_PASSWORD: {p}\n",
    "json": lambda p: json.dumps({"db": {"user": "app", "password": p}}, indent=1),
    "json pass": lambda p: json.dumps({"auth": {"user": "app", "pass": p}}),
    "keyword": lambda p: f"connect(host='db', user='app', password='{p}')",
    "django": lambda p: f"'PASSWORD': '{p}',",
    "java": lambda p: f'String dbPassword = "{p}";',
    "go": lambda p: f'dbPassword := "{p}"',
    "terraform": lambda p: f'master_password = "{p}"',
    "ado.net": lambda p: f"Server=db;User Id=sa;Password={p.replace(';', ',')};Encrypt=true",
    "libpq": lambda p: f"host=db user=app password='{p}' dbname=x",
    "query": lambda p: f"jdbc:postgresql://db/x?user=app&password={_query(p)}&ssl=true",
    "pgpass": lambda p: f"db.example.org:5432:shop:app:{p.replace(':', '.')}\n",
    "pgpass numbered": lambda p: f"     1→*:*:*:app:{p.replace(':', '.')}\n",
    "netrc": lambda p: f"machine h.example\n  login bob\n  password {p}\n",
    "netrc numbered": lambda p: f" 1→machine h.example\n 2→ login bob\n 3→ password {p}\n",
    "mysql": lambda p: f"mysql -h db -uroot -p'{p}' x",
    "sshpass": lambda p: f"sshpass -p '{p}' ssh a@b",
    "curl": lambda p: f"curl -u 'bob:{p}' https://h.example",
    "docker login": lambda p: f"docker login -u bob -p '{p}' r.example",
    "flag": lambda p: f"tool --password '{p}' x",
    "flag equals": lambda p: f"tool --db-password='{p}' x",
    "sql": lambda p: f"CREATE USER app WITH PASSWORD '{p}';",
    "mysql sql": lambda p: f"CREATE USER 'a'@'%' IDENTIFIED BY '{p}';",
    "powershell": lambda p: f"ConvertTo-SecureString '{p}' -AsPlainText -Force",
    "xml": lambda p: f"<password>{p.replace('&', '+')}</password>",
    "list": lambda p: f"- name: DB_PASSWORD\n  value: '{p}'\n",
    "sentence": lambda p: f'the admin password is "{p}".',
}

DATABASES = (
    "postgres://app:%s@db:5432/x",
    "postgresql+asyncpg://app:%s@db/x",
    "mysql://root:%s@127.0.0.1/x",
    "mongodb://app:%s@a:27017,b:27017/x",
    "rediss://default:%s@cache:6380/0",
    "amqps://svc:%s@mq/vhost",
    "postgres://app:%s@/x?host=/var/run",
)


def _query(password: str) -> str:
    return password.replace("&", "+").replace("#", "+")


def numbered(text: str, arrow: str = "→") -> str:
    """As a tool shows a file."""
    return "\n".join(f"{at:6}{arrow}{line}" for at, line in enumerate(text.split("\n"), 1))


def prefixed(text: str, prefix: str, suffix: str = "") -> str:
    """Each line between these two."""
    return "".join(f"{prefix}{line}{suffix}\n" for line in text.splitlines())


PrivateKey = Callable[[str], str]
"""(a private key in PEM) -> a text that holds it, or its first half."""

KEYS: dict[str, PrivateKey] = {
    "plain": lambda k: f"$ cat k\n{k}done",
    "crlf": lambda k: k.replace("\n", "\r\n"),
    "yaml": lambda k: "data:\n  key: |\n" + prefixed(k, "    ") + "  other: x\n",
    "numbered": numbered,
    "numbered with tabs": lambda k: numbered(k, "\t"),
    "numbered yaml": lambda k: numbered("key: |\n" + prefixed(k, "    ")),
    "diff added": lambda k: "@@ -0,0 +1 @@\n" + prefixed(k, "+") + " x\n",
    "diff removed": lambda k: "@@ -1 +0,0 @@\n" + prefixed(k, "-") + " x\n",
    "diff of yaml": lambda k: prefixed(k, "+    "),
    "diff in colours": lambda k: prefixed(k, "\x1b[32m+", "\x1b[m"),
    "json": lambda k: json.dumps({"type": "service_account", "private_key": k}),
    "env": lambda k: 'PRIVATE_KEY="' + k.replace("\n", "\\n") + '"',
    "env escaped twice": lambda k: 'PRIVATE_KEY="' + k.replace("\n", "\\\\n") + '"',
    "javascript": lambda k: "const k = " + " +\n ".join(f"'{x}\\n'" for x in k.splitlines()),
    "array": lambda k: "[" + ",\n  ".join(f"'{x}'" for x in k.splitlines()) + "].join('\\n')",
    "heredoc": lambda k: f"cat > k <<'EOF'\n{k}EOF\n",
    "first half": lambda k: k[: len(k) // 2],
    "first half numbered": lambda k: numbered(k[: len(k) // 2]),
    "second half": lambda k: k[len(k) // 2 :],
    "second half numbered": lambda k: numbered(k[len(k) // 2 :]),
    "last lines": lambda k: "$ tail -n 3 k\n" + "".join(k.splitlines(keepends=True)[-3:]),
    "mail": lambda k: prefixed(k, "> "),
    "grep": lambda k: prefixed(k, "key.pem:12:"),
    "box": lambda k: prefixed(k, "│ ", " │"),
    "address": lambda k: "k=" + k.replace("\n", "%0A").replace(" ", "+"),
    "bytes": lambda k: repr(k.encode()),
    "xml": lambda k: f"<key>{k}</key>",
}


def private_keys() -> dict[str, str]:
    """One of each kind and format, new each time."""
    large, small = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    tiny = ed25519.Ed25519PrivateKey.generate()
    pkcs8, old, ssh = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH
    plain, locked = NoEncryption(), BestAvailableEncryption(b"locked")
    return {
        "rsa": large.private_bytes(Encoding.PEM, pkcs8, plain).decode(),
        "rsa of old": large.private_bytes(Encoding.PEM, old, plain).decode(),
        "rsa locked": large.private_bytes(Encoding.PEM, pkcs8, locked).decode(),
        "rsa for ssh": large.private_bytes(Encoding.PEM, ssh, plain).decode(),
        "ec": small.private_bytes(Encoding.PEM, pkcs8, plain).decode(),
        "ec of old": small.private_bytes(Encoding.PEM, old, plain).decode(),
        "ed25519": tiny.private_bytes(Encoding.PEM, pkcs8, plain).decode(),
        "ed25519 for ssh": tiny.private_bytes(Encoding.PEM, ssh, plain).decode(),
    }


def kubernetes(entries: dict[str, str], last: bool) -> str:
    """A Secret with these values; `last` writes its kind behind them, as kubectl does."""
    data = "data:\n" + "".join(
        f"  {key}: {base64.b64encode(value.encode()).decode()}\n" for key, value in entries.items()
    )
    head = "kind: Secret\nmetadata:\n  annotations:\n    kubectl.example/x: y\n  name: x\n"
    return f"apiVersion: v1\n{data}{head}" if last else f"apiVersion: v1\n{head}{data}"
