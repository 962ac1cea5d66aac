"""Rules for private keys in all their forms: PEM, PuTTY, also numbered, escaped or encoded."""

import base64
import re

from karma_sync.redact.matching.rule import ANYWHERE, Rule
from karma_sync.redact.matching.value_checks import is_made_of_words
from karma_sync.redact.rules.shared import EDGE

_BLANK = r"(?:[ +]|%20)"  # also as URLs write it
_KIND = rf"(?:[A-Z0-9]|{_BLANK}){{0,30}}PRIVATE{_BLANK}KEY(?:{_BLANK}BLOCK)?"
_BEGIN = rf"-{{4,5}} ?BEGIN{_BLANK}{_KIND} ?-{{4,5}}"
_FINISH = rf"-{{4,5}} ?END{_BLANK}{_KIND} ?-{{4,5}}"
# Between the header and the key itself: line ends in any form, a tool's line numbers (`   13→`),
# quotes and signs of code, and the headers of old OpenSSL and PGP files.
_GAP = r"(?:[^A-Za-z0-9]|\\+[nrt]|\x1b\[[0-9;]*[mK]|%0[AaDd]|[0-9]{1,6}[^A-Za-z0-9+/=])*"
_HEADERS = rf"(?:[A-Z][A-Za-z-]{{2,20}}: [^\r\n]{{0,200}}[\r\n]{_GAP})*"
# The rest of a key's line whose beginning was printed earlier, up to the next line.
_TORN = rf"(?:[A-Za-z0-9+/]{{8,15}}(?:\r?\n|(?:\\+r)?\\+n){_GAP})?"
_UNDASHED = r"(?:[^-]|-{1,3}[^-])*?"  # up to the next header or footer
_KEY_GATE = r"(?:BEGIN|END)[ +%][A-Z0-9 +%]{0,40}PRIVATE(?:[ +]|%20)KEY"
_LAST_RUN = re.compile(rb"[A-Za-z0-9+/=]{16,}\Z")
_RUN = re.compile(rb"[A-Za-z0-9+/]{16,}=*|[A-Za-z0-9+/]{8,}=+")
_LINE = 40  # characters of base64: identifiers in code are shorter
_SIGNS_OF_CODE = re.compile(rb"[()\[\]{}*?^$]|\.\.\.|-----BEGIN")
_ALIKE = 3  # different characters: XXXX stands for a key
_LITTLE = 8  # characters of base64: fewer are no key


def _is_key_block(_name: bytes, block: bytes) -> bool:
    """A key follows the header, not the name of a variable that holds one."""
    run = _LAST_RUN.search(block)
    return run is not None and (len(run[0]) >= _LINE or not is_made_of_words(run[0]))


def _is_rest_of_key(_name: bytes, block: bytes) -> bool:
    """Lines of a key stand before the footer, not the name of a variable that holds them."""
    if block.startswith(b"BEGIN+"):  # the whole key, in a URL
        return False
    runs = _RUN.findall(block)
    return any(len(run) >= _LINE or run.endswith(b"=") or not is_made_of_words(run) for run in runs)


def _is_short_key(_name: bytes, block: bytes) -> bool:
    """A short key between header and footer, as in a test: not an expression, not prose."""
    inner = block[block.index(b"KEY") : block.rindex(b"END")].strip(b"KEYBLOC -")
    if _SIGNS_OF_CODE.search(inner) or not re.search(rb"[\r\n]|\\[nr]", inner):
        return False
    key = re.sub(rb"[^A-Za-z0-9+/]", b"", re.sub(rb"\\+[nrt]|\s[0-9]+\xe2\x86\x92", b"", inner))
    return len(key) >= _LITTLE and not key.islower() and len(set(key)) > _ALIKE


def _holds_private_key(_name: bytes, encoded: bytes) -> bool:
    """base64 of a PEM header, as Kubernetes and CI variables keep a key."""
    head = re.sub(rb"[^A-Za-z0-9+/]", b"", encoded[:120])
    return b"PRIVATE KEY" in base64.b64decode(head[: len(head) // 4 * 4])


PRIVATE_KEY_RULES = (
    Rule(
        name="pem",
        pattern=rf"({_BEGIN}{_GAP}{_HEADERS}[A-Za-z0-9+/=]{{16,}})",
        until=_FINISH,
        gate=_KEY_GATE,
        reach=ANYWHERE,
        source="https://datatracker.ietf.org/doc/html/rfc7468#section-10",
        check=_is_key_block,
        examples=(
            "«-----BEGIN PRIVATE KEY-----\n{base64:64}\n-----END PRIVATE KEY-----»\nnext",
            "     1→«-----BEGIN OPENSSH PRIVATE KEY-----\n     2→{base64:70}\n     3→{base64:70}»",
            '{"private_key": "«-----BEGIN PRIVATE KEY-----\\n{base64:64}\\n'
            '-----END PRIVATE KEY-----»\\n"}',
            "«-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
            "DEK-Info: AES-128-CBC,{HEX:32}\n\n{base64:64}\n-----END RSA PRIVATE KEY-----»",
            "«-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{base64:64}\n"
            "-----END PGP PRIVATE KEY BLOCK-----»",
            "\x1b[32m+«-----BEGIN EC PRIVATE KEY-----\x1b[m\n\x1b[32m+{base64:64}\x1b[m\n"
            "\x1b[32m+-----END EC PRIVATE KEY-----»\x1b[m",
            "key=«-----BEGIN+PRIVATE+KEY-----%0A{alnum:64}%0A-----END+PRIVATE+KEY-----»&x=1",
            "«---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{base64:70}\n"
            "---- END SSH2 ENCRYPTED PRIVATE KEY ----»",
        ),
        near_misses=(
            'if "-----BEGIN PRIVATE KEY-----" in text: raise ValueError("a private key")',
            'pem = "-----BEGIN PRIVATE KEY-----\\n" + encodedPrivateKeyMaterial + "\\n-----END"',
            "-----BEGIN PUBLIC KEY-----\n{base64:64}\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\n{base64:64}\n-----END CERTIFICATE-----",
        ),
    ),
    Rule(
        name="pem",
        pattern=rf"({_BEGIN}{_UNDASHED}{_FINISH})",
        gate=_KEY_GATE,
        reach=ANYWHERE,
        source="https://datatracker.ietf.org/doc/html/rfc7468#section-10",
        check=_is_short_key,
        examples=("«-----BEGIN EC PRIVATE KEY-----\n{base64:16}\n-----END EC PRIVATE KEY-----»",),
        near_misses=(
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "/-----BEGIN PRIVATE KEY-----[\\s\\S]+?-----END PRIVATE KEY-----/g",
            "-----BEGIN OPENSSH PRIVATE KEY----------END OPENSSH PRIVATE KEY-----",
        ),
    ),
    Rule(
        name="pem",
        pattern=EDGE + r"(LS0tLS1CRUdJTi[A-Za-z0-9+/]{40,}(?:\r?\n[ \t]*[A-Za-z0-9+/]{40,})*"
        r"(?:\r?\n[ \t]*[A-Za-z0-9+/]{1,75}={1,2}|={0,2}))",
        gate=r"LS0tLS1CRUdJTi",
        reach=ANYWHERE,
        source="https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/",
        check=_holds_private_key,
        examples=("client-key-data: «LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ{base64:60}»",),
        near_misses=("client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tC{base64:60}",),
    ),
    Rule(
        name="pem",  # the second half of a key whose first half was printed earlier
        pattern=r"(?:\A|\\+[nrt]|[^A-Za-z0-9+/\\])"
        rf"((?:{_TORN}(?:[A-Za-z0-9+/]{{16,}}={{0,2}}{_GAP})+(?:[A-Za-z0-9+/]{{1,76}}={{0,2}}{_GAP})?"
        rf"|[A-Za-z0-9+/]{{8,}}={{1,2}}{_GAP}){_FINISH})",
        gate=_KEY_GATE,
        reach=ANYWHERE,
        source="https://datatracker.ietf.org/doc/html/rfc7468#section-10",
        check=_is_rest_of_key,
        examples=(
            "«{base64:64}\n{base64:64}\n{base64:20}==\n-----END PRIVATE KEY-----»\n",
            "    13→«{base64:30}\n    14→{base64:70}\n    15→-----END OPENSSH PRIVATE KEY-----»",
            "«{base64:20}==\n-----END PRIVATE KEY-----»\n",
            " 7→«{base64:14}\n 8→{base64:64}\n 9→{base64:8}==\n 10→-----END PRIVATE KEY-----»\n",
        ),
        near_misses=(
            "x\n-----END PRIVATE KEY-----",
            "{base64:64}\n-----END CERTIFICATE-----",
            'return encodedPrivateKeyMaterial + "\\n-----END PRIVATE KEY-----"',
        ),
    ),
    Rule(
        name="pem",  # a key in PuTTY's form
        pattern=r"Private-Lines: [0-9]+(?:[^A-Za-z0-9]|[0-9]{1,6}(?:→|\t)|\\+[nr])*"
        r"([A-Za-z0-9+/]{16,})",
        until=r"Private-(?:MAC|Hash)",
        gate=r"Private-Lines:",
        reach=ANYWHERE,
        source="https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html",
        examples=("Private-Lines: 2\n«{base64:64}\n{base64:43}=\nPrivate-MAC»: {hex:40}",),
        near_misses=("Private-Lines: 14\nPrivate-MAC: 0a1b",),
    ),
)
