"""Rules for secrets on command lines: values of options, and arguments without a name."""

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_argument_password, is_assigned_secret
from karma_sync.redact.rules.assignment import BARE, MORE, NAME, WORD

_FLAG = r"--(?:[a-z0-9]+-)*(?:[a-z]*key|token|secret|password|passphrase|passwd|pass|pwd)"
_PROGRAM = (
    r"(?:(?:mysql|mysqldump|mysqladmin|mariadb)(?:[ \t]+[^\s|;&]+)*?[ \t]+-p"
    r"|htpasswd[ \t]+-[a-zA-Z]*b[a-zA-Z]*(?:[ \t]+[^\s|;&]+){2}[ \t]+"
    r"|(?i:convertto-securestring)[ \t]+(?:-String[ \t]+)?"
    r"|(?:az[ \t]+login|mongosh?|mongodump|mongorestore|twine|podman[ \t]+login|skopeo[ \t]+login"
    r"|helm[ \t]+registry[ \t]+login|oc[ \t]+login|psexec)(?:[ \t]+[^\s|;&]+)*?[ \t]+-p[ \t]+"
    r"|ldap(?:search|modify|add|whoami|passwd)(?:[ \t]+[^\s|;&]+)*?[ \t]+-w[ \t]+"
    r"|(?:7z|7za|unrar|rar)(?:[ \t]+[^\s|;&]+)*?[ \t]+-p"
    r"|(?:zip|unzip)(?:[ \t]+[^\s|;&]+)*?[ \t]+-P[ \t]*"
    r"|ssh-keygen(?:[ \t]+[^\s|;&]+)*?[ \t]+-[NP][ \t]+"
    r"|(?:plink|pscp|psftp|putty)(?:[ \t]+[^\s|;&]+)*?[ \t]+-pw[ \t]+"
    r"|xfreerdp3?(?:[ \t]+[^\s|;&]+)*?[ \t]+/p:"
    r"|smbclient(?:[ \t]+[^\s|;&]+)*?[ \t]+-U[ \t]*[^\s%]{1,40}%"
    r"|lftp(?:[ \t]+[^\s|;&]+)*?[ \t]+-u[ \t]*[^\s,]{1,40},"
    r"|sshpass[ \t]+-p[ \t]*|redis-cli(?:[ \t]+[^\s|;&]+)*?[ \t]+-a[ \t]+"
    r"|docker[ \t]+login(?:[ \t]+[^\s|;&]+)*?[ \t]+-p[ \t]+)"
)
# The name of a program, and the sign of its option: an automaton for what may stand between them
# would have more states than all else.
_PROGRAM_GATE = (
    r"(?:mysql|mysqldump|mysqladmin|mariadb|htpasswd|sshpass|redis-cli|mongosh?|mongodump|mongorestore"
    r"|twine"
    r"|ldap(?:search|modify|add|whoami|passwd)|7za?|unrar|ssh-keygen|plink|pscp|psftp|putty"
    r"|xfreerdp3?|smbclient|lftp|psexec|zip|(?:az|docker|podman|skopeo|registry|oc)(?:[ \t]|\\+t)"
    r"login)"
    r"(?:[ \t]|\\+t){1,8}[^\s\\]|(?i:convertto-securestring)"
)
_ARGUMENT = (
    r"(?:'(?P<secret_a>[^'\n]+)'|\"(?P<secret_b>[^\"\\\n]+)\""
    r"|(?P<secret_c>[^\s\"'`\\;,|&<>(){}\[\]]+))"
)
_USER = r"(?:-[a-zA-Z]*u|--(?:proxy-)?user)"  # curl's
_GAP = r"(?:[ \t=]|\\+t)+"
_SET = r"(?:set(?:[ \t]+-{1,2}[a-zA-Z-]+)*|setx|setenv|ENV|ARG)"

COMMAND_RULES = (
    Rule(
        name="assignment",  # set -gx NAME value in fish, setx, ENV in a Dockerfile
        pattern=rf"(?:\A|[^A-Za-z0-9]){_SET}[ \t]+{NAME}[ \t]+"
        rf"(?:(?:--body|-b)[ \t=]*)?[\"']?(?P<secret>{BARE})",
        gate=rf"{_SET}{_GAP}[A-Za-z0-9_.-]*{WORD}{MORE}{_GAP}(?:(?:--body|-b){_GAP})?"
        r"(?:\\*[\"'])?(?:[^\s\\\"'$]|\\+/){6}",
        one_line=True,
        source="https://fishshell.com/docs/current/cmds/set.html",
        check=is_assigned_secret,
        examples=(
            "set -gx DEPLOY_KEY «{hex:32}»",
            "set -g --export DEPLOY_KEY '«{hex:32}»'",
            "setenv DB_PASSWORD '«hunter2!{alnum:4}»'",
            'setx API_TOKEN "«{alnum:24}»"',
            "ENV API_TOKEN «{alnum:24}»",
            "aws configure set aws_session_token «{alnum:24}»",
            "gh secret set API_TOKEN --body '«{alnum:24}»'",
        ),
        near_misses=(
            "set -x DEPLOY_KEY $argv[1]",
            "ENV API_TOKEN your-token",
            "set -x TOKEN (cat t1)",
            "set API_KEY to something",
            "gh secret set API_TOKEN --body env2",
        ),
    ),
    Rule(
        name="assignment",  # curl -u user:password
        pattern=r"curl(?:[ \t](?:[^\n|;\\]|\\\r?\n|\\[^\r\n])*?)?"
        rf"[ \t]{_USER}[ \t=]*[\"']?[^\s:\"'$<{{]+:(?P<secret>[^\s\"'`\\]+)",
        gate=rf"(?:[ \t]|\\+t){_USER}(?:[ \t=\"'\\]|\\+t)*[^\s:\"'$<{{]+:[^\s\"'`]{{6}}",
        source="https://curl.se/docs/manpage.html#-u",
        check=is_argument_password,
        examples=(
            "curl -s -u alice:«s3cr3t{alnum:6}» https://h.example/",
            "curl -sSfu alice:«s3cr3t{alnum:6}» https://h.example/",
            "curl --user 'bob:«Tr0ub4dor&3»' h.example",
            "curl -s \\\n  -u alice:«s3cr3t{alnum:6}» h.example",
        ),
        near_misses=(
            "curl -u alice:$PASSWORD https://h.example/",
            "curl -u user:password h.example",
            "docker run -u 1000:1000999 img",
        ),
    ),
    Rule(
        name="assignment",  # --password value, also as two elements of an argument list
        pattern=rf"(?P<name>{_FLAG})[ \t\n]+{_ARGUMENT}",
        gate=rf"{_FLAG}[^A-Za-z0-9=-]",
        source="https://www.gnu.org/software/libc/manual/html_node/Argument-Syntax.html",
        check=is_assigned_secret,
        examples=(
            "tool --password «s3cr3t{alnum:4}» run",
            "--api-key «{alnum:24}»",
            "--password '«J$g(1)d;1z»'",
        ),
        near_misses=("--token <token>", "--password $PW", "--api-key requires a value"),
    ),
    Rule(
        name="assignment",  # a password that a program takes without a name
        pattern=rf"{_PROGRAM}{_ARGUMENT}",
        gate=_PROGRAM_GATE,
        one_line=True,
        source="https://dev.mysql.com/doc/refman/8.4/en/command-line-options.html",
        check=is_argument_password,
        examples=(
            "mysql -u root -p«hunter2!{alnum:4}» shop",
            "mysqldump --all -uroot -p'«hunter2!{alnum:4}»' > x",
            "sshpass -p '«hunter2!{alnum:4}»' ssh a@b",
            "redis-cli -h cache -a «{hex:32}» ping",
            "docker login -u alice -p «{alnum:20}» registry.example",
            "htpasswd -bc users alice '«hunter2!{alnum:4}»'",
            "ConvertTo-SecureString '«hunter2!{alnum:4}»' -AsPlainText -Force",
            "az login --service-principal -u 1 -p «{alnum:24}» --tenant t",
            "mongosh -u admin -p «n5s_mDtNnhsHwI» --authenticationDatabase admin",
            "ldapsearch -x -D cn=admin -w «RlpHGlSnOH» -b dc=x",
            "7z a -p«hunter2!x9» a.7z b",
            "zip -P «z3tqvjnoq5zpz6p8x3» a.zip b",
            "ssh-keygen -t rsa -N '«vasvlwqk0zu4he6hn4»' -f k",
            "plink -pw «Autumn1996$» root@h",
            "xfreerdp /u:bob /p:«1W7peNYyU#9TaU» /v:h",
            "smbclient //srv/s -U bob%«lxftquc7zsstti3spn»",
            "lftp -u bob,«copperLamp347» ftp.x.example",
            "mysql -u root -p«horse-onion-onion-river» shop < dump.sql",
        ),
        near_misses=(
            "mysql -u root -p shop",
            "mysql -u root -p$PW shop",
            "docker login -u alice --password-stdin",
            "redis-cli -a $AUTH ping",
        ),
    ),
    Rule(
        name="assignment",  # echo value | docker login --password-stdin, | sudo -S
        pattern=r"(?:echo|printf)[ \t]+(?:-n[ \t]+)?(?:\"(?P<secret_a>[^\"\n|]+)\""
        r"|'(?P<secret_b>[^'\n|]+)'"
        r"|(?P<secret_c>[^\s\"'|;&<>]+))[ \t]*\|[ \t]*(?:[^|\n;]{0,120}--password-stdin|sudo[ ]+-S"
        r"|sudo[ ]+[^|\n;]{0,40}-S[ ]|gh[ ]auth[ ]login|passwd|chpasswd|vault[ ]login|kinit)",
        gate=r"--password-stdin|\|[ \t]{0,4}(?:sudo|gh[ ]auth|chpasswd|passwd|vault[ ]login|kinit)",
        one_line=True,
        source="https://docs.docker.com/reference/cli/docker/login/#password-stdin",
        check=is_argument_password,
        examples=(
            "echo «{hex:24}» | docker login --username acme --password-stdin",
            "echo '«xaECFTXZQw30Sgbox1W»' | sudo -S apt update",
        ),
        near_misses=(
            "echo $TOKEN | docker login --password-stdin",
            "echo ${{ secrets.X }} | docker login -u a --password-stdin",
        ),
    ),
)
