"""The newcomer's side of invitation codes: asks the leader through the door, and hears the answer.

The knock itself is the name of our device, which `domain/mesh/plan.py` decides.
"""

from collections.abc import Callable

from karma_sync.domain.team.invitation import Answer, Invitation
from karma_sync.domain.team.invite import REMEMBERED, Joining, Refusal
from karma_sync.domain.team.machine import personal_policy
from karma_sync.errors import Unverified
from karma_sync.paths import metadata_folder
from karma_sync.runtime.event_log import reason
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.door_folder import ANSWER, KNOCK, OFFER, REQUEST, DoorFolder
from karma_sync.team.documents.door_papers import (
    DoorRequest,
    request_file,
    verify_answer,
    verify_offer,
)
from karma_sync.team.sign import Written


class JoinRequests:
    """Goes on with each code that I pasted, until I joined or was refused."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context

    def run(self) -> list[Written]:
        """Go on with each; returns the files that were written into doors."""
        with self._context.store.reading() as tx:
            joinings = [each for each in state.joinings.all(tx) if each.is_open]
        return [written for each in joinings for written in self._go_on(each)]

    def _go_on(self, joining: Joining) -> list[Written]:
        with self._context.store.reading() as tx:
            team = state.teams.get(tx, joining.team)
        if team is not None:
            self._joined(joining)
            self._context.store.checkpoint()  # the keys are not in the database's log either
            return []
        door = joining.door(self._context.me.device)
        folder = DoorFolder(self._context.paths.folder(door))
        joining = self._hear(joining, folder)
        if not joining.is_open:
            return []
        names = [folder.write(KNOCK, b"{}\n")]
        if joining.agreed:
            self._accept(joining)
            joining = self._ask(joining)
            names.append(folder.write(REQUEST, joining.request.encode()))
        return [Written(door, name) for name in names if name]

    def _joined(self, joining: Joining) -> None:
        """Take note that I am in the team; with my other machine in it, as a team of my own."""
        with self._context.store.transaction() as tx:
            fresh = state.joinings.get(tx, joining.id) or joining
            if not fresh.is_open:
                return
            if fresh.same_person:
                state.policies.put(tx, personal_policy(fresh.team, fresh.direction))
            state.joinings.put(tx, fresh.join())

    def _hear(self, joining: Joining, folder: DoorFolder) -> Joining:
        """The leader's present answer; a file that is not the leader's is recorded as a fault."""
        now = self._context.now()
        if now >= joining.expires + REMEMBERED:
            return self._refused(joining, Refusal.EXPIRED)
        try:
            joining = self._hear_offer(joining, folder.read(OFFER))
            return self._hear_answer(joining, folder.read(ANSWER))
        except Unverified as error:
            who = joining.leader or f"invitation code {joining.id}"
            self._context.event_log.record_fault("answer refused", who, reason(error))
            return joining

    def _hear_offer(self, joining: Joining, raw: bytes | None) -> Joining:
        if raw is None:
            return joining
        offer = verify_offer(raw, joining.key, joining.team, self._context.me.device).value
        if offer.refused is not None:
            return self._refused(joining, offer.refused)
        offered = {
            "team_name": offer.name,
            "leader": offer.leader,
            "projects": offer.projects,
            "confirm": offer.confirm,
            "machine": offer.machine,
            "guest": offer.guest,
        }
        if joining.changed(**offered) == joining:
            return joining
        return self._change(joining, lambda fresh: fresh.learn(**offered))

    def _hear_answer(self, joining: Joining, raw: bytes | None) -> Joining:
        if raw is None or not joining.request or not joining.is_open:
            return joining
        asked = joining.request.encode()
        answer = verify_answer(raw, joining.key, joining.team, asked).value
        if answer.refused is None:
            self._accept(joining, is_answered=True)
            return joining
        return self._refused(joining, answer.refused, answer.free or "")

    def _accept(self, joining: Joining, *, is_answered: bool = False) -> None:
        """Accept the invitation to exactly this team, once its metadata folder is offered.

        If the folder were there before the leader shares it, the leader's Syncthing could send its
        index before ours knows of the share, and 1.29 then loses a second (docs/syncthing.md).
        """
        folder = metadata_folder(joining.team)
        new = Invitation(folder=folder, device=joining.device, seen=self._context.now())
        with self._context.store.reading() as tx:
            known = state.invitations.get(tx, folder)
        if (known is None and not is_answered) or (known and known.is_accepted):
            return
        with self._context.store.transaction() as tx:
            found = state.invitations.get(tx, folder) or new
            accepted = found.offered_by(joining.device).changed(answer=Answer.ACCEPTED)
            state.invitations.put(tx, accepted)

    def _ask(self, joining: Joining) -> Joining:
        """The joining with a request, which is committed before the file is written."""
        if joining.request:
            return joining
        me, attempt = self._context.me, joining.attempt + 1
        request = DoorRequest(
            team=joining.team,
            writer=me.key,
            tag=me.tag,
            device=me.device,
            addresses=me.addresses,
            attempt=attempt,
            same_person=joining.same_person,
        )
        key = bytes.fromhex(joining.admission_key)
        file = request_file(request, key, self._context.key).decode()

        def asked(tx: Transaction) -> Joining:
            fresh = state.joinings.get(tx, joining.id) or joining
            return fresh.ask(file, attempt)

        return self._store(asked)

    def _refused(self, joining: Joining, why: Refusal, free: str = "") -> Joining:
        def refused(tx: Transaction) -> Joining:
            fresh = state.joinings.get(tx, joining.id) or joining
            if joining.agreed:  # the yes was to this code
                state.invitations.drop(tx, folder=metadata_folder(joining.team))
            return fresh.be_refused(why, free) if fresh.is_open else fresh

        ended = self._store(refused)
        self._context.store.checkpoint()  # the keys are not in the database's log either
        return ended

    def _change(self, joining: Joining, move: Callable[[Joining], Joining]) -> Joining:
        def changed(tx: Transaction) -> Joining:
            fresh = state.joinings.get(tx, joining.id) or joining
            return move(fresh) if fresh.is_open else fresh

        return self._store(changed)

    def _store(self, change: Callable[[Transaction], Joining]) -> Joining:
        with self._context.store.transaction() as tx:
            changed = change(tx)
            state.joinings.put(tx, changed)
        return changed
