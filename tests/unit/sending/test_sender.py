"""The sender passes every file that it wrote to Syncthing, whatever changes meanwhile."""

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.channel.layout import item_name
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.selection import Choices, Unshared, Whose
from karma_sync.errors import SyncthingUnreachable
from karma_sync.git.places import Places
from karma_sync.runtime import timing
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import Problems
from karma_sync.runtime.worker import Wake
from karma_sync.sending.eligibility import Decider, ProjectMatcher
from karma_sync.sending.held_back import HeldBack
from karma_sync.sending.queue import SendQueue
from karma_sync.sending.recall import Recaller
from karma_sync.sending.scheduler import Scheduler, SchedulerHooks, SendRequests
from karma_sync.sending.sender import Sender, SenderHooks
from karma_sync.store import work
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    PROJECT,
    Desk,
    Swapping,
    channel_of,
    said,
    team_of_all,
)


def now_ms() -> int:
    return time.time_ns() // 10**6


class Office:
    """A sender with one project and one session; `told` are the names passed to Syncthing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.redactor = Swapping({})
        self.desk = Desk(root, channel_of(team_of_all(ALICE, BOB), ALICE), self.redactor)
        self.told: list[str] = []
        self.deaf = False
        places = Places()
        places.know({"/src/repo": PROJECT}, {})
        matcher = self.matcher = ProjectMatcher(
            ClaudeSource([self.desk.claude]), Catalogue(list, lambda _: None), places
        )
        notes = EventLog(self.desk.work, lambda: NOW)
        self.choices = Choices()
        decider = Decider(matcher, lambda: self.choices, lambda: datetime.now(UTC))
        self.packaged: list[str] = []
        self.problems = Problems()
        recaller = Recaller(self.desk.packager, self.desk.work, now_ms)
        self.taken_back: list[Channel] = []
        hooks = SenderHooks(
            self._scan,
            self.problems,
            lambda _, item: self.packaged.append(item),
            taken_back=self.taken_back.append,
        )
        held_back = HeldBack(self.desk.work, notes)
        self.sender = Sender(decider, self.desk.packager, recaller, held_back, hooks)
        self.send_to(self.desk.channel)

    def send_to(self, *channels: Channel) -> None:
        self.sender.send_to(channels, lambda _: self.desk.outbox.path)

    def why_not(self, session: str) -> str | None:
        """The reason why a session did not leave, as `status` reads it."""
        with self.desk.work.reading() as tx:
            rows = work.withheld.all(tx, session=session)
        return next((row.why for row in rows if row.kind is work.Stays.FAILED), None)

    def _scan(self, _folder: str, names: Sequence[str]) -> None:
        if self.deaf:
            raise SyncthingUnreachable("Syncthing does not answer")
        self.told += names


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_files_written_before_the_team_changed_are_still_rescanned(office: Office) -> None:
    office.desk.write(said("hello"))
    office.sender.rescan()
    office.sender.send(office.desk.session())  # the last rescan was just now: its files wait
    assert office.told == []

    joined = channel_of(team_of_all(ALICE, BOB, CAROL), ALICE)
    office.send_to(joined)
    office.sender.rescan()

    assert joined.id == office.desk.channel.id
    assert office.told == [item_name(office.desk.item())]


def test_a_channel_that_is_closed_keeps_nothing_that_waits_to_be_written(office: Office) -> None:
    office.desk.write(said("hello"))
    office.sender.rescan()
    office.sender.send(office.desk.session())
    office.send_to()

    assert [p.name for p in office.desk.outbox.path.rglob("*.part")] == []
    office.send_to(office.desk.channel)
    assert office.sender.send(office.desk.session()).packaged
    office.sender.rescan()
    assert office.desk.content() == said("hello")


def test_what_is_shared_again_together_is_noted_once(office: Office) -> None:
    """Each time the whole ledger of the channel is read."""
    names = ("s1", "s2", "s3")
    for name in names:
        office.desk.write(said(name), f"{name}.jsonl")
    gone = tuple(office.desk.item(name) for name in names)
    channel = office.desk.channel
    again = replace(channel, subscription=channel.subscription.retracting(gone, ()))
    lifted = (Unshared(whose=Whose.SESSION, name=name, lifted=True) for name in names)
    office.send_to(again)
    office.sender.hold_back(frozenset(lifted))
    office.sender.rescan()
    for name in names:
        office.sender.send(office.desk.session(name))
    office.sender.rescan()

    assert len(office.packaged) == len(names)
    assert office.taken_back == [again]


def test_the_sender_reports_the_bytes_left_of_a_large_session(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STEP_BYTES", 300_000)
    lines = [said(f"{n} " + "x" * 100_000) for n in range(12)]
    office.desk.write(b"".join(lines))
    lefts = []
    while True:
        sent = office.sender.send(office.desk.session())
        office.sender.rescan()
        assert sent.packaged
        assert office.desk.content() == b"".join(lines)[: len(office.desk.content())]
        lefts.append(sent.left)
        if not sent.left:
            break

    assert len(lefts) > 2
    assert lefts == sorted(lefts, reverse=True)
    assert office.desk.content() == b"".join(lines)
    assert not office.sender.send(office.desk.session()).packaged


def test_files_that_syncthing_did_not_rescan_are_passed_again_soon(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    office.deaf = True
    office.desk.write(said("hello"))
    office.sender.send(office.desk.session())
    for _ in range(2):
        office.sender.rescan()
        assert office.sender.finish_pass() == timing.RETRY_S

    office.deaf = False
    office.sender.rescan()

    assert office.sender.finish_pass() is None
    assert office.told == [item_name(office.desk.item())]
    assert len(caplog.records) == 1, "an outage is logged once"


def test_no_file_is_rescanned_twice(office: Office) -> None:
    office.desk.write(said("hello"))
    office.sender.send(office.desk.session())
    office.sender.rescan()
    once = list(office.told)
    office.sender.rescan()

    assert once
    assert office.told == once


def test_an_outbox_that_cannot_be_written_is_reported_and_tried_again(
    office: Office, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "RETRY_S", 0.0)
    caplog.set_level(logging.WARNING)
    office.desk.write(said("hello"))
    office.sender.rescan()
    office.sender.send(office.desk.session())
    in_the_way = office.desk.outbox.path / item_name(office.desk.item()) / "x"
    in_the_way.mkdir(parents=True)
    office.sender.rescan()

    assert "cannot be written" in office.problems.of(office.desk.channel.id)
    assert office.packaged == []

    for _ in range(3):
        in_the_way.rmdir()
        in_the_way.parent.rmdir()
        assert office.sender.try_again()
        office.sender.send(office.desk.session())
        in_the_way.mkdir(parents=True)
        office.sender.rescan()
    assert len(caplog.messages) == 1, "once, until it works again"

    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    assert office.sender.try_again()
    office.sender.send(office.desk.session())
    office.sender.rescan()
    office.sender.finish_pass()

    assert office.problems.of(office.desk.channel.id) == ""
    assert office.packaged == [item_name(office.desk.item())]
    assert office.desk.content() == said("hello")


def test_an_empty_transcript_does_not_leave(office: Office) -> None:
    office.desk.write(said("beside it"))
    office.sender.send(office.desk.session())
    office.desk.write(b"", "s2.jsonl")
    office.sender.send(office.desk.session("s2"))
    office.sender.rescan()
    assert set(office.desk.outbox.items()) == {office.desk.item("s1")}

    office.desk.write(said("its first line"), "s2.jsonl")
    office.sender.send(office.desk.session("s2"))
    office.sender.rescan()
    assert set(office.desk.outbox.items()) == {office.desk.item("s1"), office.desk.item("s2")}


def test_a_session_on_which_the_redactor_fails_stays_and_is_recorded(
    office: Office,
) -> None:
    office.desk.write(said("first"))
    office.sender.send(office.desk.session())
    office.sender.rescan()
    office.redactor.fails_on = b"spoils it"
    office.desk.write(said("first") + said("spoils it") + said("last"))
    office.desk.write(said("another"), "s2.jsonl")
    office.sender.send(office.desk.session())
    office.sender.send(office.desk.session("s2"))
    office.sender.rescan()

    assert office.desk.content() == said("first")
    assert office.desk.content(session_id="s2") == said("another")
    assert office.why_not("s1") == "made to fail"
    assert office.why_not("s2") is None

    office.redactor.fails_on = None
    office.sender.send(office.desk.session())
    office.sender.rescan()
    assert office.desk.content() == said("first") + said("spoils it") + said("last")
    assert office.why_not("s1") is None


def test_a_session_whose_appends_rewrite_a_large_file_rests_longer(office: Office) -> None:
    """The item's file leaves anew with each append: 64 kB of it buy a second of rest."""
    clock, wake = 0.0, Wake()
    requests = SendRequests(wake, lambda path: path)
    hooks = SchedulerHooks(
        redactor=lambda: office.redactor,
        learn_roots=lambda: False,
        monotonic=lambda: clock,
        cpu_s=lambda: 0.0,
    )
    queue = SendQueue(office.sender.left)
    scheduler = Scheduler(requests, office.matcher, office.sender, queue, hooks)
    office.desk.write(said(random.Random(1).randbytes(75_000).hex()))  # noqa: S311 seeded

    def go_on(moment: float) -> float | None:
        nonlocal clock
        clock = moment
        while (wait := scheduler.run()) == 0.0:
            pass
        return wait

    def append(moment: float) -> float | None:
        requests.touch(office.desk.append(said("more")))
        return go_on(moment)

    go_on(0.0)
    append(20.0)
    wait = append(20.9)

    size = len(office.desk.raw())
    assert 64_000 < size < 128_000
    assert office.packaged == [item_name(office.desk.item())] * 2
    assert wait == pytest.approx(size / 64_000 - 0.9)
