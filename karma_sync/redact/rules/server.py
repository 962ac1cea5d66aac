"""Rules for secrets of servers: cookies of sessions, settings, and logins to databases."""

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_cookie, is_told_secret
from karma_sync.redact.rules.assignment import NAME, NAMED

_COOKIE = r"(?i:[a-z0-9_.-]*(?:sess(?:ion)?(?:_?id)?|sid|auth|jwt|token|remember)[a-z0-9_.-]*)"
_COOKIE_VALUE = r"(?P<secret>[A-Za-z0-9%._~+/=:-]{16,})"

SERVER_RULES = (
    Rule(
        name="cookie",  # of a session: Set-Cookie, Cookie, curl -b
        pattern=r"(?i:(?:set-)?cookie[\"']?[ \t]*[:=]|[ \t](?:-b|--cookie)[ \t=])[ \t]*[\"']?"
        rf"(?:[^;\s\"'=]+=[^;\s\"']*;[ \t]*){{0,20}}?{_COOKIE}={_COOKIE_VALUE}",
        gate=r"(?i:cookie)\\*[\"']?[ \t]{0,4}[:=]|(?:[ \t]|\\+t)(?:-b|--cookie)[ \t=]",
        one_line=True,
        source="https://datatracker.ietf.org/doc/html/rfc6265#section-4.1",
        check=is_cookie,
        examples=(
            "Set-Cookie: connect.sid=«{alnum:32}»; Path=/; HttpOnly",
            "Cookie: theme=dark; session=«{alnum:32}»; lang=en",
            "curl -b 'session=«{alnum:32}»' https://x.example",
            '"cookie": "PHPSESSID=«{lower:26}»"',
        ),
        near_misses=(
            "Set-Cookie: session=<session-id>; Path=/",
            "cookie: theme=dark",
            "Cookie: session=${SESSION_COOKIE_VALUE}",
        ),
    ),
    Rule(
        name="cookie",  # the names of frameworks' cookies; a browser's stored state
        pattern=r"(?:PHPSESSID|JSESSIONID|ASP\.NET_SessionId|connect\.sid|laravel_session"
        r"|_rails_session|sessionid)=(?P<secret_a>[A-Za-z0-9%._~+/=:-]{16,})"
        r"|\"name\"[ \t]*:[ \t]*\"(?:session|sid|sessionid|connect\.sid|PHPSESSID|JSESSIONID|auth"
        r"|token|jwt)\"[\s,]{1,20}\"value\"[ \t]*:[ \t]*\"(?P<secret_b>[^\"\s]{16,})\"",
        gate=r"(?:PHPSESSID|JSESSIONID|SessionId|connect\.sid|_session|sessionid)="
        r"|\"name\\*\"[ \t]{0,4}:[ \t]{0,4}\\*\"(?:session|sid|connect\.sid|PHPSESSID|JSESSIONID"
        r"|auth|token|jwt)",
        source="https://www.php.net/manual/en/session.configuration.php#ini.session.name",
        check=is_cookie,
        examples=(
            "PHPSESSID=«4J9QUu1vRzd3Pjcq0J6MKmbVw8sOCc9W»",
            '{"cookies": [{"name": "session", "value": "«WqH93sT3HIY0L9ABx8BmgjDWHKZhoGMo»"}]}',
        ),
        near_misses=("PHPSESSID=abc", "connect.sid=your-session-id-here"),
    ),
    Rule(
        name="assignment",  # requirepass v, masterauth v
        pattern=r"(?m)(?:^|[\n→\"])[ \t]*(?:requirepass|masterauth|masteruser|tls-key-file-pass)"
        r"[ \t]+\"?(?P<secret>[^\s\"]{4,})",
        gate=r"(?:requirepass|masterauth|tls-key-file-pass)[ \t\\]",
        source="https://redis.io/docs/latest/operate/oss_and_stack/management/security/",
        check=is_told_secret,
        examples=("port 6379\nrequirepass «hunter2x9»\n", "masterauth «Marlin1984#»"),
        near_misses=("# requirepass foobared", "requirepass ${REDIS_PASSWORD}"),
    ),
    Rule(
        name="assignment",  # password: <%= ENV["X"] || "v" %>
        pattern=rf"{NAME}[ \t]*:[ \t]*<%=[^%\n]{{0,80}}(?:\|\||,)[ \t]*[\"']"
        r"(?P<secret>[^\"'\n]+)[\"']",
        gate_head=NAMED,
        gate=r"[ \t]{0,4}:[ \t]{0,4}<%=",
        one_line=True,
        source="https://guides.rubyonrails.org/configuring.html#configuring-a-database",
        check=is_told_secret,
        examples=('  password: <%= ENV["X"] || "«P@ssw0rd484»" %>',),
        near_misses=('  password: <%= ENV["DB_PASSWORD"] %>',),
    ),
    Rule(
        name="assignment",  # the third argument of those that open databases
        pattern=r"(?:getConnection\([^,()\n]{1,80},[ \t]*[\"'][^\"'\n]{1,40}[\"'],[ \t]*"
        r"|mysqli(?:_connect)?\([ \t]*[\"'][^\"'\n]{1,80}[\"'],[ \t]*[\"'][^\"'\n]{1,40}[\"'],"
        r"[ \t]*"
        r"|new[ ]PDO\([^,()\n]{1,80},[ \t]*[\"'][^\"'\n]{1,40}[\"'],[ \t]*)"
        r"[\"'](?P<secret>[^\"'\n]+)[\"']",
        gate=r"getConnection\(|mysqli(?:_connect)?\(|new[ ]PDO\(",
        one_line=True,
        source="https://docs.oracle.com/en/java/javase/21/docs/api/java.sql/java/sql/DriverManager.html",
        check=is_told_secret,
        examples=(
            'DriverManager.getConnection(url, "root", "«velvetRocket579»");',
            '$conn = new mysqli("localhost", "root", "«P@ssw0rd638»", "db");',
        ),
        near_misses=('DriverManager.getConnection(url, "root", "password");',),
    ),
    Rule(
        name="assignment",  # expect "password:", send "v\r"
        pattern=r"(?i)expect[ \t]+\"[^\"\n]{0,20}pass[^\"\n]{0,20}\"[^\n]{0,20}\n[^\n]{0,20}send"
        r"(?:[ \t]+--)?[ \t]+\"(?P<secret>[^\"\\\n]+)",
        gate=r"(?i)expect[ \t\\]{1,}\"[^\"\n]{0,20}pass",
        source="https://core.tcl-lang.org/expect/index",
        check=is_told_secret,
        examples=('expect "password:"\nsend "«n3qfqrUMCoFp4UOu»\\r"',),
        near_misses=('expect "password:"\nsend "$password\\r"',),
    ),
)
