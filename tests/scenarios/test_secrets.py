"""Secrets are cut out before anything leaves: none is on any disk but their owner's."""

import json
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from karma_sync.redact.examples import fill
from tests.support.disks import places_of
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

AWS_ID = fill("AKIA{base32:16}", "scenario")
AWS_KEY = fill("{base64:40}", "scenario")
GITHUB = fill("ghp_{alnum:36}", "scenario")
ANTHROPIC = fill("sk-ant-api03-{url:93}AA", "scenario")
PASSWORD = fill("Tr0ub{alnum:12}", "scenario")
URL = f"postgres://app:{PASSWORD}@db.example.org:5432/prod"


def _private_key() -> str:
    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@dataclass(frozen=True)
class Sent:
    """A session of A's that is full of secrets, readable at B; `needles` are what must not be."""

    a: Member
    b: Member
    session: Session
    needles: list[bytes]


@pytest.fixture(scope="module")
def sent(town: Town) -> Sent:
    pem, pem_in_file = _private_key(), _private_key()
    a, b = town.members("alice", "bob")
    session = a.write_session(f"use the token {GITHUB} from my notes", odd=False)
    session.append(
        f"export AWS_ACCESS_KEY_ID={AWS_ID}\nexport AWS_SECRET_ACCESS_KEY={AWS_KEY}\n",
        json.dumps({"output": json.dumps({"key": ANTHROPIC, "pem": pem})}),
        f"the key is:\n{pem}\nthanks",
        f"psql {URL} -c 'select 1'",
        "nothing to see here",
    )
    session.beside("tool-results/toolu_1.txt", f"# deploy key\n{pem_in_file}# end\n".encode())
    session.beside(
        "subagents/agent-1.jsonl",
        json.dumps(
            {"type": "user", "sessionId": session.id, "cwd": str(a.repo), "say": GITHUB}
        ).encode()
        + b"\n",
    )
    found_team(a, b)
    share(a, b)
    until(lambda: b.peek(session.id), f"{session.id} at B")
    secrets = [AWS_ID, AWS_KEY, GITHUB, ANTHROPIC, PASSWORD]
    secrets += [line for key in (pem, pem_in_file) for line in key.splitlines() if len(line) == 64]
    return Sent(a, b, session, [s.encode() for s in secrets])


def test_the_search_itself_finds_what_lies_compressed_on_a_disk(sent: Sent) -> None:
    for folder in (sent.b.home, sent.a.paths.folders):
        assert places_of([b"nothing to see here"], folder)


def test_no_secret_is_anywhere_on_the_disk_of_b(sent: Sent) -> None:
    assert places_of(sent.needles, sent.b.folder) == []


def test_no_secret_is_in_any_folder_that_a_shares(sent: Sent) -> None:
    assert places_of(sent.needles, sent.a.paths.folders) == []


def test_no_secret_is_in_what_a_command_prints_on_b(sent: Sent) -> None:
    printed = [
        sent.b.raw(sent.session.id),
        sent.b.raw(sent.session.id, "tool-results/toolu_1.txt"),
        sent.b.raw(sent.session.id, "subagents/agent-1.jsonl"),
        sent.b.run("session", "show", sent.session.id).out.encode(),
        sent.b.run("session", "list").out.encode(),
        json.dumps(sent.b.sessions()).encode(),
    ]

    assert [needle for needle in sent.needles for text in printed if needle in text] == []


@pytest.mark.parametrize("rule", ["aws", "github", "anthropic", "pem", "url"])
def test_a_marker_names_what_was_cut(sent: Sent, rule: str) -> None:
    (listed,) = (s for s in sent.b.sessions() if s["id"] == sent.session.id)

    assert f"[REDACTED:{rule}]".encode() in sent.b.raw(sent.session.id)
    assert listed["redactions"][rule] >= 1


def test_side_files_are_redacted_too(sent: Sent) -> None:
    assert sent.b.raw(sent.session.id, "tool-results/toolu_1.txt") == (
        b"# deploy key\n[REDACTED:pem]\n# end\n"
    )
    assert b"[REDACTED:github]" in sent.b.raw(sent.session.id, "subagents/agent-1.jsonl")


def test_the_title_is_redacted_too(sent: Sent) -> None:
    (listed,) = (s for s in sent.b.sessions() if s["id"] == sent.session.id)

    assert listed["title"] == "use the token [REDACTED:github] from my notes"


def test_what_is_cut_is_all_that_changes(sent: Sent) -> None:
    sent_lines = sent.session.content.splitlines()
    read_lines = sent.b.raw(sent.session.id).splitlines()

    assert len(sent_lines) == len(read_lines)
    for before, after in zip(sent_lines, read_lines, strict=True):
        assert json.loads(after).keys() == json.loads(before).keys()
        if not any(needle in before for needle in sent.needles):
            assert after == before


def test_the_authors_own_transcript_stays_as_it_was(sent: Sent) -> None:
    assert all(needle in sent.session.content for needle in sent.needles[:5])


def test_a_secret_that_is_appended_is_cut_too(sent: Sent) -> None:
    session = sent.a.write_session("harmless")
    sent.b.until_readable(session)
    late = fill("ghp_{alnum:36}", "late")
    session.append(f"now with {late}", "and on")
    marked = b"now with [REDACTED:github]"
    until(lambda: marked in (sent.b.peek(session.id) or b""), "the marker at B")

    assert places_of([late.encode()], sent.b.folder) == []
    assert places_of([late.encode()], sent.a.paths.folders) == []
