"""Data lost on one machine comes back, and nothing disappears anywhere else."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member, list[Session]]:
    """Two members that share `repo`; three sessions of A have arrived at B."""
    a, b = town.pair()
    sessions = [a.write_session(f"session {n}") for n in range(3)]
    b.until_readable(*sessions)
    return a, b, sessions


def test_an_outbox_that_lost_its_files_and_marker_is_mended_before_it_is_believed(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, sessions = pair
    (outbox,) = a.outboxes()
    a.down()
    before = _files(outbox)
    for item in (outbox / "items").iterdir():
        item.unlink()
    shutil.rmtree(outbox / ".stfolder")  # in 1.19 it is empty, later not
    a.up()
    written = a.write_session("after the loss")
    b.until_readable(*sessions, written)

    assert before.items() <= _files(outbox).items()


def test_a_running_outbox_that_lost_its_marker_is_mended(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, sessions = pair
    (outbox,) = a.outboxes()
    before = _files(outbox)
    for item in (outbox / "items").iterdir():
        item.unlink()
    shutil.rmtree(outbox / ".stfolder")
    sessions[0].append("one more line")
    b.until_readable(*sessions)

    assert set(before) <= set(_files(outbox))
    until(lambda: not a.json("status")["faults"], "no fault at A")
    assert a.run("status", "--check").code == 0


def test_a_lost_database_is_rebuilt_and_loosens_no_limit(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, sessions = pair
    limit = _subscription(a)["since"]
    assert limit
    a.down()
    _forget(a, "state.db")
    a.up()
    written = a.write_session("after the database was lost")
    b.until_readable(*sessions, written)

    assert _subscription(a)["since"] == limit


def test_a_database_lost_with_its_limits_sends_nothing_before_somebody_says_so(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, sessions = pair
    a.down()
    _forget(a, "state.db")
    a.paths.intent.unlink()
    a.up()
    until(lambda: _subscription(a)["status"] == "paused", "A's subscription to be paused")
    # what arrives before the folders are paused may still be imported
    until(lambda: all(f["paused"] for f in _channels(a)), "A's channels to be paused")
    written = a.write_session("nobody said yes to this yet")
    theirs = b.write_session("B goes on")
    until(lambda: b.peek(theirs.id), "B's own session in B's library")
    assert (b.peek(written.id), a.peek(theirs.id)) == (None, None)
    refused = a.run("subscription", "resume", "repo", check=False)
    assert refused.code == 8
    assert "has no limits" in refused.out
    assert "receivers:   bob.box" in refused.out
    a.run("subscription", "resume", "repo", "--yes")
    a.until_readable(theirs)
    b.until_readable(*sessions, written)
    rebuilt = [line for line in a.run("events").lines if "rebuilt" in line]

    assert "karma-sync subscription resume" in rebuilt[-1]


def test_a_lost_library_is_read_again_from_the_inboxes(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, sessions = pair
    b.down()
    shutil.rmtree(b.paths.library)
    b.up()
    b.until_readable(*sessions)


def test_documents_that_somebody_deleted_are_put_back(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, _ = pair
    (metadata,) = [p for p in b.paths.folders.iterdir() if p.name.startswith("ks-m-")]
    lost = [
        path for kind in ("roster", "member", "receipt") for path in (metadata / kind).glob("[!.]*")
    ]
    for path in lost:
        path.unlink()
    b.run("subscription", "pause", "repo")  # any change wakes a cycle
    b.run("subscription", "resume", "repo")
    until(lambda: all(path.exists() for path in lost), "every document to be back at B")

    shared = a.paths.folders / metadata.name
    until(
        lambda: all((shared / p.relative_to(metadata)).exists() for p in lost),
        "every document to be at A",
    )


def test_a_syncthing_and_a_daemon_killed_in_any_order_come_back(
    pair: tuple[Member, Member, list[Session]],
) -> None:
    a, b, sessions = pair
    a.kill9()
    until(lambda: not a.processes(), "A's Syncthing to go with its daemon")
    b.kill9()
    until(lambda: not b.processes(), "B's Syncthing to go with its daemon")
    sessions[1].append("while nobody was up")
    b.up()
    a.up()
    b.until_readable(*sessions)


def test_of_what_is_nowhere_any_more_the_rest_is_packaged_again_and_the_lost_is_named(
    town: Town,
) -> None:
    (alone,) = town.members("erin")
    alone.run("team", "create", "solo")
    share(alone)
    stays, goes = alone.write_session("its source stays"), alone.write_session("this one goes")
    alone.until_readable(stays, goes)
    (outbox,) = alone.outboxes()
    before = set((outbox / "items").iterdir())
    alone.down()
    for folder in (outbox / "items", outbox / "chunks", alone.paths.library):
        shutil.rmtree(folder, ignore_errors=True)
    goes.path.unlink()
    alone.up()
    alone.until_readable(stays)

    def events() -> list[tuple[str, str]]:
        lines = [json.loads(line) for line in alone.run("events", "--json").lines]
        return [(e["type"], e["subject"]) for e in lines if e["type"] in {"lost", "recovered"}]

    until(lambda: ("lost", goes.id) in events(), "the lost session to be named")
    assert ("lost", stays.id) not in events()
    assert len(before & set((outbox / "items").iterdir())) == 1


def _files(folder: Path) -> dict[str, bytes]:
    found = (p for part in ("items", "chunks") for p in (folder / part).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}


def _channels(member: Member) -> list[dict[str, object]]:
    return [f for f in member.rest("config/folders") if f["id"].startswith("ks-c-")]


def _subscription(member: Member) -> dict[str, object]:
    found = member.json("subscription", "list")["subscriptions"]
    return dict(found[0]) if found else {"status": json.dumps(None)}


def _forget(member: Member, name: str) -> None:
    for path in member.paths.data.glob(f"{name}*"):
        path.unlink()
