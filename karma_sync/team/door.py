"""The leader's side of invitation codes: hears who knocks, opens doors, answers requests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from karma_sync.domain import limits
from karma_sync.domain.team.invitation import short_id
from karma_sync.domain.team.invite import (
    DOORS,
    Door,
    DoorStatus,
    Invite,
    InviteStatus,
    Refusal,
)
from karma_sync.domain.team.knock import door_of, is_proof, read_knock
from karma_sync.domain.team.pairing_code import is_address, read_device_name
from karma_sync.domain.text import printable
from karma_sync.errors import Unverified
from karma_sync.paths import is_door
from karma_sync.runtime.event_log import reason
from karma_sync.signing import PayloadType
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.admission import Asked, free_tag, invited_to, over
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.door_folder import ANSWER, OFFER, REQUEST, DoorFolder
from karma_sync.team.documents.door_papers import (
    DoorAnswer,
    DoorOffer,
    offered_projects,
    request_hash,
    verify_request,
)
from karma_sync.team.sign import Written

_NAME_CHARS = 80


@dataclass(frozen=True)
class Visitor:
    """A device that asks to connect: its ID, the name it gives itself, where it came from."""

    device: str
    name: str
    address: str


class DoorKeeper:
    """Opens a door for each device that has one of my codes, and answers what it asks there."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context

    def hear(
        self, visitors: Iterable[Visitor], offered: Iterable[tuple[str, str]]
    ) -> frozenset[str]:
        """Open a door for each device that proves to have a code; returns their IDs.

        `visitors` are devices that Syncthing does not know; `offered` are (folder, device) of
        folders that known devices offer: a device that Syncthing knows already never knocks.
        """
        now = self._context.now()
        with self._context.store.reading() as tx:
            invites = [i for i in state.invites.all(tx) if i.is_remembered(now)]
            if not invites:
                return frozenset()
            known = state.doors.all(tx)
        found = [*self._by_name(invites, visitors), *self._by_folder(invites, offered)]
        before = {door.folder: door for door in known}
        new: dict[str, Door] = {}
        for door in found:
            old = before.get(door.folder)
            room = DOORS - sum(
                d.invite == door.invite and d.status is not DoorStatus.CLOSED
                for d in (*known, *new.values())
            )
            if old is None and room > 0:
                new[door.folder] = door
            elif old and door.address and old.address != door.address:
                new[door.folder] = old.changed(address=door.address)
        if new:
            with self._context.store.transaction() as tx:
                state.doors.put(tx, *new.values())
                for door in new.values():
                    state.contacts.drop(tx, device=door.device)  # its reason code tells more
        return frozenset(door.device for door in found)

    def _by_name(self, invites: Sequence[Invite], visitors: Iterable[Visitor]) -> list[Door]:
        found = []
        for each in visitors:
            knock = read_knock(each.name)
            if knock is None:
                continue
            for invite in invites:
                key = bytes.fromhex(invite.knock_key)
                if any(is_proof(p, key, each.device, knock.port) for p in knock.proofs):
                    name, _ = read_device_name(knock.who)
                    address = _dialled(each.address, knock.port)
                    found.append(self._door(invite, each.device, name, address))
        return found

    def _by_folder(
        self, invites: Sequence[Invite], offered: Iterable[tuple[str, str]]
    ) -> list[Door]:
        return [
            self._door(invite, device, "", "")
            for folder, device in offered
            if is_door(folder)
            for invite in invites
            if door_of(bytes.fromhex(invite.knock_key), device) == folder
        ]

    def _door(self, invite: Invite, device: str, name: str, address: str) -> Door:
        return Door(
            folder=door_of(bytes.fromhex(invite.knock_key), device),
            invite=invite.id,
            device=device,
            name=printable(name)[:_NAME_CHARS],
            seen=self._context.now(),
            address=address,
        )

    def run(self) -> list[Written]:
        """End codes whose time is over, answer requests, and write my files into the doors."""
        with self._context.store.reading() as tx:
            if not state.invites.all(tx):
                return []
        self._let_time_pass()
        with self._context.store.reading() as tx:
            doors = state.doors.all(tx)
        return [written for door in doors if door.is_shared for written in self._at(door)]

    def _let_time_pass(self) -> None:
        with self._context.store.reading() as tx:
            if not self._due(tx):
                return
        with self._context.store.transaction() as tx:
            for invite in state.invites.all(tx):
                now_it_is = self._by_now(tx, invite)
                if now_it_is is None:
                    state.invites.drop(tx, id=invite.id)
                else:
                    state.invites.put(tx, now_it_is)
            kept = {invite.id for invite in state.invites.all(tx)}
            for door in state.doors.all(tx):
                if door.invite not in kept:
                    state.doors.drop(tx, folder=door.folder)
                elif self._has_joined(tx, door):
                    state.doors.put(tx, door.close())
        self._context.store.checkpoint()

    def _due(self, tx: Transaction) -> bool:
        is_over = any(self._by_now(tx, invite) != invite for invite in state.invites.all(tx))
        return is_over or any(self._has_joined(tx, door) for door in state.doors.all(tx))

    def _by_now(self, tx: Transaction, invite: Invite) -> Invite | None:
        """A code as it stands now; None if a knock with it is not answered any more.

        An open one of a team that I do not lead any more ends for good.
        """
        now = self._context.now()
        if not invite.is_remembered(now):
            return None
        if invite.status is not InviteStatus.OPEN:
            return invite
        if not invite.open_at(now):
            return invite.expire(now)
        team = state.teams.get(tx, invite.team)
        return invite if team and team.leader == self._context.me.key else invite.void(now)

    def _has_joined(self, tx: Transaction, door: Door) -> bool:
        """Whether the newcomer's own document came: it has read the answer, or needs none."""
        invite = state.invites.get(tx, door.invite)
        team = state.teams.get(tx, invite.team) if invite else None
        member = team.anybody(door.key) if team and door.key else None
        return door.status is DoorStatus.ADMITTED and member is not None and member.active

    def _at(self, door: Door) -> list[Written]:
        folder = DoorFolder(self._context.paths.folder(door.folder))
        if folder.is_full:
            with self._context.store.transaction() as tx:
                state.doors.put(tx, door.fill())
            why = f"it held more than {limits.DOOR_BYTES:,} bytes, and is gone"
            self._context.event_log.record_fault("door refused", _who(door), why)
            return []
        raw = folder.read(REQUEST)
        is_new = raw is not None and request_hash(raw) != door.request
        if raw is not None and (is_new or self._may_answer(door)):
            door = self._answer(door, raw)
        door = self._offer(door)
        papers = ((OFFER, door.offer), (ANSWER, door.answer))
        names = [folder.write(name, text.encode()) for name, text in papers if text]
        return [Written(door.folder, name) for name in names if name]

    def _may_answer(self, door: Door) -> bool:
        """Whether a request that waits waits no longer: a person answered, or its code is over."""
        if door.status is not DoorStatus.ASKING:
            return False
        with self._context.store.reading() as tx:
            invite = state.invites.get(tx, door.invite)
            team = state.teams.get(tx, invite.team) if invite else None
        is_over = invite and team and over(invite, team, self._context.me, self._context.now())
        return bool(door.consent or is_over)

    def _offer(self, door: Door) -> Door:
        """The door with an offer that shows the present state of the code and the team."""
        with self._context.store.reading() as tx:
            invite = state.invites.get(tx, door.invite)
            team = state.teams.get(tx, invite.team) if invite else None
        if invite is None or team is None:
            return door
        me = self._context.me
        offer = DoorOffer(
            team=team.id,
            device=door.device,
            name=team.name,
            leader=me.tag,
            projects=offered_projects(invited_to(invite, team)),
            confirm=invite.confirm,
            machine=invite.for_me,
            guest=bool(invite.limited_to),
            refused=over(invite, team, me, self._context.now())
            if door.status is DoorStatus.OPEN
            else None,
        )
        # an Ed25519 signature of the same bytes is always the same
        signed = self._context.key.sign(PayloadType.OFFER, offer.model_dump_json().encode())
        if signed.decode() == door.offer:
            return door
        changed = door.changed(offer=signed.decode())
        with self._context.store.transaction() as tx:
            state.doors.put(tx, changed)
        return changed

    def _answer(self, door: Door, raw: bytes) -> Door:
        """Answer a request: count the use and put the newcomer on the roster, or refuse it.

        All of it is one transaction; the file is written after it.
        """
        with self._context.store.transaction() as tx:
            fresh = state.doors.get(tx, door.folder)
            invite = state.invites.get(tx, door.invite)
            team = state.teams.get(tx, invite.team) if invite else None
            if fresh is None or invite is None or team is None:
                return door
            try:
                request = verify_request(raw, team.id, door.device).value
            except Unverified as error:
                self._context.event_log.record_fault("request refused", _who(door), reason(error))
                return fresh
            if request.attempt < fresh.attempt:
                return fresh  # an old file of the newcomer's
            me, digest = self._context.me, request_hash(raw)
            answered = self._answered(tx, Asked(fresh, invite, team, request, digest, me))
            state.doors.put(tx, answered)
        self._context.store.checkpoint()  # an ended code has no key any more, also not in the log
        return answered

    def _answered(self, tx: Transaction, asked: Asked) -> Door:
        request, now = asked.request, self._context.now()
        facts = {
            "request": asked.digest,
            "attempt": request.attempt,
            "tag": request.tag,
            "key": request.writer,
        }
        if not asked.is_member:
            why = asked.refusal(now)
            if why is not None:
                return asked.door.refuse(answer=self._signed(asked, why), **facts)
            if asked.waits:
                return asked.door.ask(answer="", consent="", **facts)
            state.put_changed(tx, asked.team, asked.team_with_newcomer(self._context.now_ms))
            state.invites.put(tx, asked.invite.use(now))
        return asked.door.admit(answer=self._signed(asked), **facts)

    def _signed(self, asked: Asked, why: Refusal | None = None) -> str:
        if why is Refusal.FORGED:
            said = "the request was not made with the invitation code"
            self._context.event_log.record_fault("request refused", _who(asked.door), said)
        free = free_tag(asked.team, asked.request.tag) if why is Refusal.TAG_TAKEN else None
        answer = DoorAnswer(team=asked.team.id, request=asked.digest, refused=why, free=free)
        payload = answer.model_dump_json().encode()
        return self._context.key.sign(PayloadType.ANSWER, payload).decode()


def _who(door: Door) -> str:
    return door.name or short_id(door.device)


def _dialled(seen: str, port: int) -> str:
    """The address to dial a device that came from `seen` (host:port); "" if nobody can tell."""
    host = seen.rpartition(":")[0].strip("[]")
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    address = f"tcp://[{host}]:{port}" if found.version == 6 else f"tcp://{host}:{port}"
    return address if is_address(address) else ""
