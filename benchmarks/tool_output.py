"""A workload of what tools print while somebody works on a program: this repository itself.

Half of the bytes are files as Read shows them (with line numbers, and once more in the record of
the result), a quarter is what Bash printed (the history with its patches, logs of builds and tests
in build/), a quarter are the finds of Grep for words of code.
"""

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_KINDS = (".py", ".md", ".toml", ".sh", ".in", ".lock")
_WORDS = (
    "def ",
    "import",
    "return",
    "self.",
    "class ",
    "assert",
    "None",
    "path",
    "for ",
    "key",
    "token",
)
_SHOWN = 2000  # lines of a file that Read shows
_PRINTED = 400  # lines of a command's output
_FOUND = 250  # finds of a search
_COMMITS = 400


def block(size: int, seed: int) -> bytes:
    """About so many bytes of records."""
    chance = random.Random(seed)
    files = [path for path in _sources() if path.stat().st_size]
    printed = list(_printed())
    records, made = [], 0
    while made < size:
        kind = chance.random()
        if kind < 0.5:
            record = _read(chance.choice(files))
        elif kind < 0.75:
            record = _bash(chance, printed)
        else:
            record = _grep(chance, files)
        records.append(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        made += len(records[-1])
    return b"".join(records)


def _sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name.endswith(_KINDS)]


def _printed() -> Iterator[list[str]]:
    history = subprocess.run(
        ["git", "log", "-p", "-n", str(_COMMITS)], cwd=ROOT, capture_output=True, check=True
    ).stdout
    yield history.decode("utf-8", "replace").splitlines()
    for log in sorted((ROOT / "build").glob("**/*.log")):
        yield log.read_text("utf-8", "replace").splitlines()


def _read(path: Path) -> dict[str, object]:
    lines = path.read_text("utf-8", "replace").splitlines()[:_SHOWN]
    shown = "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, 1))
    file = {"filePath": str(path), "content": "\n".join(lines), "numLines": len(lines)}
    return _result(shown, {"type": "text", "file": file})


def _bash(chance: random.Random, printed: list[list[str]]) -> dict[str, object]:
    lines = chance.choice(printed)
    at = chance.randrange(max(1, len(lines) - _PRINTED))
    shown = "\n".join(lines[at : at + _PRINTED])
    return _result(shown, {"stdout": shown, "stderr": "", "interrupted": False})


def _grep(chance: random.Random, files: list[Path]) -> dict[str, object]:
    word, found = chance.choice(_WORDS), []
    for path in chance.sample(files, min(40, len(files))):
        lines = path.read_text("utf-8", "replace").splitlines()
        name = path.relative_to(ROOT)
        found += [f"{name}:{at}:{line}" for at, line in enumerate(lines, 1) if word in line][:20]
    shown = "\n".join(found[:_FOUND])
    return _result(shown, {"mode": "content", "content": shown, "numLines": len(found)})


def _result(shown: str, result: dict[str, object]) -> dict[str, object]:
    content = [{"tool_use_id": "toolu_01AbCdEfGh", "type": "tool_result", "content": shown}]
    return {
        "parentUuid": "11111111-2222-4333-8444-555555555555",
        "type": "user",
        "message": {"role": "user", "content": content},
        "uuid": "11111111-2222-4333-8444-666666666666",
        "timestamp": "2026-11-20T12:00:00.000Z",
        "toolUseResult": result,
    }
