"""Rules for secrets in tables, lists, definitions and dumps: their names stand apart from them."""

from karma_sync.redact.finders import columns, members
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import (
    is_assigned_secret,
    is_listed_secret,
    is_told_secret,
)
from karma_sync.redact.rules.assignment import (
    AFTER,
    BLANK,
    LINE_END,
    MORE,
    NAME,
    NAMED,
    WORD,
)

_SOURCE = "https://12factor.net/config"  # people's habit, not a format of any provider
_Q = r"""\\*["'`]"""  # a quote, also of text that is still escaped
_MARK = r"[`*]{0,3}"
_BAR = r"(?:\||│|┃|║|\\+u2502)"
_CELL = r"(?P<secret>[^\s|│┃║`*\"'\\](?:[^\s|│┃║`\"'\\]*[^\s|│┃║`*\"'\\])?)"
_COLUMN = r"(?i:passw(?:or)?d|passwd|secret|token|api[_ ]?key|private[_ ]?key)"

LISTED_RULES = (
    Rule(
        name="assignment",  # | NAME | value |, and the same between the lines of a box
        pattern=rf"{NAME}{_MARK}[ \t]*{_BAR}[ \t]*{_MARK}{_CELL}{_MARK}[ \t]*(?:{_BAR}|[\r\n]|\z)",
        gate_head=NAMED,
        gate=rf"{_MARK}{BLANK}{_BAR}{BLANK}{_MARK}[^\s|]{{6}}",
        one_line=True,
        source="https://github.github.com/gfm/#tables-extension-",
        check=is_told_secret,
        examples=(
            "| Name | Value |\n|---|---|\n| AZURE_STORAGE_KEY | «{base64:86}==» |\n",
            "│ ADMIN_PASSWORD │ «Marlin1984#» │",
            "| SMTP_PASSWORD | «mLQs2Q*eLZClDk» |\n",
            "| REDIS_PASSWORD | «horse-staple-horse-staple» |\n",
            "| SERVICE_API_KEY | **«{alnum:32}»** |",
        ),
        near_misses=(
            "| password | string | yes |",
            "| `token` | The access token |",
            "| API_KEY | your-api-key | Required |",
            "| secret_key | ${SECRET} |",
        ),
    ),
    Rule(
        name="assignment",  # a column of secrets, in CSV, in Markdown, in an INSERT
        pattern="",
        finder=columns.secrets,
        also=columns.MAY_HOLD,
        gate=rf"{_COLUMN}\\*[\"'`]?(?:,\\*[\"'`]?[a-z_]|\r|\n|\\+[nr]|[`*]{{0,3}}[ ]{{0,}}\|"
        rf"|[^()\n]{{0,}}\)(?:\s|\\+[nrt]){{1,4}}(?i:values))",
        reach=2000,
        source="https://datatracker.ietf.org/doc/html/rfc4180",
        examples=(
            "name,email,password\nbob,b@x.example,«Qwertz!234»\neve,e@x.example,«kermitTheFrog9»\n",
            "| user | api key |\n|---|---|\n| bob | «{alnum:32}» |\n",
            "INSERT INTO users (email,password) VALUES ('b@x.io','«Qwertz!234»');",
            "INSERT INTO t (name, password, created_at, updated_at, seen_at) VALUES\n"
            "('bob', '«Qwertz!234»', 1, 2, 3);",
            "user | password\n---|---\nbob | «kermitTheFrog9»\n",
            '{"exit": 0, "stdout": "user,password\nbob,«kermitTheFrog9»\n"}',
            '"user","password"\n"bob","«kermitTheFrog9»"\n',
            "INSERT INTO t (id, api_token) VALUES (1, '«{alnum:32}»'), (2, '«{alnum:32}»');",
        ),
        near_misses=(
            "name,password\nstring,required\n",
            "| name | token |\n|---|---|\n| a | the token |\n",
            "def login(user, password):\n    return session(user, password)\n",
        ),
    ),
    Rule(
        name="assignment",  # NAME,value
        pattern=rf"(?m)(?:^|[\"'\n:>│|])[\"']?{NAME}[\"']?[,;\t][\"']?(?P<secret>[^\s,;\"'\\]+)"
        rf"[\"']?(?:[,;\r\n]|\\+[nr]|\z|\")",
        gate_head=NAMED,
        gate=r"\\*[\"']?(?:[,;\t]|\\+t)\\*[\"']?[^\s,;\"'\\]{6}",
        one_line=True,
        source="https://datatracker.ietf.org/doc/html/rfc4180",
        check=is_told_secret,
        examples=(
            "name,value\nDISCORD_CLIENT_SECRET,«{alnum:32}»\n",
            "KEYSTORE_PASSWORD,«onion-cloud-battery-horse»\n",
            "db_password;«Marlin1984#»\n",
        ),
        near_misses=("user,password,token2\n", "key,cache_key,value2\n"),
    ),
    Rule(
        name="assignment",  # set NAME to value; `NAME` is `value`
        pattern=rf"(?:\A|[^A-Za-z0-9_])(?:(?i:set|setting|change|update|export|define|use|put)[ ]+"
        rf"(?:(?i:the|my|our)[ ]+)?[`\"'*]{{0,2}}{NAME}[`\"'*]{{0,2}}[ ]+(?:to|as|is)"
        rf"|[`*]{{1,2}}(?P<name2>[A-Z][A-Z0-9_]*)[`*]{{1,2}}[ ]+is)[ ]+[`\"'*]{{0,2}}"
        r"(?P<secret>[^\s\"'`\\]*[^\s\"'`\\.,;:!?])",
        gate_head=NAMED,
        gate=r"[`\"'*\\]{0,}[ ]{1,}(?:to|as|is)[ ]{1,}[`\"'*\\]{0,}[^\s]{6}",
        one_line=True,
        source=_SOURCE,
        check=is_told_secret,
        examples=(
            "set DJANGO_SECRET_KEY to «7-s^b)5rte_gqc%ngn9%z)nbcd4hne!qze%q@0fb1» in the env",
            "set SMTP_PASSWORD to «mLQs2Q*eLZClDk» in the env",
            "Change the password to «Kraken2026$», please",
            "set LICENSE_KEY to «5X68A-FJVJ3-AITUE-GSDVT-EBZ0Z».",
        ),
        near_misses=(
            "set the password to something",
            "set API_KEY to your-key-here",
            "use the token as argument",
        ),
    ),
    Rule(
        name="assignment",  # Your `NAME` is `value`
        pattern=rf"[`*]{{1,2}}{NAME}[`*]{{1,2}}[ ]+(?:is|=|to|:)[ ]*[`*]{{1,2}}(?P<secret>[^\s`]+)"
        r"[`*]{1,2}",
        gate_head=NAMED,
        gate=r"[`*]{1,2}[ ](?:is|=|to|:)[ ]?[`*]",
        one_line=True,
        source="https://spec.commonmark.org/current/#code-spans",
        check=is_told_secret,
        examples=("Your `ADMIN_PWD` is `«YU!25GyyRz%CxH»`.",),
        near_misses=("`token` is `string`",),
    ),
    Rule(
        name="assignment",  # variable "name" { default = "value" }, and an output's value
        pattern=rf"(?:variable[ \t]+\"{NAME}\"[ \t]*\{{[^{{}}]{{0,400}}?default[ \t]*=[ \t]*"
        rf"|\"(?P<name2>[A-Za-z0-9_.-]*{WORD}{AFTER})\"[ \t]*:[ \t]*\{{[^{{}}]{{0,300}}?\"value\""
        r"[ \t]*:[ \t]*)\"(?P<secret>[^\"\n]+)\"",
        gate=rf"variable[ \t]{{1,8}}\\*\"[A-Za-z0-9_-]{{0,}}{WORD}{MORE}\\*\""
        rf"|\"[A-Za-z0-9_.-]{{0,}}{WORD}{MORE}\\*\"[ \t]{{0,4}}:[ \t]{{0,4}}\{{",
        source="https://developer.hashicorp.com/terraform/language/values/variables",
        check=is_told_secret,
        examples=(
            'variable "cloudflare_api_token" {\n  default = "«{alnum:40}»"\n}\n',
            'variable "db_password" {\n  type = string\n  default = "«horse-staple-river»"\n}\n',
            '{"db_password": {"sensitive": true, "type": "string", "value": "«Marlin1984#x»"}}',
        ),
        near_misses=(
            'variable "api_token" {\n  default = ""\n}\nvariable "x" {\n  default = "{alnum:32}"',
        ),
    ),
    Rule(
        name="assignment",  # ~ password = "old" -> "new"; [-old-]{+new+} of git's word diff
        pattern=rf"{NAME}[ \t]*=[ \t]*(?:\"(?P<secret_a>[^\"\n\[]+)\"[ \t]*->"
        r"|\"[^\"\n]*\"[ \t]*->[ \t]*\"(?P<secret_d>[^\"\n]+)\""
        r"|\[-(?P<secret_b>[^\s\]]+?)-\]|(?:\[-[^\s]*-\])?\{\+(?P<secret_c>[^\s}]+?)\+\})",
        gate_head=NAMED,
        gate=rf"{BLANK}={BLANK}(?:\\*\"[^\"\n]{{0,}}\"[ \t]{{0,4}}->|\[-|\{{\+)",
        one_line=True,
        source="https://git-scm.com/docs/git-diff#Documentation/git-diff.txt---word-diffmode",
        check=is_assigned_secret,
        examples=(
            '      ~ password = "«QkYOqQAVW3ToA33w»" -> "«myv4mwaQwSs92m5Q»"',
            "DB_PASSWORD=[-«JJJc9iYo9VWu»-]{+«xUMHQxl02yTwZKod»+}",
        ),
        near_misses=('password = "" -> ""',),
    ),
    Rule(
        name="assignment",  # #define NAME "v", var name string = "v", env("NAME", "v")
        pattern=rf"(?:#[ \t]*define[ \t]+{NAME}[ \t]+\"(?P<secret_a>[^\"\n]+)\""
        rf"|(?P<name2>[A-Za-z0-9_.-]*{WORD}{AFTER})[ \t]+(?:string|\[\]byte|String|auto)[ \t]*="
        r"[ \t]*[\"`](?P<secret_b>[^\"`\n]+)[\"`]"
        rf"|\[\"(?P<name3>[A-Za-z0-9_.-]*{WORD}{AFTER})\"\]=>\s*string\([0-9]+\)[ \t]*"
        r"\"(?P<secret_c>[^\"\n]+)\""
        rf"|env\([\"'](?P<name4>[A-Za-z0-9_.-]*{WORD}{AFTER})[\"'],[ \t]*[\"']"
        r"(?P<secret_d>[^\"'\n]+)[\"'])",
        gate=rf"define(?:[ \t]|\\+t){{1,8}}[A-Za-z0-9_.-]{{0,}}{WORD}{MORE}(?:[ \t]|\\+t)"
        rf"|{WORD}{MORE}(?:[ \t]|\\+t){{1,4}}(?:string|\[\]byte|String|auto)(?:[ \t]|\\+t){{0,4}}="
        rf"|{WORD}{MORE}\\*\"\]=>|env\(\\*[\"'][A-Za-z0-9_.-]{{0,}}{WORD}{MORE}\\*[\"'],",
        source="https://go.dev/ref/spec#Variable_declarations",
        check=is_assigned_secret,
        examples=(
            '#define API_KEY "«{alnum:32}»"',
            'var apiKey string = "«{alnum:32}»"',
            'array(1) {\n  ["DB_PASSWORD"]=>\n  string(16) "«GoNwMHeoJBYjKavU»"\n}',
            "'password' => env('DB_PASSWORD', '«HWDFOTanUcMojOBl»'),",
            'os.getenv("DB_PASSWORD", "«fMawBm9WErrP1G5F»")',
        ),
        near_misses=(
            '#define API_KEY_NAME "x-api-key"',
            "os.getenv('API_TOKEN', 'default')",
        ),
    ),
    Rule(
        name="assignment",  # NAME ?= v, NAME := v, [NAME] => v
        pattern=rf"(?:{NAME}[ \t]*(?:\?=|:=|\+=|::=)[ \t]*(?P<secret_a>[^\s\"'`\\(){{}}]+)"
        rf"|\[(?P<name2>[A-Za-z0-9_.-]*{WORD}{AFTER})\][ \t]*=>[ \t]*(?P<secret_b>[^\s\"'`\\]+))",
        gate_head=NAMED,
        gate=r"(?:[ \t]|\\+t){0,}(?:\?=|:=|\+=|::=)|\](?:[ \t]|\\+t){0,4}=>",
        one_line=True,
        source="https://www.gnu.org/software/make/manual/html_node/Setting.html",
        check=is_told_secret,
        examples=(
            "API_KEY ?= «{alnum:32}»\nDB_PASSWORD := «Marlin1984#»\n",
            "Array\n(\n    [DB_PASSWORD] => «5ZTCBY7WuGpMSI73»\n    [A] => b\n)",
        ),
        near_misses=("token := os.Getenv(x)", "[password] => required", "API_KEY ?= $(KEY)"),
    ),
    Rule(
        name="assignment",  # <string name="api_key">v</string>, <key>API_KEY</key><string>v
        pattern=rf"<(?:string|item|entry|property)[ ]+(?:name|key)=\"{NAME}\"[^<>]{{0,60}}>"
        r"(?P<secret_a>[^<>\s]+)</"
        rf"|<key>(?P<name2>[A-Za-z0-9_.-]*{WORD}{AFTER})</key>[^<A-Za-z]{{0,60}}<string>"
        r"(?P<secret_b>[^<>\s]+)</",
        gate=rf"<(?:string|item|entry|property)[ ](?:name|key)=\\*\"[A-Za-z0-9_.-]{{0,}}{WORD}"
        rf"|<key>[A-Za-z0-9_.-]{{0,}}{WORD}",
        source="https://developer.android.com/guide/topics/resources/string-resource",
        check=is_told_secret,
        examples=(
            '<string name="api_key">«{alnum:32}»</string>',
            "<key>API_KEY</key>\n\t<string>«{alnum:32}»</string>",
        ),
        near_misses=(
            '<string name="password">Password</string>',
            "<key>passwordLabel</key>\n<string>Password</string>",
        ),
    ),
    Rule(
        name="assignment",  # {"value": v, "name": NAME}, - name: NAME, and what clouds print
        pattern="",
        finder=members.secrets,
        also=members.MAY_HOLD,
        gate=rf"(?i:name|key|variable|parameter)\\*[\"'`]?{BLANK}(?::|=>?){BLANK}\\*[\"'`]?"
        rf"[A-Za-z0-9_./:-]{{0,}}{WORD}",
        reach=1000,
        source="https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/",
        examples=(
            "env:\n- name: DB_PASSWORD\n  value: «hunter2!{alnum:4}»\n",
            "env:\n- name: DB_PASSWORD\n  value: '«h&nter2!{alnum:4}»'\n",
            "env:\n- name: DB_PASSWORD\n  value: «h&nter2!{alnum:4}»\n",
            "env:\n  - value: «{hex:40}» # x\n    type: plain\n    name: API_TOKEN\n",
            '<add key="ApiKey" value="«{alnum:32}»" />',
            '<add value="«h<nter2!{alnum:4}»" key="db.password" />',
            '    12→   "name": "API_TOKEN",\n    13→   "value": "«{hex:40}»"\n',
            "a/x.yaml:7:- name: API_TOKEN\na/x.yaml:8:  value: «{hex:40}»\n",
            '[{"value": "«Marlin1984#x»", "name": "DB_PASSWORD"}]',
            '{"value": "«{alnum:32}»", "scope": "all", "tags": ["a", "b"], "key": "API_KEY"}',
            '{\n  "key": "API_KEY",\n  "secret": true,\n  "value": "«{alnum:32}»"\n}',
            "{ value: '«{alnum:32}»', type: 'x', name: 'API_KEY' }",
            'value = "«{alnum:32}»"\n  name  = "api_key"\n',
            '{"Parameter": {"Name": "/prod/db/password", "Type": "SecureString", "Value":'
            ' "«ysHoeVrbBfJa0dF8»"}}',
        ),
        near_misses=(
            "- name: API_TOKEN\n  valueFrom:\n    secretKeyRef: x",
            "- name: API_TOKEN\n- value: {hex:40}\n  name: COMMIT\n",
            '<input name="password" value="" />',
            "name: API_TOKEN\nvalue: ${API_TOKEN}",
            '{"value": "required", "name": "password"}',
            '{"name": "API_TOKEN"}, {"name": "COMMIT", "value": "{hex:40}"}',
            '{"name": "API_TOKEN", "from": {"value": "{hex:40}"}}',
        ),
    ),
    Rule(
        name="assignment",  # of a cloud's store of secrets, whatever its name is
        pattern=r"vault\.azure\.net/secrets/[^\"]{0,120}\"[^{}]{0,200}?\"value\"[ \t]*:[ \t]*"
        r"\"(?P<secret_a>[^\"\n]+)\""
        r"|gcloud[ ]secrets[ ]versions[ ]access[^\n]*\n(?P<secret_b>\S+)",
        gate=r"vault\.azure\.net\\*/secrets\\*/|gcloud[ ]secrets[ ]versions[ ]access",
        source="https://learn.microsoft.com/en-us/cli/azure/keyvault/secret",
        examples=(
            '{"id": "https://v.vault.azure.net/secrets/db", "name": "db", "value": "«{alnum:16}»"}',
            "$ gcloud secrets versions access latest --secret=db-pass\n«{alnum:16}»\n",
        ),
        near_misses=("https://v.vault.azure.net/secrets/db",),
    ),
    Rule(
        name="assignment",  # a table with blanks between: vault kv get, kubectl, nmcli
        pattern=rf"(?m)(?:^|[\"\n│|>→\t]|[0-9]:)[ \t]*{NAME}:?(?:[ ]{{2,60}}|\t+[ \t]*)"
        rf"(?P<secret>[^\s\"'`\\]+){LINE_END}",
        gate_head=NAMED,
        gate=r":?(?:[ ]{2}|\t|\\+t)[ \t\\]{0,}[^\s\\]{6}",
        one_line=True,
        source="https://developer.hashicorp.com/vault/docs/commands/kv/get",
        check=is_told_secret,
        examples=(
            "====== Data ======\nKey         Value\n---         -----\npassword    «Marlin1984#»\n",
            "802-11-wireless-security.psk:            «gQ1AnQbFvBRzsWeO»",
            "api_token\t«{alnum:32}»\n",
        ),
        near_misses=("password    string\n", "  token     the token of the user\n"),
    ),
    Rule(
        name="assignment",  # the value in the next line
        pattern=rf"(?m)(?:^|[\"\n>→ \t])(?P<name>(?:[A-Za-z0-9_.-]*{WORD}{AFTER})){_MARK}[ \t]*:"
        rf"{_MARK}[ \t]*(?:\r?\n[ \t]*){{1,2}}[`\"']{{0,3}}(?P<secret>[^\s\"'`\\]+)"
        rf"[`\"']{{0,3}}{LINE_END}",
        gate_head=NAMED,
        gate=rf"{_MARK}[ \t]{{0,4}}:{_MARK}[ \t]{{0,4}}(?:\r|\n|\\+[nr])",
        source=_SOURCE,
        check=is_listed_secret,
        examples=(
            "Password:\n  «Marlin1984#»\n",
            "**API token**:\n\n`«{alnum:32}»`\n",
        ),
        near_misses=("password:\n  type: string2\n", "token:\n  name: t1\n", "Password:\nMarlin\n"),
    ),
)
