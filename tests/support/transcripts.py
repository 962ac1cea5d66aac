"""Made-up Claude Code sessions, shaped like real ones (docs/agent-files.md, "Records")."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

Record = dict[str, object]

# What real files hold and no reader may trip over: fields that nobody knows yet, blanks around a
# colon, text that is not ASCII.
ODD_LINES = '{"type" : "tag",  "future": [1, 2.50, null], "text": "süß 語 \\u00e9"}\n'


@dataclass(frozen=True)
class Session:
    """A session in an agent's directory; `path` is its transcript."""

    id: str
    path: Path
    cwd: Path

    @property
    def content(self) -> bytes:
        """The transcript as it is now."""
        return self.path.read_bytes()

    def beside(self, name: str, content: bytes) -> bytes:
        """Write a file into the session's own folder, such as subagents/agent-1.jsonl."""
        path = self.path.with_suffix("") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return content

    def legacy_subagent(self, name: str, content: bytes) -> bytes:
        """Write a subagent in the old layout: beside the transcript."""
        (self.path.parent / name).write_bytes(content)
        return content

    def append(self, *said: str, cwd: Path | None = None) -> bytes:
        """Write more prompts with their answers, in one go; the whole transcript."""
        more = lines(self.id, cwd or self.cwd, said, datetime.now(UTC))
        with self.path.open("ab") as out:
            out.write(more)
        return self.content


def write_session(
    claude: Path, cwd: Path, said: tuple[str, ...], when: datetime, odd: bool = True
) -> Session:
    """A new session below an agent's directory, whose last record is of `when`."""
    session_id = str(uuid.uuid4())
    path = claude / "projects" / encoded(cwd) / f"{session_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = lines(session_id, cwd, said, when)
    path.write_bytes(content + ODD_LINES.encode() if odd else content)
    return Session(session_id, path, cwd)


def lines(session_id: str, cwd: Path, said: tuple[str, ...], when: datetime) -> bytes:
    """Records of one exchange for each prompt, a second apart, the last of them of `when`."""
    start = when - timedelta(seconds=len(said) - 1)
    records = [
        record
        for number, text in enumerate(said)
        for record in _exchange(session_id, cwd, text, start + timedelta(seconds=number))
    ]
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def encoded(cwd: Path) -> str:
    """How Claude Code names a project's directory: all but letters and digits become a dash."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in str(cwd))


def _exchange(session_id: str, cwd: Path, text: str, when: datetime) -> Iterator[Record]:
    """A prompt, an answer that uses a tool, what the tool said."""
    common: Record = {
        "parentUuid": None,
        "isSidechain": False,
        "userType": "external",
        "cwd": str(cwd),
        "sessionId": session_id,
        "version": "2.1.217",
        "gitBranch": "main",
        "timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    prompt, answer, result = (str(uuid.uuid4()) for _ in range(3))
    tool = f"toolu_{uuid.uuid4().hex[:24]}"
    yield common | {
        "type": "user",
        "uuid": prompt,
        "message": {"role": "user", "content": text},
    }
    yield common | {
        "type": "assistant",
        "uuid": answer,
        "parentUuid": prompt,
        "requestId": f"req_{uuid.uuid4().hex[:24]}",
        "message": {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-8",
            "content": [
                {"type": "text", "text": f"I look into it: {text}"},
                {"type": "tool_use", "id": tool, "name": "Bash", "input": {"command": "ls -la"}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 12, "output_tokens": 34, "cache_read_input_tokens": 5600},
        },
    }
    output = "total 8\ndrwxr-xr-x 2 alice alice 4096 .\n"
    yield common | {
        "type": "user",
        "uuid": result,
        "parentUuid": answer,
        "message": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": tool, "content": output}],
        },
        "toolUseResult": {"stdout": output, "stderr": "", "interrupted": False},
    }
