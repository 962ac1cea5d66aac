"""Rules for the tokens of forges and package registries."""

import re

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_key, is_real
from karma_sync.redact.rules.shared import EDGE

_DRAWN = re.compile(rb"[A-Z0-9]")  # a random token has a capital letter or a digit


def _is_gitlab(_name: bytes, token: bytes) -> bool:
    """No placeholder such as `glpat-your-token-goes-here`, no option such as `--glft-…`."""
    return is_real(b"", token) and _DRAWN.search(token) is not None


def _is_npm(_name: bytes, token: bytes) -> bool:
    return is_key(token)


FORGE_RULES = (
    Rule(
        name="github",
        pattern=r"(gh[pour]_[A-Za-z0-9_]{36,}|gh[su]_[A-Za-z0-9_.-]{35,}[A-Za-z0-9_])",
        one_line=True,
        gate=r"gh[pousr]_[A-Za-z0-9_.-]{36}",
        source="https://github.blog/changelog/2026-05-15-github-app-installation-tokens-per-request-override-header/",
        check=is_real,
        examples=(
            "GITHUB_TOKEN=«ghp_{alnum:36}»",
            "https://x-access-token:«ghs_{alnum:36}»@github.com/o/r",
            "«ghs_{digits:6}_{url:36}.{url:300}.{url:86}A».",
            "«gho_{alnum:36}» «ghu_{alnum:36}» «ghr_{alnum:76}»",
        ),
        near_misses=("ghp_short", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ),
    Rule(
        name="github",
        pattern=r"(github_pat_[A-Za-z0-9_]{40,})",
        one_line=True,
        keywords=("github_pat_",),
        source="https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats",
        check=is_real,
        examples=("«github_pat_{alnum:22}_{alnum:59}»",),
        near_misses=("github_pat_your_token",),
    ),
    Rule(
        name="gitlab",
        pattern=r"(gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct|ccl)-"
        r"[A-Za-z0-9_=.-]{19,}[A-Za-z0-9_=-]|GR1348941[A-Za-z0-9_-]{20,}|_gitlab_session=[0-9a-f]{32})",
        one_line=True,
        gate=r"gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct|ccl)-[A-Za-z0-9_=.-]{20}|GR1348941|_gitlab_session=",
        source="https://docs.gitlab.com/security/tokens/#token-prefixes",
        check=_is_gitlab,
        examples=(
            "GITLAB_TOKEN=«glpat-{url:19}7»",
            "«glpat-{url:40}7.01.{lower:9}».",
            "«glrt-{url:19}7» «gldt-{url:19}7» «glcbt-64_{url:20}» «glptt-{hex:40}»",
            "runner «GR1348941{url:20}» «glffct-{letters:18}-Q»",
        ),
        near_misses=("glpat-your-token-here-please", "--glft-something-with-many-words"),
    ),
    Rule(
        name="bitbucket",
        pattern=EDGE + r"(ATBB[A-Za-z0-9]{24,}|AT[CA]TT3xFf[A-Za-z0-9_=-]{60,})",
        one_line=True,
        gate=r"ATBB[A-Za-z0-9]{24}|AT[CA]TT3xFf",
        source="https://support.atlassian.com/bitbucket-cloud/docs/using-access-tokens/",
        check=is_real,
        examples=(
            "git clone https://u:«ATBB{alnum:24}{HEX:8}»@bitbucket.org/o/r",
            "«ATCTT3xFfGN0{url:160}={HEX:8}»",
            "«ATATT3xFfGF0{url:160}={HEX:8}»",
        ),
        near_misses=("ATBB", "FORMATBB{alnum:32}"),
    ),
    Rule(
        name="bitbucket",  # a Data Center's: base64 of a number, a colon and 20 bytes
        pattern=EDGE + r"(BBDC-[MNO][A-Za-z0-9+/@]{39,49})(?:\z|[^A-Za-z0-9+/@_-])",
        one_line=True,
        gate=r"BBDC-[MNO]",
        source="https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html",
        check=is_real,
        examples=("git -c http.extraHeader='Bearer «BBDC-NDc{base64:41}»' clone x",),
        near_misses=("BBDC-NDcx", "ABBDC-MDc{base64:41}"),
    ),
    Rule(
        name="npm",
        pattern=EDGE + r"(npm_[A-Za-z0-9]{36,})",
        one_line=True,
        gate=r"npm_[A-Za-z0-9]{36}",
        source="https://github.blog/2021-09-23-announcing-npms-new-access-token-format/",
        check=is_real,
        examples=("NPM_TOKEN=«npm_{alnum:36}»",),
        near_misses=("npm_config_registry", "npm_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ),
    Rule(
        name="npm",
        pattern=r"_(?:auth|authToken|password)[\"']?[ \t]*[:=][ \t]*[\"']?([A-Za-z0-9+/=_-]{8,})",
        one_line=True,
        gate=r"_(?:auth|authToken|password)(?:[ \t\\\"']|\\t)*[:=]",
        source="https://docs.npmjs.com/cli/v11/configuring-npm/npmrc#auth-related-configuration",
        check=_is_npm,
        examples=(
            "//registry.example/:_authToken=«{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}»",
            "//r.example/:_auth=«{base64:30}==»",
        ),
        near_misses=("//registry.example/:_authToken=${NPM_TOKEN}", "_auth=basic"),
    ),
    Rule(
        name="pypi",
        pattern=r"(pypi-AgE[A-Za-z0-9_-]{50,})",
        one_line=True,
        keywords=("pypi-AgE",),
        source="https://github.com/pypi/warehouse",
        check=is_real,
        examples=(
            "password = «pypi-AgEIcHlwaS5vcmc{url:140}»",
            "«pypi-AgENdGVzdC5weXBpLm9yZw{url:140}»",
        ),
        near_misses=("pypi-AgEIcHlwaS5vcmc",),
    ),
)
