"""The place of a path in the repository, whatever the machine that wrote it."""

import pytest

from karma_sync.domain.session.activity import absolute, root_of

WEB = "example.org/acme/web"


@pytest.mark.parametrize(
    ("path", "cwds", "root"),
    [
        ("/home/a/web/src/app.py", ["/home/a/web"], "/home/a/web"),
        # the directory that contains the others, not the one in which the agent was last
        ("/home/a/clone/src/app.py", ["/home/a/clone", "/home/a/clone/src"], "/home/a/clone"),
        # the repository's name, where the session never stood at its root
        ("/home/a/web/docs/x.md", ["/home/a/web/src"], "/home/a/web"),
        ("/home/a/Web/docs/x.md", ["/home/a/Web"], "/home/a/Web"),
        # a session that began in the home directory
        ("/home/a/clone/x.py", ["/home/a", "/home/a/clone"], "/home/a/clone"),
        ("/home/a/notes.md", ["/home/a"], "/home/a"),
        # work trees of agents
        (
            "/home/a/web/.claude/worktrees/t1/x.py",
            ["/home/a/web"],
            "/home/a/web/.claude/worktrees/t1",
        ),
        ("/home/a/web/.worktrees/t1/src/x.py", [], "/home/a/web/.worktrees/t1"),
        ("/home/a/.claude-worktrees/web/t1/x.py", [], "/home/a/.claude-worktrees/web/t1"),
        # outside, and of a name that only begins like the directory's
        ("/etc/hosts", ["/home/a/web"], ""),
        ("/home/a/web2/x.py", ["/home/a/web"], ""),
        ("C:/Users/a/web/x.py", ["C:\\Users\\a\\web"], "C:/Users/a/web"),
    ],
)
def test_the_root_is_found_by_where_the_session_worked(
    path: str, cwds: list[str], root: str
) -> None:
    assert root_of(path, cwds, WEB) == root


@pytest.mark.parametrize(
    ("given", "cwd", "path"),
    [
        ("src/app.py", "/home/a/web", "/home/a/web/src/app.py"),
        ("../other/x", "/home/a/web", "/home/a/other/x"),
        ("/home/a/./web//x", "/srv", "/home/a/web/x"),
        ("C:\\Users\\a\\x.py", "/home/a", "C:/Users/a/x.py"),
        ("x.py", "C:\\Users\\a", "C:/Users/a/x.py"),
        ("x.py", "", "x.py"),
    ],
)
def test_a_path_is_seen_from_where_the_agent_stood(given: str, cwd: str, path: str) -> None:
    assert absolute(given, cwd) == path
