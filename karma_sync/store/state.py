"""Stores in state.db what the person and the teams decided, and the newest accepted documents."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.session.fork import SessionFork
from karma_sync.domain.session.selection import (
    Choices,
    Exclusion,
    Share,
    Unshared,
    WithheldObservation,
    Withhold,
)
from karma_sync.domain.team.invitation import Answer, Contact, Invitation, Pairing, Shown
from karma_sync.domain.team.invite import Door, Invite, Joining
from karma_sync.domain.team.machine import Machine, Mute, TeamPolicy, machine_keys
from karma_sync.domain.team.member import How, Member
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Team
from karma_sync.domain.value import Value
from karma_sync.store.database import Database, Transaction
from karma_sync.store.table import Table

_MIGRATIONS = [
    """
    CREATE TABLE team (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE subscription (
        team TEXT, project TEXT, member TEXT, body TEXT NOT NULL,
        PRIMARY KEY (team, project, member)) WITHOUT ROWID;
    CREATE TABLE pairing (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE contact (device TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE invitation (folder TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE root (path TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE agreed (
        team TEXT, project TEXT, name TEXT, body TEXT NOT NULL,
        PRIMARY KEY (team, project, name)) WITHOUT ROWID;
    CREATE TABLE former (team TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE removal (folder TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE followed (team TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE halt (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE withhold (session TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE share (
        session TEXT, project TEXT, body TEXT NOT NULL,
        PRIMARY KEY (session, project)) WITHOUT ROWID;
    CREATE TABLE exclusion (pattern TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE intent (id TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE floor (
        team TEXT, kind TEXT, version INTEGER NOT NULL, PRIMARY KEY (team, kind)) WITHOUT ROWID;
    CREATE TABLE document (
        team TEXT, kind TEXT, writer TEXT, version INTEGER NOT NULL, envelope BLOB NOT NULL,
        PRIMARY KEY (team, kind, writer)) WITHOUT ROWID
    """,
    """
    CREATE TABLE unshared (
        whose TEXT, name TEXT, body TEXT NOT NULL, PRIMARY KEY (whose, name)) WITHOUT ROWID;
    CREATE TABLE changed_redactions (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE invite (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE door (folder TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE joining (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
    """,
    "CREATE TABLE fork (session TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE withheld_observation (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE machine (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE policy (team TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE mute (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE shown (
        id TEXT, hash TEXT, body TEXT NOT NULL, PRIMARY KEY (id, hash)) WITHOUT ROWID
    """,
]

_FORMER = 8  # the most former projects that are kept of a directory


class KnownDirectory(Value, frozen=True, kw_only=True):
    """A directory that belongs to a project; stored, so that it still counts after it vanished.

    The person named it if it is `mapped`; otherwise git did. `former` are the projects that git
    named there before, the oldest first.
    """

    path: str
    project: str
    mapped: bool = False
    former: tuple[str, ...] = ()

    def renamed_to(self, project: str) -> "KnownDirectory":
        """The same directory after git named another project there."""
        before = [p for p in (*self.former, self.project) if p != project]
        kept = tuple(dict.fromkeys(before))[-_FORMER:]
        return KnownDirectory(path=self.path, project=project, former=kept)


class Agreed(Value, frozen=True, kw_only=True):
    """Another name of a project, under which I agreed to send to a team."""

    team: str
    project: str
    name: str


class Former(Value, frozen=True, kw_only=True):
    """A team that I left or from which I was removed, at a moment (UTC).

    `key` and `incarnation` are mine as that team's roster had them: a roster that lists me with no
    higher incarnation is from before. `projects` are those of which something may be here. The
    items that I received are deleted at `purge_at`; None means that they stay. `devices` were the
    others': until they know, they may still ask to connect. If I left, `retracted` is true if I
    took back the items that I had sent.
    """

    team: str
    name: str
    how: How
    at: datetime
    key: str
    incarnation: int
    projects: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    purge_at: datetime | None = None
    retracted: bool = False

    def is_purged(self, now: datetime) -> bool:
        """Whether what I received is to be deleted by `now`."""
        return self.purge_at is not None and now >= self.purge_at


class RemovalOffer(Value, frozen=True, kw_only=True):
    """A folder with the notice of my removal from a team, and the devices that offer it.

    `until` is set once I was told: the folder is kept for that long, so that the others get my
    acknowledgement, and the envelope of my `last` document with its `version`. `refused` is since
    when the notice in it is refused.
    """

    folder: str
    team: str
    incarnation: int
    devices: tuple[Device, ...]
    until: datetime | None = None
    refused: datetime | None = None
    last: str = ""
    version: int = 0


class GlobalPause(Value, frozen=True, kw_only=True):
    """A pause of everything: until a moment (UTC), or until a person resumes (None).

    `why` gives the reason if karma-sync paused by itself; "" if a person did.
    """

    id: str = "all"
    until: datetime | None = None
    why: str = ""

    def is_active(self, now: datetime) -> bool:
        """Whether the pause has not ended at `now`."""
        return self.until is None or now < self.until

    def ends_before(self, other: "GlobalPause") -> bool:
        """Whether this pause ends earlier than the other one."""
        if self.until is None or other.until is None:
            return other.until is None and self.until is not None
        return self.until < other.until


class ChangedRedactions(Value, frozen=True, kw_only=True):
    """The time of the last change to the person's own redactions (UTC); see `redactions.json`."""

    id: str = "all"
    at: datetime


class Document(Value, frozen=True, kw_only=True):
    """The newest accepted envelope of one writer, byte for byte as it was signed."""

    team: str
    kind: str
    writer: str
    version: int
    envelope: bytes


class Followed(Value, frozen=True, kw_only=True):
    """The last link, by its envelope, of a team that I lead: another member has my roster."""

    team: str
    link: str


teams = Table("team", Team, ["id"])
subscriptions = Table("subscription", Subscription, ["team", "project", "member"])
pairings = Table("pairing", Pairing, ["key"])
contacts = Table("contact", Contact, ["device"])
invitations = Table("invitation", Invitation, ["folder"])
shown = Table("shown", Shown, ["id", "hash"])
invites = Table("invite", Invite, ["id"])
doors = Table("door", Door, ["folder"])
joinings = Table("joining", Joining, ["id"])
roots = Table("root", KnownDirectory, ["path"])
agreements = Table("agreed", Agreed, ["team", "project", "name"])
formers = Table("former", Former, ["team"])
removals = Table("removal", RemovalOffer, ["folder"])
followed = Table("followed", Followed, ["team"])
halts = Table("halt", GlobalPause, ["id"])
unshared = Table("unshared", Unshared, ["whose", "name"])
changed_redactions = Table("changed_redactions", ChangedRedactions, ["id"])
withholds = Table("withhold", Withhold, ["session"])
withheld_observations = Table("withheld_observation", WithheldObservation, ["id"])
shares = Table("share", Share, ["session", "project"])
forks = Table("fork", SessionFork, ["session"])
machines = Table("machine", Machine, ["key"])
policies = Table("policy", TeamPolicy, ["team"])
mutes = Table("mute", Mute, ["key"])
exclusions = Table("exclusion", Exclusion, ["pattern"])


def open_state(path: Path) -> Database:
    """Open state.db; creates it if it does not exist."""
    # durable: others may have a signed document already, so a power cut must not undo its version
    return Database(path, _MIGRATIONS, durable=True)


def answers(tx: Transaction, **where: str) -> list[Subscription]:
    """The answers that count: after a project was shared again, earlier ones do not.

    `where` limits them as in `Table.all`.
    """
    shared = {(t.id, p.identity): p.incarnation for t in teams.all(tx) for p in t.projects}
    found = subscriptions.all(tx, **where)
    return [s.towards(shared.get((s.team, s.project), s.offer)) for s in found]


def my_machines(tx: Transaction, me: str) -> frozenset[str]:
    """The keys of those that I, with this key, call other machines of mine."""
    personal = {policy.team for policy in policies.all(tx) if policy.personal}
    return machine_keys(me, machines.all(tx), teams.all(tx), personal)


def choices(tx: Transaction) -> Choices:
    """The person's choices for single sessions and directories."""
    return Choices(
        withheld=frozenset(w.session for w in withholds.all(tx)),
        shares=tuple(shares.all(tx)),
        exclusions=tuple(exclusions.all(tx)),
        forks={fork.session: fork.author for fork in forks.all(tx)},
        observations=frozenset(each.id for each in withheld_observations.all(tx)),
    )


def intent_version(tx: Transaction) -> int:
    """The version of intent.json that agrees with this database; 0 if none was written."""
    row = tx.execute("SELECT version FROM intent WHERE id = 'mine'").fetchone()
    return int(row["version"]) if row else 0


def put_intent_version(tx: Transaction, version: int) -> None:
    """Record that this version of intent.json agrees with this database."""
    tx.execute("INSERT OR REPLACE INTO intent VALUES ('mine', ?)", [version])


def put_document(tx: Transaction, document: Document) -> None:
    """Store `document` as the newest of its writer."""
    tx.execute(
        "INSERT INTO document VALUES (?, ?, ?, ?, ?) ON CONFLICT (team, kind, writer)"
        " DO UPDATE SET version = excluded.version, envelope = excluded.envelope",
        [document.team, document.kind, document.writer, document.version, document.envelope],
    )


def get_document(tx: Transaction, team: str, kind: str, writer: str) -> Document | None:
    """The newest accepted document of this writer; None if there is none."""
    row = tx.execute(
        "SELECT * FROM document WHERE team = ? AND kind = ? AND writer = ?", [team, kind, writer]
    ).fetchone()
    return Document.from_fields(dict(row)) if row else None


def documents(tx: Transaction, team: str) -> list[Document]:
    """The newest accepted documents of a team, one of each kind and writer."""
    rows = tx.execute("SELECT * FROM document WHERE team = ? ORDER BY kind, writer", [team])
    return [Document.from_fields(dict(row)) for row in rows]


def put_changed(tx: Transaction, before: Team, after: Team) -> None:
    """Store a team whose members changed.

    Who was added again has not answered anything yet. The pairing and the contact through which
    somebody came who is no longer in it go, or its device would stay known.
    """
    for member in after.everybody:
        known = before.known(member.key)
        if known and known.incarnation != member.incarnation:
            subscriptions.drop(tx, team=after.id, member=member.key)
    teams.put(tx, after)
    _forget_requests(tx, (m for m in before.everybody if after.anybody(m.key) is None))


def forget_team(tx: Transaction, team: Team) -> None:
    """Remove all about a team but the versions that I may never use again.

    The pairings and contacts through which I came into it go too.
    """
    newest: dict[str, int] = {}
    for document in documents(tx, team.id):
        newest[document.kind] = max(newest.get(document.kind, 0), document.version)
    for kind, version in newest.items():
        raise_minimum_version(tx, team.id, kind, version)
    tx.execute("DELETE FROM document WHERE team = ?", [team.id])
    subscriptions.drop(tx, team=team.id)
    agreements.drop(tx, team=team.id)
    policies.drop(tx, team=team.id)
    followed.drop(tx, team=team.id)
    teams.drop(tx, id=team.id)
    _forget_requests(tx, team.everybody)


def _forget_requests(tx: Transaction, gone: Iterable[Member]) -> None:
    """Remove the pairings and contacts through which members came who are in no team of mine now.

    A decline is for good.
    """
    still = {member.key for team in teams.all(tx) for member in team.everybody}
    for member in gone:
        if member.key in still:
            continue
        pairing, contact = pairings.get(tx, member.key), contacts.get(tx, member.device)
        if pairing and pairing.used:
            pairings.drop(tx, key=member.key)
        if contact and contact.answer is not Answer.DECLINED:
            contacts.drop(tx, device=member.device)


def raise_minimum_version(tx: Transaction, team: str, kind: str, version: int) -> None:
    """Record that others accepted this version of one of my documents."""
    tx.execute(
        "INSERT INTO floor VALUES (?, ?, ?) ON CONFLICT (team, kind)"
        " DO UPDATE SET version = max(version, excluded.version)",
        [team, kind, version],
    )


def minimum_version(tx: Transaction, team: str, kind: str) -> int:
    """The highest version of one of my documents that others accepted; 0 if unknown."""
    row = tx.execute(
        "SELECT version FROM floor WHERE team = ? AND kind = ?", [team, kind]
    ).fetchone()
    return int(row["version"]) if row else 0
