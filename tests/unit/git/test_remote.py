"""Identities of remotes: one for all spellings of a repository, never one for two repositories."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.errors import BadInput
from karma_sync.git import ssh as ssh_module
from karma_sync.git.remote import expanded, git_identity, is_identity, other_spellings
from karma_sync.git.ssh import behind_alias
from tests.support.builders import PROJECT, examples

SPELLINGS = [
    "https://example.org/acme/repo",
    "https://example.org/acme/repo.git",
    "https://example.org/acme/repo/",
    "https://example.org/acme/repo.git/",
    "  https://example.org/acme/repo.git\n",
    "https://Example.ORG/Acme/Repo.GIT",
    "https://alice@example.org/acme/repo.git",
    "https://alice:hunter2@example.org/acme/repo.git",
    "https://example.org:443/acme/repo.git",
    "https://example.org//acme//repo.git",
    "https://example.org/acme/%72epo.git",
    "http://example.org/acme/repo",
    "http://example.org:80/acme/repo",
    "git://example.org/acme/repo.git",
    "git://example.org:9418/acme/repo.git",
    "ssh://git@example.org/acme/repo.git",
    "ssh://git@example.org:22/acme/repo.git",
    "ssh://example.org/acme/repo",
    "git+ssh://git@example.org/acme/repo.git",
    "ssh+git://git@example.org:22/acme/repo.git",
    "ssh://git@example.org:2222/acme/repo.git",
    "ssh://git@example.org:443/acme/repo",
    "git@example.org:acme/repo.git",
    "git@example.org:/acme/repo.git",
    "git@example.org:acme/repo/",
    "GIT@EXAMPLE.ORG:ACME/REPO.git",
    "example.org:acme/repo.git",
]

OTHERS = {
    "git@example.org:group/sub/repo.git": "example.org/group/sub/repo",
    "https://example.org/a/b/c/d/repo": "example.org/a/b/c/d/repo",
    "ssh://git@localhost:2222/acme/repo.git": "localhost:2222/acme/repo",
    "git@localhost:acme/repo.git": "localhost/acme/repo",
    "https://example.org:8443/acme/repo": "example.org:8443/acme/repo",
    "ssh://git@example.org/~alice/repo.git": "example.org/~alice/repo",
    "git@example.org:~alice/repo": "example.org/~alice/repo",
    "git@example.org:repo.git": "example.org/repo",
    "https://example.org/acme/repo.github.io": "example.org/acme/repo.github.io",
    "https://example.org/acme/My%20Project": "example.org/acme/my%20project",
    "git@example.org:acme/My Project.git": "example.org/acme/my%20project",
    "https://example.org/acme/Größe.git": "example.org/acme/gr%c3%b6%c3%9fe",
    "https://example.org/acme/gro\u0308\u00dfe": "example.org/acme/gr%c3%b6%c3%9fe",
    "https://example.org/acme/GR%C3%96%C3%9Fe": "example.org/acme/gr%c3%b6%c3%9fe",
    "https://user:p%40ss@10.0.0.1/acme/my.repo+x": "10.0.0.1/acme/my.repo+x",
}

LOOK_ALIKES = [
    "https://example.org/acme/team-repo",
    "https://example.org/acme-team/repo",
    "https://example.org/acme/team/repo",
    "https://example.org/acmeteam/repo",
    "https://example.org/acme/repo",
    "https://example.org/acme/repo2",
    "https://example.org/acme/repo-git",
    "https://example.com/acme/repo",
    "https://www.example.org/acme/repo",
    "https://example.org.evil.test/acme/repo",
    "https://example.org@evil.test/acme/repo",
    "https://evil.test/example.org/acme/repo",
    "https://example.org:8443/acme/repo",
    "https://example.org:22/acme/repo",
    "ssh://git@localhost:2222/acme/repo",
    "ssh://git@localhost:2223/acme/repo",
    "https://example.org/repo",
    "https://example.org/acme/re%20po",
    "https://example.org/acme/re%2520po",
    "git@example.org:acme.repo",
    "git@example.org:acme_repo",
]


@pytest.mark.parametrize("remote", SPELLINGS)
def test_every_spelling_of_a_remote_names_one_project(remote: str) -> None:
    assert git_identity(remote) == PROJECT


@pytest.mark.parametrize(("remote", "identity"), OTHERS.items())
def test_groups_ports_and_homes_stay_in_the_name(remote: str, identity: str) -> None:
    assert git_identity(remote) == identity


def test_similar_remotes_have_different_identities() -> None:
    met: dict[str, list[str]] = {}
    for remote in LOOK_ALIKES:
        met.setdefault(git_identity(remote), []).append(remote)

    assert [remotes for remotes in met.values() if len(remotes) > 1] == []


@pytest.mark.parametrize(
    "remote",
    [
        "",
        " ",
        "/srv/git/repo.git",
        "./repo",
        "../repo:x",
        "~/repo",
        "file:///srv/git/repo.git",
        "C:\\src\\repo",
        "https://",
        "https://example.org",
        "https://example.org/",
        "https://example.org/.git",
        "https:///acme/repo",
        "https://example.org/acme/../repo",
        "https://example.org/acme/%2e%2e/repo",
        "https://example.org/./repo",
        "https://example.org/acme/re%ffpo",
        "alice:t0ken@example.org/acme/repo",
        "https://alice:t0/ken@example.org/acme/repo",
        "https://t0/ken@example.org/acme/repo",
        "ssh://git@example.org:port/acme/repo",
        "https://example.org/acme/" + 30 * "größe",
        "https://example.org/acme/repo\x1b[2J",
        "https://example.org/acme\\repo",
        "https://example.org:port/acme/repo",
        "https://[::1/acme/repo",
        "ext::sh -c evil",
        "ftp://example.org/acme/repo",
        "git@example.org:",
    ],
)
def test_a_remote_without_a_host_and_a_path_is_refused(remote: str) -> None:
    with pytest.raises(BadInput, match="does not name a repository on a host") as refused:
        git_identity(remote)

    assert refused.value.hint.startswith("git remote set-url")


@pytest.mark.parametrize(
    "remote",
    [
        "https://alice:hunter2@example.org/",
        "https://alice:x/hunter2@example.org/acme/repo",
        "ftp://alice:hunter2@example.org/acme/repo",
        "alice:hunter2@example.org/acme/repo",
        "alice:hunter2@evil@example.org/acme/repo",
        "https://example.org/?private_token=hunter2",
        "https://hunter2@example.org",
    ],
)
def test_a_password_is_not_repeated_in_a_message(remote: str) -> None:
    with pytest.raises(BadInput) as refused:
        git_identity(remote)

    assert "hunter2" not in str(refused.value) + refused.value.hint
    assert "example.org" in str(refused.value)


segments = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}[a-z0-9_]", fullmatch=True).filter(
    lambda s: not s.endswith(".git")
)


@examples(150)
@given(st.lists(segments, min_size=1, max_size=4), st.lists(segments, min_size=1, max_size=4))
def test_different_paths_have_different_identities(a: list[str], b: list[str]) -> None:
    one, other = ("/".join(path) for path in (a, b))

    same = git_identity(f"git@example.org:{one}.git") == git_identity(
        f"https://example.org/{other}"
    )
    assert same is (a == b)


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("ssh://git@ssh.github.com:443/Acme/Web.git", "github.com/acme/web"),
        ("ssh://git@altssh.gitlab.com:443/a/b/c.git", "gitlab.com/a/b/c"),
        ("https://ssh.github.com/acme/web", "ssh.github.com/acme/web"),
        ("git@ssh.github.com:acme/web", "github.com/acme/web"),
    ],
)
def test_ssh_on_the_port_of_https_is_the_same_forge(remote: str, identity: str) -> None:
    assert git_identity(remote) == identity


@pytest.mark.parametrize("path", ["C:/src/repo", "c:\\src\\repo", "D:/x"])
def test_a_drive_letter_is_not_a_host(path: str) -> None:
    with pytest.raises(BadInput):
        git_identity(path)


AZURE = "dev.azure.com/org/my%20project/_git/repo"


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("https://org@dev.azure.com/org/My%20Project/_git/repo", AZURE),
        ("git@ssh.dev.azure.com:v3/org/My%20Project/repo", AZURE),
        ("https://org.visualstudio.com/My%20Project/_git/repo", AZURE),
        ("https://org.visualstudio.com/DefaultCollection/My%20Project/_git/repo", AZURE),
        ("org@vs-ssh.visualstudio.com:v3/org/My%20Project/repo", AZURE),
        ("https://dev.azure.com/org/_git/repo", "dev.azure.com/org/repo/_git/repo"),
        ("https://org.visualstudio.com/_git/repo", "dev.azure.com/org/repo/_git/repo"),
        ("git@ssh.dev.azure.com:v3/org/repo/repo", "dev.azure.com/org/repo/_git/repo"),
        ("https://example.org/org/_git/repo", "example.org/org/_git/repo"),
    ],
)
def test_a_repository_on_azure_has_one_name(remote: str, identity: str) -> None:
    assert git_identity(remote) == identity


SHORT = {
    "gh:": "git@github.com:",
    "gh:acme/": "https://example.org/acme/",
    "https://github.com/": "https://mirror.example/github/",
    "work://": "ssh://git@example.org:2222/",
}


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("gh:bob/web.git", "github.com/bob/web"),
        ("gh:acme/repo", PROJECT),  # the longest beginning counts
        ("work://acme/repo", PROJECT),
        ("https://github.com/acme/web", "github.com/acme/web"),  # others fetch it from there
        ("git@example.org:acme/repo", PROJECT),
        ("gitserver:acme/repo", "gitserver/acme/repo"),
    ],
)
def test_a_shorthand_has_the_identity_of_its_expansion(remote: str, identity: str) -> None:
    assert git_identity(expanded(remote, SHORT)) == identity


@examples()
@given(st.text(max_size=60) | st.from_regex(r"(https?|ssh)://[^\s]{1,40}", fullmatch=True))
def test_every_identity_has_the_form_that_peers_accept(remote: str) -> None:
    try:
        identity = git_identity(remote)
    except BadInput:
        return
    assert is_identity(identity)
    assert git_identity(f"https://{identity}") == identity


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("https://www.github.com/acme/web", "github.com/acme/web"),
        ("https://www.example.org/acme/web", "www.example.org/acme/web"),
        ("https://chromium.googlesource.com/a/acme/web", "chromium.googlesource.com/acme/web"),
        ("https://github.com/a/web", "github.com/a/web"),
    ],
)
def test_other_spellings_of_known_servers_are_one_identity(remote: str, identity: str) -> None:
    assert git_identity(remote) == identity


@pytest.mark.parametrize(
    ("remote", "others"),
    [
        ("https://git.example.org/scm/proj/web.git", ["git.example.org/proj/web"]),
        ("https://git.example.org:8443/scm/proj/web.git", ["git.example.org/proj/web"]),
        ("ssh://git@git.example.org:7999/proj/web.git", ["git.example.org/scm/proj/web"]),
        ("https://review.example.org/a/acme/web", ["review.example.org/acme/web"]),
        ("ssh://me@review.example.org:29418/acme/web", ["review.example.org/a/acme/web"]),
        ("https://www.example.org/acme/web", ["example.org/acme/web"]),
        ("https://github.com/acme/web", []),
        ("https://github.com/a/web", []),
        ("git@example.org:acme/web.git", []),
        ("/srv/web", []),
        ("", []),
    ],
)
def test_other_spellings_that_only_a_person_can_confirm_are_proposed(
    remote: str, others: list[str]
) -> None:
    assert other_spellings(remote) == others


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `ssh` that answers -G by a table, and writes down what it is asked."""
    asked = tmp_path / "asked"
    program = tmp_path / "ssh"
    program.write_text(
        f"""#!/bin/sh
echo "$*" >> {asked}
case "$3" in
    github-work) echo "host $3"; echo "hostname GitHub.com"; echo "port 22" ;;
    github.com-me) echo "hostname ssh.github.com" ;;
    box) echo "hostname 10.0.0.5" ;;
    broken) exit 255 ;;
    *) echo "hostname $3" ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ssh_module.forget()
    return asked


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("git@github-work:acme/web.git", "github.com/acme/web"),
        ("ssh://git@github-work/acme/web.git", "github.com/acme/web"),
        ("ssh://git@github-work:22/acme/web.git", "github.com/acme/web"),
        ("github.com-me:acme/web", "github.com/acme/web"),
        ("git@box:acme/web", "box/acme/web"),
        ("git@broken:acme/web", "broken/acme/web"),
        ("git@plain:acme/web", "plain/acme/web"),
    ],
)
def test_an_alias_of_ssh_stands_for_the_host_behind_it(
    ssh: Path, remote: str, identity: str
) -> None:
    assert git_identity(behind_alias(remote)) == identity
    assert behind_alias(remote) == behind_alias(remote)
    assert len(ssh.read_text().splitlines()) == 1  # once a minute


@pytest.mark.parametrize(
    "remote",
    [
        "git@example.org:acme/web.git",
        "https://github-work/acme/web",
        "-oProxyCommand=x:acme/web",
        "/srv/web",
        "file:///srv/web",
    ],
)
def test_of_other_remotes_ssh_is_not_asked(ssh: Path, remote: str) -> None:
    assert behind_alias(remote) == remote
    assert not ssh.exists()
