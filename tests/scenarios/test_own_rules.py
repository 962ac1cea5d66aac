"""Rules of the person's own cut everywhere; while they cannot be used, nothing leaves at all."""

import json
from dataclasses import dataclass

import pytest

from karma_sync.redact.examples import fill
from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon

SECRET = "acme-5f3a9c1e"
DEMO = fill("ghp_{alnum:36}", "the demo's token")
RULES = """
[[rules]]
id = "acme-key"
regex = '''acme-[0-9a-f]{8}'''
keywords = ["acme"]
"""
BAD_RULES = RULES + "validate = true\n"
NAMES = ("tool-results/toolu_1.txt", "subagents/agent-1.jsonl", "tool-results/toolu_2.json")


@dataclass(frozen=True)
class Ruled:
    """A and B exchange `repo`; a session of A's holds the secret wherever a session holds text."""

    a: Member
    b: Member
    session: Session


@pytest.fixture(scope="module")
def ruled(town: Town) -> Ruled:
    a, b = town.pair()
    session = a.write_session(f"the key {SECRET} of ours, and {DEMO}", odd=False)
    content = session.content.replace(b'"gitBranch": "main"', f'"gitBranch": "{SECRET}"'.encode())
    session.path.write_bytes(content)
    session.beside(NAMES[0], f"one\nkey: {SECRET}\n".encode())
    session.beside(NAMES[1], content)
    session.beside(NAMES[2], json.dumps({"deep": [json.dumps({"k": SECRET})]}).encode())
    until(lambda: all(b.peek(session.id, name) for name in NAMES), "the session at B, as it is")
    return Ruled(a, b, session)


def test_a_new_rule_set_packages_anew_and_cuts_in_every_part_of_a_session(ruled: Ruled) -> None:
    assert SECRET.encode() in (ruled.b.peek(ruled.session.id) or b"")
    _configure(ruled.a, RULES, f"# of our demo\n{DEMO}\n")
    until(lambda: not _places(ruled, SECRET), "no part with the secret at B")
    (listed,) = (s for s in ruled.b.sessions() if s["id"] == ruled.session.id)

    assert listed["title"] == f"the key [REDACTED:acme-key] of ours, and {DEMO}"
    assert listed["branches"] == ["[REDACTED:acme-key]"]
    assert listed["redactions"]["acme-key"] >= 4
    assert "github" not in listed["redactions"]


def test_a_preview_and_an_accept_count_cuts_by_the_rules_of_the_person(ruled: Ruled) -> None:
    found = ruled.a.json("session", "preview", ruled.session.id)

    assert {cut["rule"] for cut in found["cuts"]} == {"acme-key"}
    shown = ruled.a.run("subscription", "change", "repo", "--dry-run").out
    assert "acme-key" in shown


def test_while_a_rule_is_not_understood_nothing_leaves_and_status_says_so(ruled: Ruled) -> None:
    done = _configure(ruled.a, BAD_RULES, "")
    session = ruled.a.write_session("nothing may leave now")
    theirs = ruled.b.write_session("but others' sessions arrive")
    ruled.a.until_readable(theirs)
    status = ruled.a.json("status")

    assert "rule acme-key: validate: not understood" in status["faults"]["redaction"]
    assert "rule acme-key: validate: not understood" in ruled.a.run("status").out
    assert ruled.a.run("status", "--check", check=False).code == 7
    assert "nothing is sent" in done
    assert "nothing is sent" in ruled.a.paths.log.read_text()
    refused = ruled.a.run("session", "preview", session.id, check=False)
    assert (refused.code, "rule acme-key" in refused.err) == (2, True)
    assert ruled.b.peek(session.id) is None

    _configure(ruled.a, RULES, "")
    ruled.b.until_readable(session)
    assert "redaction" not in ruled.a.json("status")["faults"]


def test_without_rules_a_session_is_withdrawn_all_the_same_and_mended_rules_need_no_restart(
    ruled: Ruled,
) -> None:
    kept, gone = (ruled.a.write_session(text) for text in ("this stays there", "this goes"))
    for session in (kept, gone):
        ruled.b.until_readable(session)
    _configure(ruled.a, BAD_RULES, "")
    waits = ruled.a.write_session("and this waits")
    ruled.a.run("session", "unshare", gone.id)
    until(lambda: gone.id not in {s["id"] for s in ruled.b.sessions()}, "it is gone from B")

    assert ruled.b.peek(waits.id) is None
    assert kept.id in {s["id"] for s in ruled.b.sessions()}
    assert "redaction" in ruled.a.json("status")["faults"]

    (ruled.a.paths.config / "rules.toml").write_text(RULES)
    ruled.a.run("session", "unshare", "--undo", "--yes", gone.id)  # has it look at all sessions
    for session in (waits, gone):
        ruled.b.until_readable(session)
    assert "redaction" not in ruled.a.json("status")["faults"]


def test_a_rule_that_is_added_while_it_runs_packages_anew(ruled: Ruled) -> None:
    session = ruled.a.write_session("the word is swordfish")
    other = ruled.a.write_session("about something else")
    for each in (session, other):
        ruled.b.until_readable(each)
    more = "[[rules]]\nid = 'word'\nregex = 'swordfish'\n"
    (ruled.a.paths.config / "rules.toml").write_text(RULES + more)
    ruled.a.run("session", "unshare", other.id)  # has it look at all sessions
    until(lambda: b"swordfish" not in (ruled.b.peek(session.id) or b"swordfish"), "cut at B")

    assert b"[REDACTED:word]" in (ruled.b.peek(session.id) or b"")


def test_a_missing_file_of_rules_lets_nothing_leave_either(ruled: Ruled) -> None:
    ruled.a.down()
    (ruled.a.paths.config / "rules.toml").unlink()
    ruled.a.up()
    session = ruled.a.write_session("nothing may leave now either")
    ruled.a.until_readable(ruled.b.write_session("from the other side"))

    assert "rules.toml cannot be read" in ruled.a.json("status")["faults"]["redaction"]
    assert ruled.b.peek(session.id) is None


def test_a_misspelt_setting_is_refused(ruled: Ruled) -> None:
    settings = ruled.a.paths.settings
    as_it_was = settings.read_text()
    misspelt = as_it_was.partition("[redaction]")[0] + "[redaction]\ngitleak = 'rules.toml'\n"
    settings.write_text(misspelt)
    done = ruled.a.run("status", check=False)
    settings.write_text(as_it_was)

    assert done.code == 2
    assert "redaction.gitleak " in done.err
    assert "redaction.gitleaks" in done.err


def _configure(member: Member, rules: str, allowlist: str) -> str:
    """Restart the daemon with these rules; what `up` said."""
    member.down()
    (member.paths.config / "rules.toml").write_text(rules)
    (member.paths.config / "allow.txt").write_text(allowlist)
    text = member.paths.settings.read_text().partition("[redaction]")[0]
    table = '[redaction]\ngitleaks = "rules.toml"\nallowlist = "allow.txt"\n'
    member.paths.settings.write_text(f"{text.rstrip()}\n\n{table}")
    done = member.run("up", "-d")
    return done.out + done.err


def _places(ruled: Ruled, needle: str) -> list[str]:
    parts = ("transcript.jsonl", *NAMES)
    readings = {name: ruled.b.peek(ruled.session.id, name) for name in parts}
    return [name for name, raw in readings.items() if raw is None or needle.encode() in raw]
