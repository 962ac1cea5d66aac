"""A no is for good, also in Syncthing's own configuration, until the person changes its mind."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town

pytestmark = pytest.mark.memory("each")


@dataclass(frozen=True)
class Asked:
    """A invites B to a team; B was asked and has not answered. Both run the same Syncthing."""

    a: Member
    b: Member

    @property
    def device(self) -> str:
        return str(self.a.json("code")["device"])

    def ignored(self) -> list[str]:
        found = self.b.rest("config")["remoteIgnoredDevices"] or []
        return [entry["deviceID"] for entry in found]

    def refused(self) -> list[str]:
        devices = self.b.rest("config/devices")
        (found,) = [d["ignoredFolders"] for d in devices if d["deviceID"] == self.device]
        return [entry["id"] for entry in found or []]

    def waiting(self, kind: str) -> dict[str, Any]:
        (found,) = until(lambda: self.b.json("inbox")[kind], f"one of B's {kind}")
        return dict(found)

    def pending(self) -> Any:
        return self.b.rest("cluster/pending/devices") | self.b.rest("cluster/pending/folders")


@pytest.fixture(scope="module")
def asked(town: Town) -> Asked:
    a, b = town.members("alice", "bob")
    a.run("team", "create", "backend")
    a.run("team", "add", b.code)
    return Asked(a, b)


def test_a_declined_contact_is_ignored_by_syncthing_and_heard_again_once_accepted(
    asked: Asked,
) -> None:
    contact = asked.waiting("contacts")
    asked.b.run("invitation", "decline", contact["id"])
    until(lambda: asked.ignored() == [asked.device], "A among the ignored devices")
    until(lambda: not asked.pending(), "A to be pending no more")

    assert asked.b.json("inbox")["contacts"] == []
    assert f"You declined {contact['id']}" in asked.b.run("inbox").out

    asked.b.run("invitation", "accept", contact["id"])
    until(lambda: not asked.ignored(), "A to be ignored no more")
    asked.waiting("invitations")


def test_a_declined_invitation_is_ignored_by_syncthing_and_joined_once_accepted(
    asked: Asked,
) -> None:
    invitation = asked.waiting("invitations")
    asked.b.run("invitation", "decline", invitation["id"])
    until(lambda: asked.refused() == [invitation["folder"]], "the folder among the ignored ones")
    until(lambda: not asked.b.folders(), "its folder to go")
    until(lambda: not asked.pending(), "it to be pending no more")

    asked.b.run("invitation", "accept", invitation["id"])
    until(lambda: not asked.refused(), "the folder to be ignored no more")
    until(lambda: asked.b.json("status")["peers"], "B to be in the team")
