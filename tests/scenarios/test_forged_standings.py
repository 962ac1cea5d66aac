"""A document that a member or guest signs in bad faith about itself changes nothing for others."""

from datetime import UTC, datetime

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import USUAL, Status
from karma_sync.paths import channel_folder, metadata_folder
from karma_sync.service import invitations, teams
from karma_sync.signing import PayloadType, open_envelope
from karma_sync.team.admission import Newcomer
from karma_sync.team.documents.models import Answered, MemberDocument, Proposal
from tests.support.evil import Evil, forged, item_file
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.players import Player, team_of


def documents_of(player: Player) -> str:
    """The metadata folder of its only team."""
    team = player.team()
    assert team is not None
    return metadata_folder(team.id)


def own_document(evil: Evil, folder: str) -> MemberDocument:
    """The member's genuine document as it lies in its folder."""
    raw = (evil.member.paths.folder(folder) / f"member/{evil.key.public}.json").read_bytes()
    payload = open_envelope(raw, evil.key.public, PayloadType.MEMBER)
    return MemberDocument.model_validate_json(payload)


def publish(evil: Evil, folder: str, document: MemberDocument) -> None:
    signed = evil.key.sign(PayloadType.MEMBER, document.model_dump_json().encode())
    evil.write(folder, f"member/{evil.key.public}.json", signed)
    evil.announce(folder)


def proposed(player: Player, other: Player) -> tuple[str, ...]:
    """The projects that another member proposes, as this one knows it."""
    team = player.team()
    member = team and team.member(other.me.key)
    assert member
    return member.proposals


def faults(member: MemoryMember, words: str) -> list[str]:
    return [line for line in member.run("events").lines if words in line]


def test_of_two_documents_under_one_version_each_keeps_the_first_and_says_so_once(
    here: MemoryTown,
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    folder = documents_of(a)
    evil = Evil(c.member)
    genuine = own_document(evil, folder)
    here.settle()
    for reader, other, project in ((a, b, "one"), (b, a, "two")):
        proposal = (Proposal(project=f"example.org/acme/{project}"),)
        changes = {"version": genuine.version + 10, "proposals": proposal}
        other.member.offline()
        reader.member.online()
        publish(evil, folder, genuine.model_copy(update=changes))
        here.settle()
    a.member.online()
    for _ in range(3):
        here.settle()
        here.an_hour_passes()

    assert proposed(a, c) == ("example.org/acme/one",)
    assert proposed(b, c) == ("example.org/acme/two",)
    for reader in (a, b):
        assert len(faults(reader.member, "two contents under version")) == 1, reader.me.tag
    session = a.member.write_session("it goes on")
    here.settle()
    assert b.member.holds(session)


def test_nobody_takes_an_item_from_a_guest_whatever_it_signs(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    guest = Player(here.member("lea").up())
    now = datetime.now(UTC)
    with guest.app() as app:
        invitations.pair(app.state, app.me, a.me, now)
    with a.app() as app:
        teams.add_member(app.state, app.me, Newcomer(guest.me, limited_to=(PROJECT,)), None, now)
    here.settle()
    guest.accept(PROJECT, Direction.RECEIVE)
    session = a.member.write_session("by alice")
    here.settle()
    assert guest.member.holds(session)
    team = a.team()
    assert team is not None
    (outbox,) = a.member.outboxes()
    evil = Evil(guest.member)

    # it says that it sends, in a channel of its own
    answer = Answered(
        project=PROJECT,
        status=Status.ACCEPTED,
        direction=Direction.BOTH,
        content=USUAL,
        incarnation=1,
        offer=team.projects[0].incarnation,
    )
    document = own_document(evil, documents_of(a))
    changes = {"version": document.version + 10, "subscriptions": (answer,)}
    publish(evil, documents_of(a), document.model_copy(update=changes))
    mine = channel_folder(team.id, guest.me.key, PROJECT, f"{answer.offer}.1")
    genuine = item_file(outbox, session.id, a.me.key)
    item = forged(genuine.read_bytes(), a.me.key, evil.key, item_id="ab" * 16)
    evil.offer(mine, a.me.device)
    evil.write(mine, f"items/{'ab' * 16}.ks", item)
    evil.announce(mine)
    # and it signs an item in the channel of the leader
    evil.take_over(outbox.name)
    evil.write(outbox.name, f"items/{'ab' * 16}.ks", item)
    evil.announce(outbox.name)
    here.settle()

    for member in (a.member, b.member):
        assert mine not in member.folders()
    assert len(faults(b.member, "item refused")) == 1
    after = a.member.write_session("it goes on")
    here.settle()
    assert b.member.holds(session, after)


def test_a_folder_with_the_id_of_a_team_that_it_is_not_in_gets_a_member_nothing(
    here: MemoryTown,
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    before = documents_of(a)
    a.member.run("team", "create", "second")
    b.member.run("pair", a.member.code)
    a.member.run("team", "add", b.member.code, "--team", "second", "--yes")
    here.settle()
    (second,) = {f for f in a.member.folders() if f.startswith("ks-m-")} - {before}
    genuine = {p.name: p.read_bytes() for p in a.member.paths.folder(second).rglob("*.json")}
    evil = Evil(c.member)
    evil.offer(second, a.me.device)
    evil.write(second, f"roster/{a.me.key}.json", b"forged")
    evil.announce(second)
    for _ in range(2):
        here.settle()
        here.an_hour_passes()

    shared = {
        folder["id"]: {device["deviceID"] for device in folder["devices"]}
        for folder in a.member.rest("config/folders")
    }
    assert shared[second] == {a.me.device, b.me.device}
    received = {p.name for p in c.member.paths.folder(second).rglob("*.json")}
    assert received == {f"{a.me.key}.json"}, "what it wrote itself"
    assert {
        p.name: p.read_bytes() for p in a.member.paths.folder(second).rglob("*.json")
    }.keys() == genuine.keys()
