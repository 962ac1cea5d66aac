"""Runs the agent for a member, and says which conversation it posted."""

import json
import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.agent.inside import REMINDER

Json = dict[str, Any]
Said = tuple[str, list[Json]]
"""(role, parts) of a message, without what differs between two machines."""

INSIDE = Path(__file__).with_name("inside.py")
WAIT_S = 90.0
# An agent that starts on a terminal asks about these first.
ANSWERED = {"hasCompletedOnboarding": True, "theme": "dark", "bypassPermissionsModeAccepted": True}


@dataclass(frozen=True)
class Ran:
    """The result of a run of the agent: how it ended, and the requests that it posted."""

    code: int | None
    out: str
    err: str
    requests: list[Json]

    @property
    def posted(self) -> list[Said]:
        """The conversation in the first request of the main loop."""
        return conversation(self.requests[0]["messages"])


@dataclass
class Agent:
    """The agent of one person: `home` is its own directory, `program` the file that runs."""

    program: Path
    home: Path
    rules: list[Json] = field(default_factory=list)

    def run(self, cwd: Path, *args: str, until: tuple[str, ...] = (), **env: str) -> Ran:
        """Run it in a directory; with `until` on a terminal, until it shows one of these texts."""
        scratch = self.home.parent / "agent-runs"
        scratch.mkdir(exist_ok=True)
        spec = scratch / f"{uuid.uuid4().hex}.json"
        log = spec.with_suffix(".posted")
        log.touch()
        what = {
            "command": [str(self.program), *args],
            "cwd": str(cwd),
            "environ": self._environ(**env),
            "rules": self.rules,
            "log": str(log),
            "timeout_s": WAIT_S,
            "until": list(until),
        }
        spec.write_text(json.dumps(what))
        done = subprocess.run(
            [*namespace(), sys.executable, "-I", str(INSIDE), str(spec)],
            capture_output=True,
            text=True,
            timeout=WAIT_S + 30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(spec.with_suffix(".result").read_text())
        posted = [json.loads(line) for line in log.read_text().splitlines()]
        return Ran(result["code"], result["out"], result["err"], posted)

    def say(self, cwd: Path, prompt: str, *args: str) -> Ran:
        """Have it answer one prompt without a terminal."""
        ran = self.run(
            cwd,
            *args,
            "--allowedTools",
            "Bash,Read,Edit,Write,Grep,Glob,Task,Agent,TaskCreate,TaskUpdate,TodoWrite",
            "--output-format",
            "json",
            "-p",
            prompt,
        )
        assert ran.code == 0, (ran.out[-2000:], ran.err[-2000:])
        return ran

    def know(self, *directories: Path) -> None:
        """Have it start on a terminal in these directories without a question."""
        place = self.home / ".claude.json"
        known = json.loads(place.read_text()) if place.exists() else {}
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        projects = known.get("projects", {}) | {str(each): trusted for each in directories}
        keys = {"approved": ["dummy"], "rejected": []}
        known |= {**ANSWERED, "projects": projects, "customApiKeyResponses": keys}
        place.write_text(json.dumps(known))

    def _environ(self, **env: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home.parent),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "CLAUDE_CONFIG_DIR": str(self.home),
            "ANTHROPIC_API_KEY": "dummy",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **env,
        }


def namespace() -> list[str]:
    """The command that runs another one in a network of its own."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *as_root, "--net", "--"]


def has_namespaces() -> bool:
    """Whether this machine lets us make a network namespace."""
    try:
        done = subprocess.run([*namespace(), "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def conversation(messages: list[Json]) -> list[Said]:
    """The messages without what the agent adds by itself, those of one role joined."""
    found: list[Said] = []
    for message in messages:
        if message["role"] not in ("user", "assistant"):
            continue
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        kept = [plain for part in parts if (plain := _plain(part))]
        if not kept:
            continue
        if found and found[-1][0] == message["role"]:
            found[-1][1].extend(kept)
        else:
            found.append((message["role"], kept))
    return found


def _plain(part: Json) -> Json | None:
    """A part of a message without marks of the cache; None for what the agent adds."""
    if part["type"] in ("thinking", "redacted_thinking"):
        return None
    if part["type"] == "text":
        text = _REMINDER.sub("", part["text"]).strip()
        return {"type": "text", "text": text} if text else None
    kept = {key: value for key, value in part.items() if key not in ("cache_control", "caller")}
    if part["type"] == "tool_result":
        kept["content"] = _result(part.get("content"))
    return kept


def _result(content: object) -> object:
    if isinstance(content, list):
        parts = [each for part in content if (each := _plain(part))]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        return texts[0] if len(parts) == len(texts) == 1 else parts
    return _REMINDER.sub("", content).strip() if isinstance(content, str) else content


_REMINDER = re.compile(rf"{REMINDER}.*?</system-reminder>", re.DOTALL)
