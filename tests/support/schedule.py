"""Team life by chance, and what each member may read at the end of it.

What may be read is not derived from what the program sends, but from what the members said: a path
from an author to a reader is open while the author sends and the reader receives, each by its own
answer. Where it is open at the end, the reader has exactly the author's bytes. Where it was closed,
the reader has what it had, or, for who withdrew or was removed, nothing. What was taken back goes
when the reader hears of it, also if it left before: who is away still has it, but need not keep it.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import How
from karma_sync.domain.team.subscription import Status, Subscription
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player
from tests.support.transcripts import Session

OTHER = "example.org/acme/docs"
PROJECTS = (PROJECT, OTHER)
_DATABASES = ("state.db", "work.db", "library.db")


@dataclass
class Written:
    """A session, and in bytes how much of it may, and must, be at each reader.

    `left` is how much others may have fetched from its author; `most` and `least` are by reader.
    `earlier` is `most` as it was before the author took the session back. `outdated` are those who
    may still have what they are to delete as soon as they hear of it. `unshared` is true while the
    author keeps this one session back, and `unheard` are those who are outdated because of that.
    """

    author: Player
    project: str
    session: Session
    left: int = 0
    most: dict[Player, int] = field(default_factory=dict)
    least: dict[Player, int] = field(default_factory=dict)
    earlier: dict[Player, int] = field(default_factory=dict)
    outdated: set[Player] = field(default_factory=set)
    unshared: bool = False
    unheard: set[Player] = field(default_factory=set)

    def unshare(self) -> None:
        """The author takes this one session back."""
        before = set(self.outdated)
        self.withdraw()
        self.unshared, self.unheard = True, self.outdated - before

    def share_again(self) -> None:
        """The author shares it again: whoever has not heard of the rest may keep what it has."""
        self.unshared = False
        for reader in self.unheard & self.outdated:
            self.most[reader] = max(self.most.get(reader, 0), self.earlier.get(reader, 0))
        self.unheard = set()

    def withdraw(self) -> None:
        """The author takes it back from all who are in the team."""
        self.renew()
        for reader, size in self.most.items():
            self.earlier[reader] = max(self.earlier.get(reader, 0), size)
        self.left, self.most = 0, {}

    def renew(self) -> None:
        """If the author sends it again, it does so anew: nobody has to keep what came before."""
        self.outdated |= self.most.keys()
        self.least = {}

    def cut_off(self) -> None:
        """Nobody is left who can tell of it: those who have not heard may keep what they have."""
        for reader in self.outdated:
            self.most[reader] = max(self.most.get(reader, 0), self.earlier.get(reader, 0))

    def observe(self, reader: Player) -> None:
        """Take note if the reader has heard of it: its daemon runs, and it has nothing."""
        if reader not in self.outdated or not reader.member.is_up:
            return
        if reader.member.peek(self.session.id) is None:
            self.outdated.discard(reader)


@dataclass(frozen=True)
class Standing:
    """A member by its own database: whether it is in the team, and its answers by project."""

    is_in: bool
    answers: dict[str, Subscription]

    def sends(self, project: str) -> bool:
        mine = self.answers.get(project)
        return self.is_in and mine is not None and _is_open(mine) and mine.sends

    def waits(self, project: str) -> bool:
        """Whether it paused: a single session goes by the channel, so it waits until it resumes."""
        mine = self.answers.get(project)
        return self.is_in and mine is not None and mine.status is Status.PAUSED

    def receives(self, project: str) -> bool:
        mine = self.answers.get(project)
        return self.is_in and mine is not None and _is_open(mine) and mine.receives


def _is_open(mine: Subscription) -> bool:
    return mine.status is Status.ACCEPTED


class Schedule:
    """A team of which one leads, and what happens to it by chance."""

    def __init__(self, town: MemoryTown, players: Sequence[Player], seed: int = 0) -> None:
        self.town = town
        self.chance = random.Random(seed)  # noqa: S311 to be repeated
        self.done: list[str] = []  # what happened, for who looks for a fault
        self.written: list[Written] = []
        self.players = list(players)
        self.leader = self.players[0]
        self.taken_back: set[Player] = set()  # removed members, with all that they sent
        self._backups: dict[Player, Path] = {}
        self.places = {
            player: {PROJECT: player.member.repo, OTHER: self._docs(player)}
            for player in self.players
        }

    def _docs(self, player: Player) -> Path:
        return player.member.clone("git@example.org:acme/docs.git", "docs")

    def begin(self) -> None:
        """Found the team; all but the last are in it, and take part in the first project."""
        self.leader.found()
        for other in self.players[1:-1]:
            self.leader.admit(other)
        self.leader.share(*PROJECTS)
        self.town.settle()
        for player in self.players[:-1]:
            player.accept(PROJECT, Direction.BOTH)
        self.town.settle()

    def run(self, steps: int) -> None:
        """Let so many things happen, then bring everybody back and let all come to rest."""
        for _ in range(steps):
            self._step()
            self._observe()
        self.finish()

    def settle(self) -> None:
        """Let all who are there come to rest."""
        self.town.settle()
        self._observe()

    def finish(self) -> None:
        """Bring everybody back, and let all come to rest."""
        for player in self.players:
            player.member.online()
            if not player.member.is_up:
                player.member.up()
        self.town.settle()
        self.town.an_hour_passes()
        self._observe()

    # ---- what happens

    def _step(self) -> None:
        acts: dict[Callable[[Player], None], int] = {
            self._write: 9,
            self._append: 5,
            self._answer: 10,
            self._offline: 3,
            self._online: 4,
            self._kill: 3,
            self._up: 4,
            self._lose: 1,
            self.copy: 2,
            self._restore: 1,
            self._leave: 1,
            self._remove: 1,
            self._admit: 3,
            self._unshare: 2,
        }
        (act,) = self.chance.choices(list(acts), list(acts.values()))
        act(self.chance.choice(self.players))
        if self.chance.random() < 0.6:
            self.town.settle()
        else:
            for each in self.players:
                each.member.watch() if each.member.is_up else None
            for _ in range(self.chance.randrange(4)):
                self.town.network.settle()
                for each in self.players:
                    if each.member.is_up:
                        each.member.work()

    def _note(self, player: Player, what: str) -> None:
        self.done.append(f"{len(self.done)} {player.member.user} {what}")

    def _write(self, player: Player) -> None:
        project = self.chance.choice(PROJECTS)
        said = [f"said {self.chance.random()}" for _ in range(self.chance.randrange(1, 4))]
        if self.chance.random() < 0.2:
            said.append("much " * 100_000)
        self.write(player, project, *said)

    def write(self, player: Player, project: str, *said: str) -> None:
        """An agent of this member writes a session."""
        session = player.member.write_session(*said, cwd=self.places[player][project])
        self.written.append(Written(player, project, session))
        self._note(player, f"writes {session.id[:8]} in {project}")

    def _append(self, player: Player) -> None:
        mine = [w for w in self.written if w.author is player]
        if mine:
            each = self.chance.choice(mine)
            each.session.append(f"more {self.chance.random()}")
            self._note(player, f"appends to {each.session.id[:8]}")

    def _answer(self, player: Player) -> None:
        team = player.team()
        if team is None:
            return
        project = self.chance.choice([p.identity for p in team.projects] or [""])
        known = {s.project: s for s in player.answers() if s.member == player.me.key}
        status = known[project].status if project in known else Status.OFFERED
        direction = self.chance.choice(list(Direction))
        verb = self.chance.choice(_VERBS[status]) if project else ""
        if verb:
            self.answer(player, project, verb, direction)

    def answer(self, player: Player, project: str, verb: str, direction: Direction) -> None:
        """A member answers a project."""
        self._note(player, f"{verb} {direction if verb in 'accept change' else ''} {project}")
        self._hold_on(player, project)
        if verb == "accept":
            player.accept(project, direction)
        else:
            player.move(project, _moved(verb, direction))
        if verb in {"decline", "retract"}:
            self._withdraw(player, project)

    def _offline(self, player: Player) -> None:
        self._note(player, "offline")
        player.member.offline()

    def _online(self, player: Player) -> None:
        self._note(player, "online")
        player.member.online()

    def _kill(self, player: Player) -> None:
        if player.member.is_up:
            self._note(player, "killed")
            player.member.kill()

    def _up(self, player: Player) -> None:
        if not player.member.is_up:
            self._note(player, "up")
            player.member.up()

    def _lose(self, player: Player) -> None:
        names = self.chance.choice([*((n,) for n in _DATABASES), _DATABASES])
        self.lose(player, names)

    def lose(self, player: Player, names: Sequence[str]) -> None:
        """A member loses these databases, and starts its daemon."""
        self._note(player, f"loses {names}")
        self._swap(player, names, lambda: self._drop(player, names))

    def copy(self, player: Player) -> None:
        """Keep a copy of a member's databases as they are now."""
        self._note(player, "copies")
        place = player.member.folder / "copy"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name in _DATABASES:
            if (path := _database(player, name)).exists():
                copy_database(path, place / name)
        if player.member.paths.intent.exists():
            shutil.copy(player.member.paths.intent, place)
        self._backups[player] = place

    def _restore(self, player: Player) -> None:
        place = self._backups.get(player)
        if place is None:
            return
        copied = tuple(name for name in _DATABASES if (place / name).exists())
        self.restore(player, self.chance.choice([*((name,) for name in copied), copied]))

    def restore(self, player: Player, names: Sequence[str] = ("state.db",)) -> None:
        """A member replaces these databases with their copies, and starts its daemon."""
        self._note(player, f"restores {names}")
        place = self._backups[player]

        def put() -> None:
            self._drop(player, names)
            for name in names:
                shutil.copy(place / name, _database(player, name))

        self._swap(player, names, put)

    def restore_limits(self, player: Player) -> None:
        """A member replaces intent.json with its copy; its daemon is off."""
        self._note(player, "restores intent.json")
        shutil.copy(self._backups[player] / "intent.json", player.member.paths.intent)

    def _drop(self, player: Player, names: Iterable[str]) -> None:
        for name in names:
            for path in _database(player, name).parent.glob(f"{name}*"):
                path.unlink()

    def _swap(self, player: Player, names: Iterable[str], change: Callable[[], None]) -> None:
        """Change the databases while the daemon is off: nothing more is sent after that."""
        before = self._standing(player)
        if player.member.is_up:
            player.member.kill()
        change()
        if "state.db" in names:
            self._forget_unheard(player)
        player.member.up()
        for _ in range(3):
            player.member.work()
        after = self._standing(player)
        for project in PROJECTS:
            assert before.sends(project) or not after.sends(project), (player.me.tag, project)
        for each in self.written:
            each.least.pop(player, None)

    def _unshare(self, player: Player) -> None:
        mine = [each for each in self.written if each.author is player]
        if not mine or not player.member.is_up:
            return
        each = self.chance.choice(mine)
        if each.unshared:
            self.share_again(each)
        elif each.left and self._standing(player).sends(each.project):
            self.unshare(each)

    def unshare(self, each: Written) -> None:
        """An author takes one session back that it sends, and its daemon does so."""
        self._note(each.author, f"unshares {each.session.id[:8]}")
        each.author.unshare(each.session.id)
        each.author.member.work_off()
        each.unshare()

    def share_again(self, each: Written) -> None:
        """An author lets a session leave again that it took back."""
        self._note(each.author, f"shares {each.session.id[:8]} again")
        each.author.share_again(each.session.id)
        each.share_again()

    def _leave(self, player: Player) -> None:
        team = player.team()
        if team is not None and player is not self.leader:
            self.leave(player, retracted=self.chance.random() < 0.5)

    def leave(self, player: Player, *, retracted: bool) -> None:
        """A member leaves the team."""
        self._note(player, f"leaves, retracted: {retracted}")
        for project in PROJECTS:
            self._hold_on(player, project)
        player.leave(retracted=retracted)
        if retracted:
            self._withdraw(player, *PROJECTS)

    def _remove(self, player: Player) -> None:
        team = self.leader.team()
        if player is self.leader or team is None or not team.member(player.me.key):
            return
        self.remove(player, retracted=self.chance.random() < 0.5)

    def remove(self, player: Player, *, retracted: bool) -> None:
        """The leader removes a member."""
        self._note(player, f"is removed, retracted: {retracted}")
        for project in PROJECTS:
            self._hold_on(player, project)
        self.leader.remove(player, retracted=retracted)
        for each in self.written:
            each.least.pop(player, None)
        if retracted:
            self.taken_back.add(player)
            self._withdraw(player, *PROJECTS)

    def _admit(self, player: Player) -> None:
        team = self.leader.team()
        if player is self.leader or team is None or team.member(player.me.key):
            return
        if player.team() is None:  # it knows that it was removed
            self.admit(player)

    def admit(self, player: Player) -> None:
        """The leader adds a member."""
        self._note(player, "is added")
        self._forget_unheard(player)  # its document from before does not count any more
        self.taken_back.discard(player)
        self.leader.admit(player)
        for each in self.written:
            each.least.pop(player, None)
            if each.author is player:
                each.renew()

    # ---- what follows from it

    def _standing(self, player: Player) -> Standing:
        is_in, answers = player.standing()
        return Standing(is_in, {answer.project: answer for answer in answers})

    def _observe(self) -> None:
        standings = {player: self._standing(player) for player in self.players}
        for each in self.written:
            if standings[each.author].sends(each.project) and not each.unshared:
                each.left = len(each.session.content)
            for reader in self.players:
                each.observe(reader)
                if reader is not each.author and standings[reader].receives(each.project):
                    each.most[reader] = max(each.most.get(reader, 0), each.left)
            if each.author in self.taken_back and standings[each.author].sends(each.project):
                each.withdraw()  # it has not heard of its removal, and still sends

    def _hold_on(self, player: Player, project: str) -> None:
        """Expect sessions to stay that are readable through paths which this member will close.

        Not so what a reader is to delete when it hears that it was taken back.
        """
        for each in self.written:
            if each.project != project:
                continue
            readers = self.players if each.author is player else [player]
            for reader in readers:
                if reader in each.outdated:
                    continue
                if reader is not each.author and reader.team() is not None:
                    found = reader.member.peek(each.session.id)
                    if found is not None and each.session.content.startswith(found):
                        each.least[reader] = len(found)

    def _withdraw(self, author: Player, *projects: str) -> None:
        """An author takes back what it wrote, or the leader does."""
        for each in self._by(author, *projects):
            each.withdraw()

    def _forget_unheard(self, author: Player) -> None:
        """Expect no more of the items that a removed member took back without telling it yet."""
        led = self.leader.team()
        gone = led.former(author.me.key) if led else None
        if gone and gone.removal and gone.removal.how is How.REMOVED and not gone.removal.told:
            for each in self._by(author, *PROJECTS):
                each.cut_off()

    def _by(self, author: Player, *projects: str) -> list[Written]:
        return [w for w in self.written if w.author is author and w.project in projects]

    # ---- what must be

    def check(self) -> None:
        """Everybody agrees on the team, and reads exactly what the standings say."""
        standings = {player: self._standing(player) for player in self.players}
        self._check_team(standings)
        for each in self.written:
            for reader in self.players:
                if reader is not each.author:
                    self._check_reader(each, reader, standings)

    def _check_team(self, standings: dict[Player, Standing]) -> None:
        led = self.leader.team()
        assert led is not None
        for player, standing in standings.items():
            listed = led.member(player.me.key)
            if listed is None or listed.active:
                assert (listed is not None) == standing.is_in, f"{player.me.tag} in the team"
            if not standing.is_in:
                continue
            team = player.team()
            assert team is not None
            assert {m.key for m in team.members} == {m.key for m in led.members}, player.me.tag
            for other, theirs in standings.items():
                if other is not player and theirs.is_in:
                    self._check_answers(player, other, theirs)

    def _check_answers(self, player: Player, other: Player, theirs: Standing) -> None:
        known = {s.project: s for s in player.answers() if s.member == other.me.key}
        for project, answer in theirs.answers.items():
            seen = known.get(project)
            if answer.engaged:
                assert seen is not None
                assert (seen.status, seen.direction, seen.incarnation) == (
                    answer.status,
                    answer.direction,
                    answer.incarnation,
                ), f"{player.me.tag} of {other.me.tag}'s {project}"
            else:
                assert seen is None or not seen.engaged

    def _check_reader(
        self, each: Written, reader: Player, standings: dict[Player, Standing]
    ) -> None:
        name = f"{each.session.id[:8]} by {each.author.me.tag} at {reader.me.tag}"
        found = reader.member.peek(each.session.id)
        content = each.session.content
        sent = standings[each.author].sends(each.project) and not each.unshared
        if sent and standings[reader].receives(each.project):
            assert found is not None, f"{name} is not there"
            assert found == content, f"{name} has {len(found)} of {len(content)} bytes"
            return
        most = each.most.get(reader, 0)
        least = each.least.get(reader, 0)
        former = reader.former()
        if not standings[reader].is_in:
            if any(f.how is How.REMOVED for f in former):
                most = 0
            else:
                most = max(most, each.earlier.get(reader, 0))
        waits = any(standings[who].waits(each.project) for who in (each.author, reader))
        if each.unshared and waits:  # the others may even pass it on to this reader
            most = max([most, *each.earlier.values()])
        has = len(found or b"")
        assert has <= most, f"{name} has {has} bytes of at most {most}"
        assert has >= min(least, most), f"{name} has {has} bytes of at least {least}"
        assert content.startswith(found or b""), f"{name} is not what was written"


_VERBS = {
    Status.OFFERED: ["accept", "accept", "decline"],
    Status.ACCEPTED: ["pause", "change", "decline", "retract", ""],
    Status.PAUSED: ["resume", "resume", "decline"],
    Status.DECLINED: ["reopen"],
}


def _moved(verb: str, direction: Direction) -> Callable[[Subscription], Subscription]:
    def change(mine: Subscription) -> Subscription:
        return mine.change(direction, mine.content)

    def retract(mine: Subscription) -> Subscription:
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        return mine.change(Direction.RECEIVE, mine.content).retract(now_ms)

    plain = {
        "pause": Subscription.pause,
        "resume": Subscription.resume,
        "decline": Subscription.decline,
        "reopen": Subscription.reopen,
    }
    return {**plain, "change": change, "retract": retract}[verb]


def _database(player: Player, name: str) -> Path:
    paths = player.member.paths
    found = {path.name: path for path in (paths.state_db, paths.work_db, paths.library_db)}
    return found[name]


def copy_database(path: Path, to: Path) -> None:
    """Copy a database that is in use."""
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(to)) as new:
        old.backup(new)
