"""Rules for Authorization headers: their value gives access, whatever its scheme is."""

import re

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import (
    UNSURE_SIZE,
    is_basic,
    is_bearer,
    is_credential,
    is_key,
)

# The sign between name and value, or the text between them in a list: "name": "…", "value": "…".
_LISTED = r"""(?:[\s,]{0,40}(?:[0-9]{1,6}(?:→|\t)[ \t]*)?["']value["'][ \t]{0,4})?(?::|=>?|,)"""
_LISTED_GATE = (
    r"""(?:(?:[\s,]|\\+[nrt]|[0-9]{1,6}(?:→|\\+u2192))*\\*["']value\\*["'][ \t]*)?(?::|=>?|,)"""
)
_HEADER = (
    r"""(?:\A|[^A-Za-z]|\[[0-9;]*m)authorization[ \t\\"'`\]]{0,12}"""
    rf"""{_LISTED}[ \t\\"'`]{{0,12}}(?:[bfru]{{1,2}}["'])?"""
)
_HEADER_GATE = (
    rf"""authorization(?:[ \t\\"'`\]]|\\t)*{_LISTED_GATE}"""
    r"""(?:[ \t\\"'`]|\\t)*(?:[bfru]{1,2}\\*["'])?"""
)
_SCHEME = "bearer|token|apikey|api-key|key|negotiate|ntlm|hawk"
_SPACE = r"(?:[ \t]+|%20|\+)"
_SPACE_GATE = r"(?:[ \t]|\\+t|%20|\+)+"
_SIGNED = "aws4-hmac-sha256|digest|oauth|signature"
_PARAMETER = r"[A-Za-z0-9_-]+=(?:\\*\"[^\"\r\n\\]*\\*\"|[^\s,\"'`\\]+)"
_CHARACTER = r"[A-Za-z0-9._~+/=:|%-]"


def _is_whole_value(_name: bytes, value: bytes) -> bool:
    """The value of a header without a known scheme: a signature, or only the token."""
    signed = re.match(rb"(?i)(?:%s)[ \t]" % _SIGNED.encode(), value)
    return signed is not None or is_key(value, UNSURE_SIZE)


HEADER_RULES = (
    Rule(
        name="header",
        pattern=rf"(?i){_HEADER}(?:{_SCHEME}){_SPACE}({_CHARACTER}{{6,}})",
        gate=rf"(?i){_HEADER_GATE}(?:{_SCHEME}){_SPACE_GATE}(?:{_CHARACTER}|\\){{6}}",
        source="https://datatracker.ietf.org/doc/html/rfc6750#section-2.1",
        check=is_credential,
        examples=(
            'curl -H "Authorization: Bearer «{url:40}7»" https://x',
            '"Authorization": "token «{hex:40}»"',
            "authorization: ApiKey «{alnum:30}»",
            "Authorization: Bearer «mF_9.B5f-4.1JqM»",
            'headers["Authorization"] = f"Token «{hex:40}»"',
            '{"name": "Authorization",\n "value": "token «{alnum:36}»"}',
        ),
        near_misses=(
            "Authorization: Bearer $TOKEN",
            'headers["Authorization"] = f"Bearer {token}"',
            "Authorization: Bearer <token>",
            "Authorization: Bearer YOUR_API_TOKEN",
            "Authorization: Bearer access_token",
        ),
    ),
    Rule(
        name="header",  # a scheme that a service made up
        pattern=rf"(?i){_HEADER}[a-z][a-z-]{{1,30}}{_SPACE}({_CHARACTER}{{16,}})",
        gate=rf"(?i){_HEADER_GATE}[a-z][a-z-]{{1,30}}{_SPACE_GATE}(?:{_CHARACTER}|\\){{16}}",
        source="https://datatracker.ietf.org/doc/html/rfc9110#name-authentication-scheme",
        check=is_bearer,
        examples=(
            "Authorization: Bot «{alnum:30}»",
            "'Authorization': 'GenieKey «{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}»'",
        ),
        near_misses=(
            "Authorization: see documentation/of/the-service-v2",
            "authorization: requires authentication-level-2",
        ),
    ),
    Rule(
        name="header",  # a whole list of parameters, quoted or not
        pattern=rf"(?i){_HEADER}((?:{_SIGNED}){_SPACE}{_PARAMETER}(?:,[ \t]*{_PARAMETER})*)",
        gate=rf"(?i){_HEADER_GATE}(?:{_SIGNED}){_SPACE_GATE}[a-z0-9_-]+=",
        source="https://datatracker.ietf.org/doc/html/rfc7616#section-3.4",
        examples=(
            'Authorization: «Digest username="u", realm="r@h", nc=00000001, response="{hex:32}"»\n',
            'authorization: «OAuth oauth_token="{alnum:21}", oauth_signature="{alnum:20}%3D"»',
        ),
        near_misses=("Authorization: Digest ...", 'WWW-Authenticate: Digest realm="r@h"'),
    ),
    Rule(
        name="header",
        pattern=rf"(?i)bearer{_SPACE}({_CHARACTER}{{8,}})",
        gate=rf"(?i)bearer{_SPACE_GATE}(?:{_CHARACTER}|\\){{8}}",
        source="https://datatracker.ietf.org/doc/html/rfc6750#section-2.1",
        check=is_bearer,
        examples=("sent Bearer «{alnum:24}» twice",),
        near_misses=("uses bearer authentication", "a bearer token-1"),
    ),
    Rule(
        name="header",
        pattern=rf"(?i){_HEADER}basic[ \t]+([A-Za-z0-9+/=_-]{{6,}})",
        gate=rf"(?i){_HEADER_GATE}basic(?:[ \t]|\\+t)+[A-Za-z0-9+/=_\\-]{{6}}",
        source="https://datatracker.ietf.org/doc/html/rfc7617#section-2",
        check=is_basic,
        examples=("Authorization: Basic «YWRtaW46aHVudGVyMg==»",),
        near_misses=("Authorization: Basic realm", "Authorization: Basic ..."),
    ),
    Rule(
        name="header",  # a signature over the request, or only the token
        pattern=rf"(?i){_HEADER}((?:{_SIGNED})[ \t][^\r\n\\\"'`]{{16,}}|{_CHARACTER}{{16,}})",
        gate=rf"(?i){_HEADER_GATE}(?:(?:{_SIGNED})[ \t\\]|(?:{_CHARACTER}|\\){{16}})",
        source="https://datatracker.ietf.org/doc/html/rfc9110#name-authorization",
        check=_is_whole_value,
        examples=(
            "Authorization: «AWS4-HMAC-SHA256 Credential=a/b, Signature={hex:64}»\n",
            '{"authorization":"«{alnum:40}»"}',
        ),
        near_misses=(
            "Authorization: required-for-every-request",
            '"authorization": "${{ secrets.TOKEN }}"',
            '"AWS::Config::AggregationAuthorization": "{hex:16}"',
        ),
    ),
)
