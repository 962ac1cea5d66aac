"""Values that stand in a secret's place without being one: placeholders and references."""

import re

# Anywhere in a value, these say that the secret belongs there.
PLACEHOLDER = re.compile(
    rb"""(?i)
    (?-i:EXAMPLE)|\.\.\.|\xe2\x80\xa6|\*\*\*|\$\{|\$\(|\{\{|\}\}|\{[a-z0-9_.]*\}|%\(|\#\{|<%|\[redacted
    | your[_\-. ]?|change[_\-]?(?:me|this|it)|replace[_\-]?(?:me|this|with)|place[_\-]?holder
    | insert[_\-]|redacted
    | (?:^|[^a-z0-9])(?:secret[_\-]?key|api[_\-]?key|my[_\-]?(?:token|secret|key|password))[0-9]*
        (?:[^a-z0-9]|$)
    """,
    re.VERBOSE,
)
# These stand for something else: ${NAME}, $NAME, %NAME%, <name>, {name}, [name], *alias, !tag.
REFERENCE = re.compile(
    rb"""
    \$[A-Z_][A-Z0-9_]*\W*$ | \$[0-9@*\#?!]$ | \$[A-Za-z_]+\W*$ | \$\w+(?:->|::|\[|\.|:) | \$[({]
    | \$(?=[A-Za-z_])(?:[A-Za-z0-9_]*_|[a-z]*)
        (?i:pass|pw|secret|token|key|auth|user|db|my|env|var|arg)\w*$
    | %[A-Za-z_][A-Za-z0-9_]*% | %[sdvqw]\b | %[({]
    | <[A-Za-z][\w .:/|-]*>? $ | [{\[(] [\w .:\"',$-]* [}\])]? [;,]? $ | \*[A-Za-z_-]+$
    | \[- | \{\+ | [{\[]+ \s* \\* ["'] | !(?:vault|secret|sub|ref|getatt|env|include)\b | \#\{
    | ENC\[ | (?:vault|secret|op|ref|ssm|env|file|keyring|sops|awsm?|gcp|azure[a-z]*):[/.\w]
    | (?:os\.environ|process\.env|import\.meta|System\.getenv|ENV\[|env\(|getenv|secrets\.)
    """,
    re.VERBOSE,
)
