"""Makes the demo's repository, and sessions in it as Claude Code writes them."""

import json
import re
import secrets
import string
import subprocess  # noqa: S404 git, a list of arguments
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from karma_sync.demo.stage import DemoMember

IDENTITY = "github.com/example/demo"
_REMOTE = "git@github.com:example/demo.git"
_ALPHABET = string.ascii_letters + string.digits


def make_repository(member: DemoMember) -> Path:
    """A git repository with a remote, as after `git clone`."""
    repository = member.root / "demo"
    repository.mkdir()
    for arguments in (["init", "--quiet"], ["remote", "add", "origin", _REMOTE]):
        subprocess.run(  # noqa: S603 see above
            ["git", "-C", str(repository), *arguments],  # noqa: S607 the user's own git
            check=True,
            env=member.environment,
        )
    return repository


def project_directory(member: DemoMember, repository: Path) -> Path:
    """Claude Code's directory for the sessions that work in a repository.

    See docs/agent-files.md, "Project directories".
    """
    place = member.claude / "projects" / re.sub(r"[^a-zA-Z0-9]", "-", str(repository))
    place.mkdir(parents=True, exist_ok=True)
    return place


@dataclass
class Script:
    """A session that is being written: each step becomes a record, as the agent writes it."""

    cwd: Path
    begun: datetime
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    agent: str = ""
    records: list[bytes] = field(default_factory=list)
    _parent: str | None = None

    def user(self, text: str) -> "Script":
        """Add a text that the person typed."""
        return self._record("user", {"role": "user", "content": text})

    def says(self, text: str) -> "Script":
        """Add a text that the agent answered."""
        return self._answer({"type": "text", "text": text})

    def uses(self, tool: str, given: dict[str, str], result: str) -> "Script":
        """Add a tool that the agent used, and the tool's result."""
        tool_id = f"toolu_{secrets.token_hex(12)}"
        self._answer({"type": "tool_use", "id": tool_id, "name": tool, "input": given})
        content = [{"type": "tool_result", "tool_use_id": tool_id, "content": result}]
        return self._record("user", {"role": "user", "content": content}, toolUseResult=result)

    def write(self, path: Path) -> Path:
        """Write what there is to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(self.records))
        return path

    def _answer(self, part: dict[str, object]) -> "Script":
        usage = {"input_tokens": 900, "output_tokens": 120, "cache_read_input_tokens": 21000}
        message = {
            "id": f"msg_{secrets.token_hex(12)}",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [part],
            "usage": usage,
        }
        return self._record("assistant", message)

    def _record(self, kind: str, message: Mapping[str, object], **more: object) -> "Script":
        when = self.begun + timedelta(seconds=7 * len(self.records))
        own = str(uuid.uuid4())
        record: dict[str, object] = {
            "parentUuid": self._parent,
            "isSidechain": bool(self.agent),
            "userType": "external",
            "cwd": str(self.cwd),
            "sessionId": self.session,
            "version": "2.1.114",
            "gitBranch": "main",
            **({"agentId": self.agent} if self.agent else {}),
            "type": kind,
            "message": message,
            "uuid": own,
            "timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **more,
        }
        self.records.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._parent = own
        return self


def write_sessions(repository: Path, directory: Path) -> list[Path]:
    """Three sessions of the last days: a plain one, one with a secret, one with a subagent.

    Returns their transcripts, the oldest first.
    """
    now = datetime.now(UTC)
    plain = _flaky_test(repository, now - timedelta(days=2))
    secret = _upload(repository, now - timedelta(hours=5))
    written = [s.write(directory / f"{s.session}.jsonl") for s in (plain, secret)]
    return [*written, _review(repository, directory, now - timedelta(minutes=20))]


def later_lines(repository: Path, session: str, count: int) -> Iterator[bytes]:
    """Lines of about 1 kB that the agent goes on with, made as they are asked for."""
    for number in range(1, count + 1):
        script = Script(repository, datetime.now(UTC), session)
        words = " ".join(f"{n * number % 977:03d}" for n in range(100))
        yield script.says(f"Step {number} of {count} is done. Checked: {words}").records[0]


def live_session(repository: Path, directory: Path) -> Path:
    """A session that begins now."""
    script = Script(repository, datetime.now(UTC)).user("Now tidy the release notes")
    return script.write(directory / f"{script.session}.jsonl")


def _flaky_test(repository: Path, begun: datetime) -> Script:
    script = Script(repository, begun)
    script.user("test_login fails about one time in five, find out why")
    script.says("I run it thirty times to see how it fails.")
    failed = _numbered("tests/test_login.py::test_login", ["FAILED", "PASSED", "PASSED"], 30)
    script.uses("Bash", {"command": "pytest -q --count 30 tests/test_login.py"}, failed)
    source = "\n".join(f"{n:5}\tassert session.expires > now + {n}" for n in range(1, 200))
    script.uses("Read", {"file_path": str(repository / "tests/test_login.py")}, source)
    return script.says("It compares with the clock twice. One reading is enough.")


def _upload(repository: Path, begun: datetime) -> Script:
    """Holds a token and a password that nobody gave out: made up by chance each time."""
    token = "ghp_" + "".join(secrets.choice(_ALPHABET) for _ in range(36))
    password = "".join(secrets.choice(_ALPHABET) for _ in range(24))
    script = Script(repository, begun)
    script.user(f"The upload answers 401 although I send the token {token}")
    script.uses(
        "Bash",
        {"command": "cat .env"},
        f"DATABASE=postgres://app:{password}@db.example.com/app\nRETRIES=3",
    )
    return script.says("The header is called `Authorization`, not `Auth`; I changed it.")


def _review(repository: Path, directory: Path, begun: datetime) -> Path:
    script = Script(repository, begun)
    script.user("Review the retry logic before the release")
    script.says("A subagent reads the callers meanwhile.")
    helper = Script(repository, begun, script.session, agent="a1b2c3d")
    helper.user("Find every caller of `retry`")
    found = _numbered("src/http.py", ["retry(get)", "retry(put)", "retry(post, times=5)"], 60)
    helper.uses("Grep", {"pattern": "retry\\("}, found)
    beside = directory / script.session
    helper.write(beside / "subagents" / "agent-a1b2c3d.jsonl")
    script.says("Two callers retry what must not happen twice. Both are listed above.")
    return script.write(directory / f"{script.session}.jsonl")


def _numbered(place: str, words: Sequence[str], count: int) -> str:
    return "\n".join(f"{place}:{n}: {words[n % len(words)]}" for n in range(1, count + 1))
