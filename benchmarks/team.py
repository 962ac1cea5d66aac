"""The cost of a team for one of its members: an idle daemon in teams of several sizes."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import results
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode, device_text
from karma_sync.domain.team.subscription import USUAL, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import state
from karma_sync.team.documents.answers import member_document
from karma_sync.team.documents.folder import MetadataFolder
from karma_sync.team.documents.receipt import Receipt
from karma_sync.team.documents.stored import MEMBER, RECEIPT
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.players import Player

_SIZES = (5, 10, 20, 50)
_PROJECTS = 20
_CYCLES = 10
_SETTLES = 12  # longer than the ten minutes in which each folder has its turn to be checked


def simulated_team() -> None:
    """CPU and writes of one member's idle cycle in teams of several sizes."""
    figures: results.Figures = {}
    for size in _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            town = MemoryTown(Path(folder))
            try:
                figures[str(size)] = _idle(town, size)
            finally:
                town.close()
    how = (
        f"{_CYCLES} idle cycles of all workers of one member with {_PROJECTS} projects that all"
        " members of its team send and receive. The other members are documents that were signed"
        " for them; Syncthing is the one in memory that the tests use. `cpu_ms`: CPU time of a"
        " cycle, median, without Syncthing's own; `writes`: changes of any file of the member, and"
        " requests that change something, in all cycles; `channels`: the member's folders of items"
    )
    results.write("simulated_team", how, {"n": _CYCLES, "members": figures})


def _idle(town: MemoryTown, size: int) -> results.Figures:
    member = town.member("alice")
    player = Player(member)
    member.up()
    player.found()
    player.share(*(f"example.org/acme/p{number}" for number in range(_PROJECTS)))
    for number in range(_PROJECTS):
        player.accept(f"example.org/acme/p{number}", Direction.BOTH)
    keys = _add_others(town, player, size)
    member.work()
    _sign_documents(player, keys)
    for _ in range(_SETTLES):
        town.settle()
        town.minute_passes()
    before, sent = _files(member), member.syncthing.writes
    spent = []
    for _ in range(_CYCLES):
        town.network.settle()
        town.minute_passes()
        began = time.process_time() - member.syncthing.answering_s
        while member.work():
            pass
        spent.append((time.process_time() - member.syncthing.answering_s - began) * 1000)
    assert not member.failures, member.failures
    channels = sum(name.startswith("ks-c-") for name in member.folders())
    assert channels == size * _PROJECTS, channels
    return {
        "cpu_ms": round(statistics.median(spent), 1),
        "cpu_ms_max": round(max(spent), 1),
        "writes": len(before ^ _files(member)) + member.syncthing.writes - sent,
        "channels": channels,
    }


def _add_others(town: MemoryTown, player: Player, size: int) -> list[SigningKey]:
    """Put the other members on the roster; their keys."""
    keys = [SigningKey.create(town.folder / f"key{number}.pem") for number in range(1, size)]
    others = tuple(
        Member(
            tag=f"member{number}.box",
            device=device_text(bytes([number]) * 32),
            key=key.public,
            # where nothing listens, as if the member were offline
            addresses=("tcp://127.0.0.1:9",),
        )
        for number, key in enumerate(keys, 1)
    )
    with player.app() as app, app.state.transaction() as tx:
        [team] = state.teams.all(tx)
        state.teams.put(tx, team.changed(members=(*team.members, *others)))
    return keys


def _sign_documents(player: Player, keys: list[SigningKey]) -> None:
    """Put the others' documents where Syncthing would put them: all take part in all projects."""
    team = player.team()
    assert team is not None
    folder = MetadataFolder(player.member.paths.folder(metadata_folder(team.id)))
    for key in keys:
        folder.put(MEMBER, key.public, _document(team, key))
        receipt = Receipt(team=team.id, writer=key.public, version=1, channels=(), seen=())
        signed = key.sign(PayloadType.RECEIPT, receipt.to_json().encode())
        folder.put(RECEIPT, key.public, signed)


def _document(team: Team, key: SigningKey) -> bytes:
    answers = [
        Subscription(
            team=team.id,
            project=project.identity,
            member=key.public,
            incarnation=1,
            offer=project.incarnation,
        ).accept(1, Direction.BOTH, USUAL, Limits())
        for project in team.projects
    ]
    member = team.member(key.public)
    assert member is not None
    code = PairingCode(member.tag, member.device, key.public, member.addresses)
    document = member_document(team, code, answers, 1)
    return key.sign(PayloadType.MEMBER, document.model_dump_json().encode())


def _files(member: MemoryMember) -> set[tuple[str, int, int]]:
    """Every file in the member's data directory with its time and size."""
    return {
        (str(path), path.stat().st_mtime_ns, path.stat().st_size)
        for path in member.paths.data.rglob("*")
        if path.is_file() and path.suffix != ".db-shm"
    }
