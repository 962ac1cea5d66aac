"""intent.json keeps the limits on sending if the database is lost or old, or the file damaged."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.selection import (
    Exclusion,
    Limits,
    Share,
    WithheldObservation,
    Withhold,
)
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import How
from karma_sync.domain.team.subscription import Content, Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.errors import KarmaError, NotWritable
from karma_sync.store import state
from karma_sync.store.database import Database
from karma_sync.store.intent import IntentFile
from karma_sync.store.intent_content import read_intent
from tests.support.builders import NOW, team_of_all

ME = "k" * 64
LIMITS = Limits(since=NOW, after_idle=60, profile=Profile.CONVERSATION)
SHARE = Share(session="s2", project="p", others=("/x",))
_LED = team_of_all("alice.box", "bob.box")
TEAM = _LED.changed(members=(_LED.members[0], _LED.members[1].changed(key=ME)))


class Home:
    """A database and intent.json, as commands, restores and losses leave them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "intent.json"
        self.reported: list[str] = []
        self.is_replaced = False
        self.store = self.open()

    def open(self) -> Database:
        store = state.open_state(self.root / "state.db")
        intent = IntentFile(self.path, lambda: NOW, self.reported.append, lambda: self.is_replaced)
        store.after_commit(lambda: intent.keep(store, ME))
        intent.take_over(store, ME)
        return store

    def close(self) -> None:
        self.store.close()

    def restart(self, database: bytes | None) -> None:
        """Start again with another database; with an empty one if it is None."""
        self.store.close()
        for path in self.root.glob("state.db*"):
            path.unlink()
        if database is not None:
            (self.root / "state.db").write_bytes(database)
        self.store = self.open()

    def backup(self) -> bytes:
        assert self.store.checkpoint()
        return (self.root / "state.db").read_bytes()

    def put(self, answer: Subscription) -> None:
        with self.store.transaction() as tx:
            state.subscriptions.put(tx, answer)

    def enter(self, team: Team) -> None:
        with self.store.transaction() as tx:
            state.teams.put(tx, team)

    def leave(self, team: Team, how: How) -> state.Former:
        """Have it as after this end, which all others know."""
        former = state.Former(team=team.id, name=team.name, how=how, at=NOW, key=ME, incarnation=0)
        with self.store.transaction() as tx:
            state.formers.put(tx, former)
            state.forget_team(tx, team)
        return former

    def answer(self) -> Subscription:
        with self.store.reading() as tx:
            return state.subscriptions.all(tx)[0]

    def halted(self) -> bool:
        with self.store.reading() as tx:
            return any(halt.is_active(NOW) for halt in state.halts.all(tx))

    def choose(self) -> None:
        with self.store.transaction() as tx:
            state.withholds.put(tx, Withhold(session="s1"))
            state.withheld_observations.put(tx, WithheldObservation(id="obs-1"))
            state.shares.put(tx, SHARE)
            state.exclusions.put(tx, Exclusion(pattern="/x"))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


def accepted(limits: Limits = LIMITS, incarnation: int = 7, **changes: object) -> Subscription:
    fields = {"team": "t", "project": "p", "member": ME, "incarnation": incarnation}
    return Subscription.from_fields(
        fields | {"status": Status.ACCEPTED, "limits": limits} | changes
    )


def test_the_file_is_not_written_without_limits(home: Home) -> None:
    assert not home.path.exists()


def test_limits_are_in_a_private_file_when_the_transaction_returns(
    home: Home,
) -> None:
    home.put(accepted())
    home.choose()
    found = read_intent(home.path)

    assert [limit.limits for limit in found.limits] == [LIMITS]
    assert (found.withheld, found.shares) == ((Withhold(session="s1"),), (SHARE,))
    assert found.observations == (WithheldObservation(id="obs-1"),)
    assert found.exclusions == (Exclusion(pattern="/x"),)
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_a_change_that_limits_nothing_writes_nothing(home: Home) -> None:
    home.put(accepted())
    before = home.path.stat().st_mtime_ns, home.path.stat().st_ino
    with home.store.transaction() as tx:
        state.roots.put(tx, state.KnownDirectory(path="/src", project="p"))

    assert (home.path.stat().st_mtime_ns, home.path.stat().st_ino) == before


def test_a_new_database_takes_choices_and_pauses_from_the_file_and_keeps_its_limits(
    home: Home,
) -> None:
    home.put(accepted())
    home.choose()
    with home.store.transaction() as tx:
        state.halts.put(tx, state.GlobalPause())
    limits = read_intent(home.path).limits
    home.restart(None)
    with home.store.transaction() as tx:  # another command, before anything is rebuilt
        state.roots.put(tx, state.KnownDirectory(path="/src", project="p"))
        choices = state.choices(tx)

    assert choices.withheld == {"s1"}
    assert choices.shares == (SHARE,)
    assert choices.exclusions == (Exclusion(pattern="/x"),)
    assert home.halted()
    assert read_intent(home.path).limits == limits


def test_an_answer_that_is_rebuilt_has_the_limits_that_were_written_for_it(home: Home) -> None:
    home.put(accepted())
    rebuilt = accepted(Limits())
    intent = read_intent(home.path)

    assert intent.limit(rebuilt).limits == LIMITS
    assert intent.limit(accepted(Limits(), incarnation=8)).status is Status.PAUSED
    assert intent.limit(rebuilt.changed(direction=Direction.RECEIVE)).engaged


@pytest.mark.parametrize("later", [Status.PAUSED, Status.DECLINED, Status.OFFERED])
def test_a_database_from_yesterday_does_not_undo_a_later_pause_or_decline(
    home: Home, later: Status
) -> None:
    home.put(accepted())
    yesterday = home.backup()
    home.put(accepted(status=later))
    home.restart(yesterday)

    assert home.answer().status is later
    assert "older" in home.reported[0]
    assert read_intent(home.path).limits[0].status is later


@pytest.mark.parametrize("how", [How.LEFT, How.REMOVED])
def test_a_database_from_before_i_left_a_team_does_not_send_to_it_again(
    home: Home, how: How
) -> None:
    home.put(accepted())
    yesterday = home.backup()
    former = state.Former(team="t", name="team", how=how, at=NOW, key=ME, incarnation=0)
    with home.store.transaction() as tx:
        state.formers.put(tx, former)
    home.restart(yesterday)

    assert home.answer().status is Status.PAUSED
    home.restart(None)
    assert read_intent(home.path).limit(accepted()).status is Status.PAUSED


@pytest.mark.parametrize("how", [How.LEFT, How.REMOVED])
def test_a_database_from_before_i_left_a_team_does_not_make_me_a_member_again(
    home: Home, how: How
) -> None:
    home.enter(TEAM)
    yesterday = home.backup()
    former = home.leave(TEAM, how)
    home.restart(yesterday)

    with home.store.reading() as tx:
        left = state.teams.get(tx, TEAM.id)
        assert state.formers.all(tx) == [former]
    assert (left is not None) is (how is How.LEFT), "the others may not know yet that I left"
    assert left is None or left.anybody(ME) is None
    assert any("not in backend any more" in why for why in home.reported)
    home.restart(None)
    with home.store.reading() as tx:
        assert state.formers.all(tx) == [former]


def test_a_database_from_before_i_was_added_again_does_not_put_me_out(home: Home) -> None:
    home.enter(TEAM)
    home.leave(TEAM, How.REMOVED)
    yesterday = home.backup()
    with home.store.transaction() as tx:
        state.formers.drop(tx, team=TEAM.id)
    home.enter(TEAM.changed(members=(TEAM.members[0], TEAM.members[1].changed(incarnation=8))))
    today = home.backup()
    home.restart(yesterday)
    with home.store.reading() as tx:
        assert state.formers.all(tx) == []
    home.restart(today)
    with home.store.reading() as tx:
        assert [team.anybody(ME) is not None for team in state.teams.all(tx)] == [True]


def test_what_i_took_back_when_i_left_is_declined_in_a_database_from_before(home: Home) -> None:
    home.put(accepted())
    yesterday = home.backup()
    former = state.Former(
        team="t", name="team", how=How.LEFT, at=NOW, key=ME, incarnation=0, retracted=True
    )
    with home.store.transaction() as tx:
        state.formers.put(tx, former)
    home.restart(yesterday)

    assert home.answer() == accepted().decline()


@pytest.mark.parametrize(
    "later",
    [accepted().decline(), accepted().decline().reopen()],
    ids=["declined", "reopened"],
)
def test_a_database_from_yesterday_does_not_undo_that_all_was_taken_back(
    home: Home, later: Subscription
) -> None:
    home.put(accepted())
    yesterday = home.backup()
    home.put(later)
    home.restart(yesterday)

    assert home.answer() == later
    assert home.answer().is_withdrawn


def test_a_new_answer_in_a_team_that_i_am_in_again_is_not_limited_by_the_old_one(
    home: Home,
) -> None:
    home.put(accepted())
    former = state.Former(team="t", name="team", how=How.LEFT, at=NOW, key=ME, incarnation=0)
    with home.store.transaction() as tx:
        state.formers.put(tx, former)
    with home.store.transaction() as tx:
        state.formers.drop(tx, team="t")
    home.put(accepted(incarnation=8))
    today = home.backup()
    home.restart(today)

    assert home.answer() == accepted(incarnation=8)


def test_a_database_from_yesterday_does_not_undo_a_narrower_limit(home: Home) -> None:
    home.put(accepted(Limits()))
    yesterday = home.backup()
    home.put(accepted(LIMITS, direction=Direction.RECEIVE))
    home.restart(yesterday)

    assert home.answer().limits == LIMITS
    assert home.answer().direction is Direction.RECEIVE


def test_a_database_from_yesterday_keeps_its_own_limits_where_they_are_narrower(
    home: Home,
) -> None:
    home.put(accepted(LIMITS, status=Status.PAUSED))
    yesterday = home.backup()
    home.put(accepted(LIMITS.changed(since=NOW - timedelta(days=9))))
    home.restart(yesterday)

    assert home.answer().limits == LIMITS
    assert home.answer().status is Status.PAUSED


def test_a_later_answer_takes_the_place_of_the_one_in_a_database_from_yesterday(
    home: Home,
) -> None:
    home.put(accepted(Limits(), purged=True))
    yesterday = home.backup()
    later = accepted(
        LIMITS,
        incarnation=8,
        offer=2,
        withdrawn=7,
        direction=Direction.SEND,
        content=(Content.OBSERVATIONS,),
    )
    home.put(later)
    home.restart(yesterday)

    assert home.answer() == later


def test_a_later_answer_of_which_the_limits_are_not_known_is_paused(home: Home) -> None:
    home.put(accepted(Limits()))
    yesterday = home.backup()
    home.put(accepted(LIMITS, incarnation=8))
    found = read_intent(home.path)
    limits = tuple(limit.changed(limits=None) for limit in found.limits)
    home.path.write_bytes(found.changed(limits=limits).to_json().encode())
    home.restart(yesterday)

    assert home.answer() == accepted(Limits(), incarnation=8, status=Status.PAUSED)


def test_a_database_from_yesterday_does_not_undo_that_less_content_is_sent(home: Home) -> None:
    home.put(accepted(content=tuple(Content)))
    yesterday = home.backup()
    home.put(accepted(content=(Content.SESSIONS,)))
    home.restart(yesterday)

    assert home.answer().content == (Content.SESSIONS,)


def test_a_database_from_yesterday_sends_no_content_that_it_does_not_know_of(home: Home) -> None:
    home.put(accepted(content=(Content.SESSIONS,)))
    yesterday = home.backup()
    home.put(accepted(content=tuple(Content)))
    home.restart(yesterday)

    assert home.answer().content == (Content.SESSIONS,)


def test_a_database_from_yesterday_does_not_undo_what_was_withheld_or_shared_since(
    home: Home,
) -> None:
    with home.store.transaction() as tx:
        state.shares.put(tx, Share(session="s9", project="p"))
    yesterday = home.backup()
    with home.store.transaction() as tx:
        state.shares.drop(tx, session="s9")
        state.withholds.put(tx, Withhold(session="s9"))
    home.choose()
    home.restart(yesterday)
    with home.store.reading() as tx:
        choices = state.choices(tx)

    assert choices.withheld == {"s1", "s9"}
    assert choices.shares == (SHARE,)


def test_a_database_from_yesterday_does_not_undo_a_pause_of_everything(home: Home) -> None:
    with home.store.transaction() as tx:
        state.halts.put(tx, state.GlobalPause(until=NOW - timedelta(days=1)))
    yesterday = home.backup()
    with home.store.transaction() as tx:
        state.halts.put(tx, state.GlobalPause(until=NOW + timedelta(days=1)))
    home.restart(yesterday)

    assert home.halted()


def test_a_resume_after_a_restored_pause_lasts(home: Home) -> None:
    home.put(accepted())
    yesterday = home.backup()
    home.put(accepted(status=Status.PAUSED))
    home.restart(yesterday)
    home.put(home.answer().resume())
    home.restart(home.backup())

    assert home.answer().status is Status.ACCEPTED


def test_a_file_that_was_deleted_is_written_again_from_the_database(home: Home) -> None:
    home.put(accepted())
    before = read_intent(home.path)
    home.path.unlink()
    home.restart(home.backup())
    with home.store.transaction() as tx:
        state.roots.put(tx, state.KnownDirectory(path="/src", project="p"))

    assert read_intent(home.path).limits == before.limits


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[]", b'{"format": 2}', b'{"surprise": 1}', b'{"written": "\xff"}']
)
def test_a_damaged_file_pauses_everything_is_reported_and_kept(home: Home, broken: bytes) -> None:
    home.put(accepted())
    home.path.write_bytes(broken)
    database = home.backup()
    for again in (database, None):  # with the database, and without
        home.path.write_bytes(broken)
        home.restart(again)

        assert home.halted()
        assert (home.root / "intent.json.broken").read_bytes() == broken
        assert "could not be read" in home.reported[-1]
        assert read_intent(home.path).halt is not None


def test_a_file_of_the_next_version_pauses_nothing_while_the_earlier_one_still_runs(
    home: Home,
) -> None:
    home.put(accepted())
    unknown = b'"of_the_next_version": 1, '
    newer = home.path.read_bytes().replace(b'"incarnation"', unknown + b'"incarnation"')
    home.path.write_bytes(newer)
    home.is_replaced = True

    with pytest.raises(KarmaError, match="upgraded"):
        home.choose()
    with pytest.raises(KarmaError, match="upgraded"):
        home.restart(home.backup())
    assert home.path.read_bytes() == newer
    assert not (home.root / "intent.json.broken").exists()
    home.is_replaced = False  # the next version reads what it wrote
    home.path.write_bytes(newer.replace(unknown, b""))
    home.restart(home.backup())
    assert not home.halted()
    assert home.reported == []


def test_reading_a_damaged_file_is_an_error(home: Home) -> None:
    home.path.write_bytes(b"{")

    with pytest.raises(KarmaError, match="cannot be read"):
        read_intent(home.path)


def test_a_file_that_cannot_be_written_fails_the_command(home: Home) -> None:
    if os.geteuid() == 0:
        home.path.mkdir()  # root may write everywhere, but not into this
    else:
        home.root.chmod(0o500)
    try:
        with pytest.raises((OSError, NotWritable), match="intent"):
            home.put(accepted())
    finally:
        home.root.chmod(0o700)


def test_a_decline_since_the_backup_holds_against_an_offer_and_its_purge_too(home: Home) -> None:
    declined = accepted().decline()
    home.put(declined.reopen())
    backup = home.backup()
    home.put(declined.purge())
    home.restart(backup)

    assert home.answer() == declined.purge()


@pytest.mark.parametrize(("joined", "status"), [(0, Status.DECLINED), (9, None)])
def test_an_answer_that_the_backup_lacks_comes_from_the_file_if_i_was_not_added_again(
    home: Home, joined: int, status: Status | None
) -> None:
    bob = TEAM.members[1].changed(incarnation=joined)
    home.enter(TEAM.changed(members=(TEAM.members[0], bob)))
    backup = home.backup()
    home.enter(TEAM)
    home.put(accepted(team=TEAM.id).decline())
    home.restart(backup)
    with home.store.reading() as tx:
        found = state.subscriptions.get(tx, TEAM.id, "p", ME)

    assert (found.status if found else None) == status


def test_directories_and_names_belong_to_a_project_as_the_person_said_last(home: Home) -> None:
    before, since = (state.KnownDirectory(path=p, project="p", mapped=True) for p in ("/x", "/y"))
    named = state.KnownDirectory(path="/z", project="p")
    old, new = (state.Agreed(team="t", project="p", name=name) for name in ("old", "new"))
    with home.store.transaction() as tx:
        state.roots.put(tx, before, named)
        state.agreements.put(tx, old)
    backup = home.backup()
    with home.store.transaction() as tx:
        state.roots.drop(tx, path="/x")
        state.roots.put(tx, since)
        state.agreements.drop(tx, team="t", project="p", name="old")
        state.agreements.put(tx, new)
    home.restart(backup)
    with home.store.reading() as tx:
        assert state.roots.all(tx) == [since, named]
        assert state.agreements.all(tx) == [new]
    assert any("/x is not mapped to p" in why for why in home.reported)
    assert any("old is not agreed to" in why for why in home.reported)


def test_what_was_shared_again_is_not_taken_back_by_a_database_from_before(home: Home) -> None:
    home.put(accepted().changed(retracted=("a" * 32, "b" * 32)))
    yesterday = home.backup()
    home.put(accepted(direction=Direction.RECEIVE).changed(retracted=("b" * 32, "c" * 32)))
    home.restart(yesterday)

    assert home.answer().direction is Direction.RECEIVE
    assert home.answer().retracted == ("b" * 32, "c" * 32)
