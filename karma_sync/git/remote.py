"""What a git remote names: `host/owner/repo`, whatever its spelling."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote, urlsplit

from karma_sync.domain import limits
from karma_sync.errors import BadInput

_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?(?P<host>\[[^\]]+\]|[^:/\s]+):(?P<path>(?!//|:).+)")
_SEGMENT = re.compile(r"[a-z0-9_~+.%-]+")
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_DEFAULT_PORTS = {"ssh": 22, "https": 443, "http": 80, "git": 9418}
# Two ports of this machine may be tunnels to two servers.
_HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Where a forge takes ssh on the port of https, for networks that let nothing else out.
_SSH_HOSTS = {
    "ssh.github.com": "github.com",  # docs.github.com, "Using SSH over the HTTPS port"
    "altssh.gitlab.com": "gitlab.com",  # docs.gitlab.com, "GitLab.com settings"
    "altssh.bitbucket.org": "bitbucket.org",  # support.atlassian.com, "port 443"
}
_AZURE, _OLD_AZURE = "dev.azure.com", ".visualstudio.com"


def git_identity(remote: str) -> str:
    """`host/owner/repo` of a git remote in any spelling, in lower case.

    Host and owner stay in it, so `org/team-repo` and `org-team/repo`, and the same path on two
    hosts, never meet. So does the port of a web server that is not its scheme's own: there is
    another server. The port of ssh does not: it leads to the same repositories. What is neither a
    letter of ASCII nor a digit, `_`, `~`, `+`, `.` or `-` is percent-encoded. Spellings:
    git-fetch(1), section "Git URLs".

    Raises:
        BadInput: a local path, or no remote at all.
    """
    text = remote.strip()
    try:
        identity = "/".join(_canonical(*_split(text)))
    except ValueError:
        identity = ""
    if not is_identity(identity):
        raise BadInput(
            f"{shown(text)!r} does not name a repository on a host",
            hint="git remote set-url origin https://HOST/OWNER/REPO",
        )
    return identity


def named(text: str) -> str:
    """The identity that a person means by `host/owner/repo`, or by a URL.

    Raises:
        BadInput: no host stands in it. One without a dot could be an owner as well.
    """
    host, _, path = text.strip().partition("/")
    whole = bool(path) and ":" not in host and "@" not in host and ("." in host or "/" in path)
    try:
        return git_identity(f"https://{text.strip()}" if whole else text)
    except BadInput:
        raise BadInput(
            f"{shown(text)!r} names no repository on a host",
            hint="such as github.com/acme/web",
        ) from None


def is_identity(text: str) -> bool:
    """Whether `text` has the form that `git_identity` gives: a host, then at least one name."""
    if len(text) > limits.IDENTITY_CHARS:
        return False
    host, *segments = text.split("/")
    names = all(_SEGMENT.fullmatch(s) and s not in {".", ".."} for s in segments)
    return _HOST.fullmatch(host) is not None and bool(segments) and names


def shown(remote: str) -> str:
    """A remote as it may be shown: not what stands before an `@`, or after a `?`."""
    if remote.startswith(("/", ".", "~")):
        return remote
    scheme, found, rest = remote.partition("://") if "://" in remote else ("", "", remote)
    _, user, place = rest.rpartition("@")
    return f"{scheme}{found}{'…@' if user else ''}{re.split('[?#]', place)[0]}"


def effective(remote: str, shorthands: Mapping[str, str]) -> str:
    """The remote as git takes it, `shorthands` being what it puts for a beginning of it.

    git-config(1), `url.<base>.insteadOf`: the longest one counts. Where the remote names a host
    by itself, that stays: others, without the same settings, have the repository from there.
    """
    beginning = max((s for s in shorthands if remote.startswith(s)), key=len, default=None)
    if beginning is None:
        return remote
    try:
        host = git_identity(remote).partition("/")[0]
    except BadInput:
        host = ""
    return remote if "." in host else shorthands[beginning] + remote[len(beginning) :]


def _split(text: str) -> tuple[str, str]:
    """Host and path of a remote.

    Raises:
        ValueError: it has none.
    """
    if "://" in text:
        parts = urlsplit(text)
        scheme, port = parts.scheme.replace("git+", "").replace("+git", ""), parts.port
        if scheme not in _DEFAULT_PORTS:
            raise ValueError(scheme)
        name = (parts.hostname or "").lower()
        host, path = f"[{name}]" if ":" in name else name, parts.path
        if scheme == "ssh" and host not in _HERE:
            host = _SSH_HOSTS.get(host, host)
        elif port not in {None, _DEFAULT_PORTS[scheme]}:
            host = f"{host}:{port}"
    else:
        scp = _SCP_LIKE.fullmatch(text)
        if not scp or _DRIVE.match(text):
            raise ValueError("a path")
        host, path = scp["host"].lower(), scp["path"]
        host = _SSH_HOSTS.get(host, host)
    if "@" in path:  # a password with a slash in it, or a URL without its scheme
        raise ValueError("a user in the path")
    return host, path


def _canonical(host: str, path: str) -> list[str]:
    text = unicodedata.normalize("NFC", unquote(path, errors="strict")).lower()
    if not text.isprintable() or "\\" in text:
        raise ValueError("no path")
    segments = [s for s in text.rstrip("/").removesuffix(".git").split("/") if s]
    host, *segments = _on_azure(host, segments)
    return [host, *(quote(s, safe="~+").lower() for s in segments)]


def _on_azure(host: str, segments: Sequence[str]) -> list[str]:
    """Azure's several names of a repository as one: `dev.azure.com/org/project/_git/repo`.

    learn.microsoft.com: "Clone an existing Git repo", "Use SSH key authentication".
    """
    path = list(segments)
    if host in {f"ssh.{_AZURE}", f"vs-ssh{_OLD_AZURE}"} and len(path) == 4 and path[0] == "v3":
        _, org, project, repo = path
        return [_AZURE, org, project, "_git", repo]
    if host.endswith(_OLD_AZURE):
        path = [
            host.removesuffix(_OLD_AZURE),
            *(path[1:] if path[:1] == ["defaultcollection"] else path),
        ]
        host = _AZURE
    if host == _AZURE and len(path) == 3 and path[1] == "_git":
        path.insert(1, path[2])  # a project's first repository has its name
    return [host, *path]
