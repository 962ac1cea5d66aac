"""`python -m tests.support.large DIRECTORY MB`: a large session, sent and received in this process.

Transcript, subagent and tool results have that size each.

Prints how many bytes of memory the process had at most. Whatever does not come out right raises.
"""

import hashlib
import resource
import sys
from pathlib import Path

from karma_sync.agents.catalogue import Catalogue
from karma_sync.channel.layout import ITEMS
from karma_sync.sending.packaging.packager import Packager
from tests.support.builders import (
    ALICE,
    BOB,
    Desk,
    Shelf,
    channel_of,
    key_of,
    record,
    said,
    team_of_all,
)
from tests.unit.sending.test_packager import swapping

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
AGENT = "s1/subagents/agent-a.jsonl"
RESULT_BYTES = 200_000
LINE = said("secret " + "x" * 100_000)


def main(root: Path, mb: int) -> None:
    """Package, package again when the source of a part is gone, import, read."""
    desk = Desk(root, CHANNEL, swapping())
    expected = hashlib.sha256()
    for name in ("s1.jsonl", AGENT):
        path = desk.write(record(sessionId="s1"), name)
        with path.open("ab") as out:
            for _ in range(mb * 10**6 // len(LINE)):
                out.write(LINE)
    for number in range(mb * 10**6 // RESULT_BYTES):
        desk.write(b"%d " % number + b"y" * RESULT_BYTES, f"s1/tool-results/toolu_{number}.txt")
    with (desk.directory / "s1.jsonl").open("rb") as source:
        for line in source:
            expected.update(line.replace(b"secret", b"[REDACTED:fake]"))
    _package(desk)
    (desk.directory / AGENT).unlink()
    desk.packager = Packager(swapping("swap-2"), key_of(ALICE), desk.work, lambda: 2**50)
    desk.packager.load(CHANNEL.id)
    _package(desk)

    shelf = Shelf(root)
    [item] = [path.stem for path in (desk.outbox.path / ITEMS).glob("*.ks")]
    shelf.importer.import_item(CHANNEL, desk.outbox.path, item)
    found = shelf.library.session(shelf.scope, "s1")
    for name in ("transcript.jsonl", "subagents/agent-a.jsonl"):
        read = hashlib.sha256()
        for piece in shelf.library.content(shelf.scope, found, name):
            read.update(piece)
        assert read.digest() == expected.digest(), name
    print(_most_memory())


def _package(desk: Desk) -> None:
    session = desk.session()
    facts = Catalogue(list, lambda _: None).facts(session)
    while desk.packager.package(CHANNEL, session, facts, desk.outbox).left:
        continue


def _most_memory() -> int:
    """`getrusage` would count the process that started this one too, where Linux can tell."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [x for x in status.read_text().splitlines() if x.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
