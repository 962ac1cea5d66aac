"""Limits on sending survive the loss of the database: the outbox is looked into afterwards."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.domain.session.manifest import Manifest, split_item
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, SigningKey, open_envelope
from tests.support.harness import Member, until
from tests.support.town import Town, found_team
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Limited:
    """A limits what it sends to B in every way there is; `stay` must never be in the outbox."""

    a: Member
    b: Member
    leave: list[Session]
    stay: dict[str, Session]


@pytest.fixture(scope="module")
def limited(town: Town) -> Limited:
    a, b = town.members("alice", "bob")
    other = a.clone("git@example.org:acme/other.git", "other")
    private = a.repo / "private"
    private.mkdir()
    stay = {
        "withheld": a.write_session("withheld"),
        "excluded": a.write_session("excluded", cwd=private),
        "earlier": a.write_session("earlier", days_ago=9),
        "mixed": a.write_session("mixed"),
    }
    stay["mixed"].append("there", cwd=other)
    shared = a.write_session("mixed, and shared")
    shared.append("there", cwd=other)
    found_team(a, b)
    a.run("exclude", str(private))
    a.run("session", "withhold", stay["withheld"].id)
    limits = ("--last", "3", "--since", "7d", "--after-idle", "1s", "--profile", "conversation")
    a.run("project", "share", str(a.repo), "--yes", *limits)
    a.run("session", "share", shared.id, "--yes")
    until(lambda: b.json("subscription", "list")["subscriptions"], "the offer at B")
    b.run("accept", "repo", "--yes")
    plain = a.write_session("plain")
    plain.beside("tool-results/toolu_1.txt", b"a long output")
    b.until_readable(shared, plain)
    return Limited(a, b, [shared, plain], stay)


def test_only_what_the_limits_let_through_is_in_the_outbox(limited: Limited) -> None:
    _assert_only_what_may_leave(limited)


def test_after_the_database_is_lost_the_same_limits_hold(limited: Limited) -> None:
    before = _limits(limited.a)
    limited.a.down()
    _forget(limited.a, "state.db", "work.db")
    limited.a.up()
    limited.leave.append(limited.a.write_session("after the loss"))
    limited.b.until_readable(*limited.leave)

    assert _limits(limited.a) == before
    _assert_only_what_may_leave(limited)


def test_a_command_that_comes_before_the_daemon_loosens_nothing(limited: Limited) -> None:
    limited.a.run("pause")
    limited.a.down()
    _forget(limited.a, "state.db", "work.db")
    mapping = ("project", "map", "/nowhere", "example.org/acme/repo")
    refused = limited.a.run(*mapping, check=False)
    assert refused.code == 8, "it is not known here what is sent"
    assert "The database was lost" in refused.out
    limited.a.run(*mapping, "--yes")
    limited.a.up()
    until(lambda: _limits(limited.a), "A's answer to be found again")
    assert limited.a.json("status")["paused"]

    limited.a.run("resume")
    limited.leave.append(limited.a.write_session("after another loss"))
    limited.b.until_readable(*limited.leave)
    _assert_only_what_may_leave(limited)


def test_a_database_of_yesterday_does_not_undo_what_was_limited_since(limited: Limited) -> None:
    a = limited.a
    a.down()
    yesterday = a.folder / "yesterday"
    shutil.copytree(a.paths.data, yesterday, ignore=shutil.ignore_patterns("folders", "library"))
    late = a.write_session("withheld later")
    a.run("session", "withhold", late.id)
    a.run("subscription", "pause", "repo")
    _forget(a, "state.db")
    for path in yesterday.glob("state.db*"):
        shutil.copy(path, a.paths.data / path.name)
    a.up()

    assert _limits(a)["status"] == "paused"
    assert "the database was older" in a.run("events").out
    a.run("subscription", "resume", "repo")
    limited.stay["withheld later"] = late
    limited.leave.append(a.write_session("after yesterday"))
    limited.b.until_readable(*limited.leave)
    _assert_only_what_may_leave(limited)


def test_with_database_and_file_of_yesterday_what_was_taken_back_since_stays_away(
    limited: Limited,
) -> None:
    a = limited.a
    gone = a.write_session("unshared after the backup")
    limited.b.until_readable(gone)
    a.down()
    backup = a.folder / "both"
    shutil.copytree(a.paths.data, backup, ignore=shutil.ignore_patterns("folders", "library"))
    shutil.copy(a.paths.intent, backup / "intent.json")
    a.up()
    a.run("session", "unshare", gone.id)
    until(lambda: limited.b.peek(gone.id) is None, "that it is gone from B")
    a.run("pause")
    late = a.write_session("withheld after the backup")
    a.run("session", "withhold", late.id)
    a.run("resume")
    until(lambda: _stays(a, late) == "you withhold it", "that A wrote it down")
    limited.stay["withheld after the backup"] = late
    a.run("subscription", "pause", "repo")
    until(lambda: _signed(a) == "paused", "that A signed it")
    a.down()
    _forget(a, "state.db")
    for path in backup.glob("state.db*"):
        shutil.copy(path, a.paths.data / path.name)
    shutil.copy(backup / "intent.json", a.paths.intent)
    a.up()
    until(lambda: _limits(a).get("status") == "paused", "what A had signed to hold again")
    a.run("subscription", "resume", "repo")
    limited.leave.append(a.write_session("after both were old"))
    limited.b.until_readable(*limited.leave)
    print(a.run("events").out)

    assert f"{late.id}, the database was older: it is withheld again" in a.run("events").out
    assert limited.b.peek(gone.id) is None
    _assert_only_what_may_leave(limited)


def test_a_broken_file_of_limits_pauses_sending_and_says_so(limited: Limited) -> None:
    a = limited.a
    a.down()
    a.paths.intent.write_bytes(a.paths.intent.read_bytes()[:-9])
    a.up()
    session = a.write_session("while it was broken")
    limited.b.run("status")

    shown = a.run("status").out
    assert "all sync is paused" in shown
    assert "could not be read" in shown
    assert "karma-sync resume" in shown
    checked = a.run("status", "--check", check=False)
    assert checked.code == 7, "no person paused it, and it does not end by itself"
    assert "could not be read" in checked.err
    assert limited.b.peek(session.id) is None
    assert a.run("pause", "--for", "1s", check=False).code == 6, "it would end without a question"
    refused = a.run("resume", check=False)
    assert refused.code == 8
    assert "receivers:   bob.box" in refused.out
    a.run("resume", "--yes")
    limited.leave.append(session)
    limited.b.until_readable(*limited.leave)
    assert a.run("status", "--check").code == 0
    _assert_only_what_may_leave(limited)


def test_with_database_and_file_lost_nothing_leaves_before_somebody_says_so(
    limited: Limited,
) -> None:
    a = limited.a
    a.down()
    _forget(a, "state.db", "work.db")
    a.paths.intent.unlink()
    a.up()
    until(lambda: _limits(a).get("status") == "paused", "A's subscription to be paused")
    (outbox,) = a.outboxes()
    before = {path.name for path in (outbox / "items").iterdir()}
    session = a.write_session("nobody said yes to this yet")
    until(lambda: "rebuilt" in a.run("events").out, "the event at A")

    assert limited.b.peek(session.id) is None
    assert {path.name for path in (outbox / "items").iterdir()} == before


def _assert_only_what_may_leave(limited: Limited) -> None:
    (outbox,) = limited.a.outboxes()
    sent = _manifests(limited.a, outbox)

    assert {m.session.session_id for m in sent} == {s.id for s in limited.leave}
    assert {f.path for m in sent for f in m.files} == {"transcript.jsonl"}
    assert [limited.b.peek(session.id) for session in limited.stay.values()] == [
        None for _ in limited.stay
    ]


def _manifests(member: Member, outbox: Path) -> list[Manifest]:
    """The manifests in an outbox, read as a peer reads them."""
    key = SigningKey.load(member.paths.key).public
    found = []
    for path in (outbox / "items").iterdir():
        try:
            envelope, _ = split_item(path.read_bytes())
            payload = open_envelope(envelope, key, PayloadType.MANIFEST)
        except Unverified as error:
            pytest.fail(f"{path}: {error}")
        found.append(Manifest.model_validate_json(payload))
    return found


def _limits(member: Member) -> dict[str, object]:
    found = member.json("subscription", "list")["subscriptions"]
    names = ("status", "direction", "since", "after_idle", "profile")
    return {name: found[0][name] for name in names} if found else {}


def _stays(member: Member, session: Session) -> str:
    held = member.json("session", "list")["held"]
    return next((h["why"] for h in held if h["session"] == session.id), "")


def _signed(member: Member) -> str:
    """The status of the only subscription in the document that the member signed last."""
    key = SigningKey.load(member.paths.key).public
    (path,) = member.paths.data.rglob(f"member/{key}.json")
    payload = json.loads(open_envelope(path.read_bytes(), key, PayloadType.MEMBER))
    return str(payload["subscriptions"][0]["status"])


def _forget(member: Member, *names: str) -> None:
    for name in names:
        for path in member.paths.data.glob(f"{name}*"):
            path.unlink()
        for path in member.paths.state.glob(f"{name}*"):
            path.unlink()
