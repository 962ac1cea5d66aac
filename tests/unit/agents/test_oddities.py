"""Oddities of real transcripts, which no parser expects, come through byte for byte.

docs/agent-files.md, "Oddities", lists them. Each transcript is packaged with all redaction rules,
imported as a peer imports it, read again and compared.
"""

import base64
import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from karma_sync.agents.claude.gathering import feed
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import Profile
from karma_sync.redact.redactor import default_redactor
from tests.support.builders import ALICE, BOB, Desk, Shelf, channel_of, record, said, team_of_all

# The profile that sends all records, also those that nobody knows.
CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE, profile=Profile.FULL)
# A picture stands in the message and again in the tool's result: one line of more than a megabyte.
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + random.Random(5).randbytes(450_000)).decode()  # noqa: S311 noise
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
TWICE = record(
    type="user",
    message={"content": [{"type": "tool_result", "tool_use_id": "t1", "content": [IMAGE]}]},
    toolUseResult=[IMAGE],
)
PLAIN = said("one") + said("two")

ODD = {
    "a type nobody knows": b'{"type" : "hologram",  "n": [1, 2.50, 1e400], "t": "\\ud83d"}\n',
    "two records spliced on one line": said("one")[:-1] + record(type="summary", summary="s"),
    "a record cut off by another": said("one")[:30] + said("two"),
    "a comment": b"// not JSON at all\n",
    "a run of NULs": said("one") + b"\0" * 700 + said("two"),
    "NULs to the end": said("one") + b"\0" * 200,
    "blank lines": b"\n\n" + said("one") + b"  \n",
    "carriage returns": said("one").replace(b"\n", b"\r\n") + b"\r\r\n",
    "a byte order mark": b"\xef\xbb\xbf" + said("one"),
    "bytes that are no UTF-8": b'{"type": "user", "message": {"content": "\xff\xfe"}}\n',
    "raw line separators in a string": '{"type": "user", "text": "a\u2028b\u0085c"}\n'.encode(),
    "no newline at the end": (said("one") + said("two"))[:-1],
    "an image stored twice": TWICE,
    "a line of six megabytes": said("x" * 6_000_000),
    "a number of five thousand digits": b'{"type": "user", "n": ' + b"7" * 5000 + b"}\n",
    "nested beyond reason": b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"\n",
    "summaries on top": record(type="summary", summary="an earlier one", leafUuid="x") + said("on"),
}


class Pair:
    """A sender and a receiver, without Syncthing between them."""

    def __init__(self, root: Path) -> None:
        self.desk = Desk(root, CHANNEL, default_redactor())
        self.shelf = Shelf(root / "bob")

    def exchanged(self, session_id: str = "s1") -> bytes:
        """Package the session as it is now, import it, and read it again."""
        self.desk.package(session_id)
        item = self.desk.item(session_id)
        self.shelf.importer.import_item(CHANNEL, self.desk.outbox.path, item)
        return self.shelf.read(session_id)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


@pytest.mark.parametrize("what", ODD)
def test_every_byte_of_an_odd_transcript_comes_through(pair: Pair, what: str) -> None:
    content = PLAIN + ODD[what]
    path = pair.desk.write(content)
    os.utime(path, (1, 1))  # long quiet: a last line without its end is all there will be

    assert pair.exchanged() == content


@pytest.mark.parametrize("what", ODD)
def test_it_also_comes_through_when_the_session_continues(pair: Pair, what: str) -> None:
    pair.desk.write(PLAIN + ODD[what])
    pair.exchanged()
    pair.desk.append(said("and on"))

    assert pair.exchanged() == PLAIN + ODD[what] + said("and on")


LONG = [said(f"{n} " + "x" * 900) for n in range(1500)]
PASTS = {
    "rewound": LONG[:400] + [said("another way from here")],
    "shortened": LONG[:10],
    "shortened to nothing": [],
    "rewritten in the middle": [*LONG[:700], said("changed"), *LONG[701:]],
    "a word in the middle, of the same length": [
        *LONG[:700],
        LONG[700].replace(b"x", b"y"),
        *LONG[701:],
    ],
    "a line inserted on top": [record(type="summary", summary="new"), *LONG],
    "rewritten with the same length": [*LONG[:-1], LONG[-1].replace(b"x", b"y")],
    "compacted to one line": [record(type="user", isCompactSummary=True)],
}


@pytest.mark.parametrize("what", PASTS)
def test_a_reader_gets_content_that_was_changed_later(pair: Pair, what: str) -> None:
    pair.desk.write(b"".join(LONG))
    assert pair.exchanged() == b"".join(LONG)

    pair.desk.write(b"".join(PASTS[what]))

    assert pair.exchanged() == b"".join(PASTS[what])


def test_one_session_lists_several_branches_versions_and_directories(pair: Pair) -> None:
    lines = [
        record(cwd="/src/repo", gitBranch=branch, version=version)
        for branch, version in (("main", "2.1.1"), ("feature", "2.1.9"), ("HEAD", "2.1.9"))
    ]
    pair.desk.write(b"".join(lines))
    pair.exchanged()

    assert pair.desk.manifest().session.branches == ("main", "feature", "HEAD")


def test_the_corpus_comes_through_byte_for_byte_where_nothing_was_cut(
    pair: Pair, corpus: Path
) -> None:
    cut = 0
    for number, path in enumerate(transcripts(corpus)):
        content, session_id = path.read_bytes(), f"c{number}"
        pair.desk.write(content, f"{session_id}.jsonl")
        os.utime(pair.desk.directory / f"{session_id}.jsonl", (1, 1))
        read = pair.exchanged(session_id)
        redactions = pair.desk.manifest(session_id).redactions
        cut += bool(redactions)

        assert read == content if not redactions else read.count(b"\n") == content.count(b"\n")
    assert cut < number / 10


def test_tokens_of_the_corpus_count_once_per_response(corpus: Path) -> None:
    fields = {"input": "input_tokens", "output": "output_tokens"}
    for path in transcripts(corpus):
        most: dict[tuple[str, str], int] = {}
        lines = path.read_bytes().splitlines()
        for number, line in enumerate(lines):
            message = _message(line)
            usage = message.get("usage")
            for name, field in fields.items():
                count = usage.get(field, 0) if isinstance(usage, dict) else 0
                key = message.get("id") or f"line {number}", name
                most[key] = max(most.get(key, 0), count)
        expected = {n: sum(c for (_, m), c in most.items() if m == n) for n in fields}
        facts = Facts()
        feed(facts, path.read_bytes())

        assert {n: facts.tokens.get(n, 0) for n in fields} == expected, path


def test_every_transcript_of_the_corpus_in_which_a_person_typed_something_has_a_title(
    corpus: Path,
) -> None:
    for path in transcripts(corpus):
        facts = Facts()
        feed(facts, path.read_bytes())
        users = [r for r in map(_parsed, path.read_bytes().splitlines()) if r.get("type") == "user"]
        typed = [
            t for r in users if not r.get("isMeta") and not r.get("isSidechain") for t in _typed(r)
        ]

        assert bool(facts.prompts) == any(not t.startswith("[Request inter") for t in typed), path
        assert facts.title or not typed, path


def transcripts(corpus: Path) -> list[Path]:
    return sorted((corpus / "claude").rglob("*.jsonl"))


def _parsed(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _message(line: bytes) -> dict[str, Any]:
    value = _parsed(line)
    message = value.get("message") if value.get("type") == "assistant" else None
    return message if isinstance(message, dict) else {}


def _typed(record: dict[str, Any]) -> list[str]:
    """The texts of a user's record that do not begin with a program's note."""
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    texts = [content] if isinstance(content, str) else [p.get("text") for p in content or []]
    return [t for t in texts if isinstance(t, str) and t and not re.match(r"\s*<[a-z]+[-_]", t)]
