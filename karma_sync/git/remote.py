"""Derives a project's identity `host/owner/repo` from a git remote, however it is spelled.

No other name identifies a project, so different spellings of one repository must give one
identity, and two repositories must never give the same one.
"""

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
# Two ports of this machine may be tunnels to two servers, so the ports stay in the identity.
_HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Hosts on which forges accept ssh on the port of https, for networks that block other ports.
_SSH_HOSTS = {
    "ssh.github.com": "github.com",  # docs.github.com, "Using SSH over the HTTPS port"
    "altssh.gitlab.com": "gitlab.com",  # docs.gitlab.com, "GitLab.com settings"
    "altssh.bitbucket.org": "bitbucket.org",  # support.atlassian.com, "port 443"
}
_FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
_GERRIT_AT_GOOGLE = ".googlesource.com"
# The ports on which these servers accept ssh unless they are configured otherwise.
_BITBUCKET_SSH, _GERRIT_SSH = 7999, 29418
_AZURE, _OLD_AZURE = "dev.azure.com", ".visualstudio.com"


def git_identity(remote: str) -> str:
    """The identity `host/owner/repo` of a git remote in any spelling, in lower case.

    Host and owner are part of it, so `org/team-repo` and `org-team/repo` differ, and so does the
    same path on two hosts. A port of a web server is part of it unless it is the scheme's default,
    because another server may listen there. A port of ssh is not: it leads to the same
    repositories. Characters other than ASCII letters, digits, `_`, `~`, `+`, `.` and `-` are
    percent-encoded. git-fetch(1), section "Git URLs", describes the spellings.

    Raises:
        BadInput: the text is a local path, or not a remote.
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


def other_spellings(remote: str) -> list[str]:
    """Identities that other remotes of the same repository may give, by the habits of servers.

    Nothing in a remote proves them, and on another server each may be another repository. So they
    are proposed to people, and never joined.
    """
    try:
        host, path = _split(remote.strip())
        name, *segments = _canonical(host, path)
    except ValueError:
        return []
    plain = re.sub(r":[0-9]+$", "", name)
    port = urlsplit(remote).port if "://" in remote else None
    found = []
    match segments:
        case ["scm", *rest] if len(rest) == 2:  # Bitbucket Server, over https
            found.append([plain, *rest])
        case ["a", *rest] if rest and name not in _FORGES:  # Gerrit, over https with a password
            found.append([plain, *rest])
        case [_, _] if port == _BITBUCKET_SSH:
            found.append([plain, "scm", *segments])
        case _ if port == _GERRIT_SSH:
            found.append([plain, "a", *segments])
    if plain.startswith("www."):
        found.append([plain.removeprefix("www."), *segments])
    return ["/".join(each) for each in found if is_identity("/".join(each))]


def typed_identity(text: str) -> str:
    """The identity that a person types, as `host/owner/repo` or as a URL.

    Raises:
        BadInput: the text contains no host. In `name/repo`, a name without a dot may be an owner.
    """
    host, _, path = text.strip().partition("/")
    has_host = bool(path) and ":" not in host and "@" not in host and ("." in host or "/" in path)
    try:
        return git_identity(f"https://{text.strip()}" if has_host else text)
    except BadInput:
        raise BadInput(
            f"{shown(text)!r} does not name a repository on a host",
            hint="for instance github.com/acme/web",
        ) from None


def is_identity(text: str) -> bool:
    """Whether `text` has the form that `git_identity` returns: a host, then at least one name."""
    if len(text) > limits.IDENTITY_CHARS:
        return False
    host, *segments = text.split("/")
    names = all(_SEGMENT.fullmatch(s) and s not in {".", ".."} for s in segments)
    return _HOST.fullmatch(host) is not None and bool(segments) and names


def shown(remote: str) -> str:
    """A remote without credentials: without the text before an `@` and after a `?` or `#`."""
    if remote.startswith(("/", ".", "~")):
        return remote
    scheme, found, rest = remote.partition("://") if "://" in remote else ("", "", remote)
    _, user, place = rest.rpartition("@")
    return f"{scheme}{found}{'…@' if user else ''}{re.split('[?#]', place)[0]}"


def expanded(remote: str, shorthands: Mapping[str, str]) -> str:
    """The remote after git replaced a shorthand at its beginning.

    `shorthands` maps beginnings to their replacements (git-config(1), `url.<base>.insteadOf`); the
    longest match counts. A remote that names a host stays as it is, because members without these
    settings have the repository under that host.
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
    """The host and the path of a remote.

    Raises:
        ValueError: the remote has no host, or no path.
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
            raise ValueError("a local path")
        host, path = scp["host"].lower(), scp["path"]
        host = _SSH_HOSTS.get(host, host)
    if "@" in path:  # a password that contains a slash, or a URL without a scheme
        raise ValueError("a user in the path")
    return host, path


def _canonical(host: str, path: str) -> list[str]:
    text = unicodedata.normalize("NFC", unquote(path, errors="strict")).lower()
    if not text.isprintable() or "\\" in text:
        raise ValueError("unusual characters in the path")
    segments = [s for s in text.rstrip("/").removesuffix(".git").split("/") if s]
    host, *segments = _on_azure(host, segments)
    if host.removeprefix("www.") in _FORGES:
        host = host.removeprefix("www.")
    if host.endswith(_GERRIT_AT_GOOGLE) and segments[:1] == ["a"]:
        segments = segments[1:]  # the same repository, read with a password
    return [host, *(quote(s, safe="~+").lower() for s in segments)]


def _on_azure(host: str, segments: Sequence[str]) -> list[str]:
    """One name for a repository on Azure, which has several: `dev.azure.com/org/project/_git/repo`.

    The names are described on learn.microsoft.com, in "Clone an existing Git repo" and "Use SSH
    key authentication".
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
        path.insert(1, path[2])  # a project's first repository has the project's name
    return [host, *path]
