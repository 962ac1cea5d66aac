"""Finds the host behind a name that only this person's ssh configuration knows.

`git@github-work:acme/web.git` names the section `Host github-work` of ssh_config(5). Other members
have the repository under its real host, so that is asked of `ssh -G`.
"""

import re
import subprocess  # noqa: S404 it runs ssh only, with a list of arguments, never a shell
import time
from functools import lru_cache

_TIMEOUT_S = 5
_FRESH_S = 60
# user@, then the host; the first form is a URL, the second that of scp
_HOST = r"(?P<host>[^@:/\[\]]+)"
_URL = re.compile(rf"(?P<before>(?:git\+)?ssh(?:\+git)?://(?:[^@/]+@)?){_HOST}(?P<after>[:/].*)")
_SCP = re.compile(rf"(?P<before>(?:[^@/:]+@)?){_HOST}(?P<after>:(?!//|:).+)")
# A section for a second account is often called after the forge: github.com-work.
_FORGE = re.compile(
    r"(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)[-_.].+", re.IGNORECASE
)
_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*", re.IGNORECASE)


def behind_alias(remote: str) -> str:
    """The remote with the host that ssh would dial, where the written one is only an alias.

    A name with dots stays, unless it is a forge's with something after it: members without this
    configuration have the repository under that name. So does a name behind which ssh knows
    nothing but itself or an address.
    """
    match = _URL.fullmatch(remote) or (None if "://" in remote else _SCP.fullmatch(remote))
    if match is None:
        return remote
    host = match["host"]
    if host.startswith("-") or ("." in host and not _FORGE.fullmatch(host)):
        return remote
    real = _host_name(host, int(time.monotonic() // _FRESH_S))
    is_real = _NAME.fullmatch(real) and real.lower() != host.lower()
    return f"{match['before']}{real}{match['after']}" if is_real else remote


def forget() -> None:
    """Ask again for every host: the configuration changed."""
    _host_name.cache_clear()


@lru_cache(maxsize=64)
def _host_name(host: str, _minute: int) -> str:
    """The name that ssh dials for a host; "" if ssh cannot tell. Asked once a minute."""
    try:
        done = subprocess.run(  # noqa: S603 see above
            ["ssh", "-G", "--", host],  # noqa: S607 the person's own ssh
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    return next((line.split(" ", 1)[1] for line in lines if line.startswith("hostname ")), "")
