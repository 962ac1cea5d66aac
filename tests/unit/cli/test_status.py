"""The output of `status`, line by line, from made-up answers: no daemon, no database."""

from datetime import UTC, datetime, timedelta

import pytest

from karma_sync.cli.daemon.status_text import status_lines
from karma_sync.cli.notices import STARTING
from karma_sync.cli.screen import Line, fit
from karma_sync.daemon.lock import Running
from karma_sync.domain.events import Event, EventType
from karma_sync.domain.team.invite import Door
from karma_sync.domain.team.member import MemberStatus
from karma_sync.domain.team.subscription import Status as Answer
from karma_sync.sending.ledger.recalls import CalledBack
from karma_sync.service.invitations import Waiting
from karma_sync.service.status_model import (
    Peer,
    ProjectStatus,
    ReceiverStatus,
    Renames,
    StatusReport,
    TransferStatus,
)
from karma_sync.store.state import GlobalPause
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    PROJECT,
    answer,
    code_of,
    member_of,
    team_of_all,
)

TEAM = team_of_all(ALICE, BOB, CAROL)
UP = Running(1, NOW, "v1.29.5")


def peer(tag: str, days_away: int | None = None) -> Peer:
    seen = datetime.now(UTC) - timedelta(days=days_away or 0)
    return Peer(member_of(tag), days_away is None, seen)


def project(**changes: object) -> ProjectStatus:
    fields: dict[str, object] = {
        "team": TEAM,
        "mine": answer(TEAM, ALICE),
        "sent": 5,
        "recovering": "",
        "receivers": [ReceiverStatus(peer(BOB), 5, True, None)],
        "received": {BOB: 3},
        "arriving": {},
        "waiting": 0,
        "refused": {},
        "withheld": {},
        "failed": {},
        "called_back": [],
        "renames": Renames(),
    }
    return ProjectStatus(**(fields | changes))  # type: ignore[arg-type] # tests name fields


def shown(daemon: Running | None = UP, **changes: object) -> list[str]:
    fields: dict[str, object] = {
        "peers": [peer(BOB), peer(CAROL, 3)],
        "projects": [project()],
        "teams": [TEAM],
        "inbox": Waiting([], [], 0),
        "paused": None,
        "faults": {},
    }
    found = StatusReport(**(fields | changes))  # type: ignore[arg-type] # tests name fields
    return [line.text for line in status_lines(code_of(ALICE), found, daemon)]


def test_a_small_team_without_worries_is_told_in_a_few_lines() -> None:
    assert shown() == [
        f"{ALICE}, key {code_of(ALICE).fingerprint}",
        "up since 2026-05-31 12:00 UTC, Syncthing v1.29.5",
        "",
        "PEER                  LAST SEEN",
        "bob.tower  connected  now",
        "carol.air  away       3 days ago",
        "",
        f"{PROJECT} in backend: accepted, both",
        "  sent 5 sessions",
        "    bob.tower has confirmed all",
        "  received 3 by bob.tower",
    ]


@pytest.mark.parametrize(
    ("receiver", "line"),
    [
        (ReceiverStatus(peer(BOB), 2, False, None), "bob.tower has confirmed 2 of 5"),
        (
            ReceiverStatus(peer(BOB, 2), 0, False, None),
            "bob.tower has confirmed 0 of 5; last seen 2 days ago",
        ),
        (
            ReceiverStatus(peer(BOB), 2, False, TransferStatus(3_100_000, 4, 130)),
            "bob.tower has confirmed 2 of 5; about 3.1 MB left, about 2 minutes",
        ),
        (
            ReceiverStatus(peer(BOB), 2, False, TransferStatus(3_100_000, 4, None)),
            "bob.tower has confirmed 2 of 5; about 3.1 MB left",
        ),
        (
            ReceiverStatus(peer(BOB), 2, False, None, paused=True),
            "bob.tower has confirmed 2 of 5; it has paused the project",
        ),
    ],
)
def test_who_has_not_confirmed_all_is_told_with_the_reason(
    receiver: ReceiverStatus, line: str
) -> None:
    assert f"    {line}" in shown(projects=[project(receivers=[receiver])])


def test_what_waits_is_told_with_its_reason() -> None:
    mixed = {f"{n}2345678-session": "it also worked in /src/other" for n in range(5)}
    told = shown(
        projects=[
            project(
                waiting=1,
                withheld=mixed,
                refused={"a" * 32: "3-signature: no"},
                senders={"a" * 32: CAROL},
                arriving={BOB: TransferStatus(2_000, 1, 40)},
            )
        ]
    )

    assert told[-4:] == [
        "  from bob.tower: about 2.0 kB left, about 40 seconds",
        "  waiting: 1 session, for the rest of their content",
        "  withheld 5: 02345678, 12345678, 22345678, …: it also worked in /src/other",
        f"  refused from {CAROL} aaaaaaaa: 3-signature: no",
    ]


def test_how_long_it_takes_is_not_told_of_what_comes_from_somebody_who_is_away() -> None:
    told = shown(projects=[project(arriving={CAROL: TransferStatus(2_000, 1, 1500)})])

    assert told[-1] == "  from carol.air: about 2.0 kB left; last seen 3 days ago"


def test_while_nothing_has_left_it_is_told_to_whom_it_would_go() -> None:
    told = shown(projects=[project(sent=0, receivers=[ReceiverStatus(peer(BOB), 0, True, None)])])

    assert "  sent 0 sessions; the receivers are bob.tower" in told
    assert not [line for line in told if "confirmed" in line]


def test_what_nobody_takes_yet_is_not_told_as_if_it_had_arrived() -> None:
    told = shown(projects=[project(receivers=[])])

    assert "  sent 5 sessions; no member receives them yet" in told


def test_an_error_that_lasts_is_told_once() -> None:
    event = Event(1, datetime.now(UTC), EventType.FAULT, "redaction", "the file is damaged")
    told = shown(faults={"redaction": "the file is damaged"}, last_error=event)

    assert told[2:4] == ["fault, last error just now: redaction: the file is damaged", ""]


def test_what_was_called_back_while_nobody_receives_is_not_called_confirmed() -> None:
    called = CalledBack("retracted", 1, datetime.now(UTC), (), ())

    assert shown(projects=[project(called_back=[called])])[-1] == (
        "  retracted 1 session: no member receives from you now"
    )


def test_the_other_place_of_a_mixed_session_fits_on_a_line() -> None:
    mixed = {"6e0f8700-186b-4985-8f9e-d00464d0970e": "it also worked in example.org/acme/other"}
    line = "  withheld 6e0f8700: it also worked in example.org/acme/other"

    assert line in shown(projects=[project(withheld=mixed)])
    assert len(line) < 80


def test_what_is_wrong_stands_before_what_is_usual() -> None:
    event = Event(
        1, datetime.now(UTC), EventType.FAULT, "documents of team backend", "marker\nmissing"
    )
    told = shown(
        faults={"documents of team backend": "marker missing"},
        last_error=event,
        silent={"backend": 3, "home": None},
        paused=GlobalPause(),
        packaging=TransferStatus(3_200_000_000, 12, 40),
    )

    assert told[2:9] == [
        "all sync is paused",
        "fault: documents of team backend: marker missing",
        "last error just now: fault: documents of team backend: marker missing",
        "no member of team backend has answered for 3 days",
        "no member of team home has answered yet",
        "12 sessions wait to be packaged: about 3.2 GB left, about 40 seconds",
        "Next: karma-sync resume",
    ]


def test_without_the_daemon_nothing_is_on_its_way() -> None:
    told = shown(
        daemon=None,
        projects=[project(arriving={BOB: TransferStatus(2_000, 1, 40)})],
        packaging=TransferStatus(3_000, 3, None),
    )

    assert told[1].startswith("the daemon is not running")
    assert not [line for line in told if "about" in line or "packaged" in line]


def test_a_member_who_has_not_joined_and_an_answer_that_is_due_are_told() -> None:
    carol = Peer(member_of(CAROL, status=MemberStatus.ADDED), False, None)
    offered = project(mine=answer(TEAM, ALICE, Answer.OFFERED), receivers=[], received={})

    told = shown(peers=[carol], projects=[offered])

    assert "carol.air  has not joined yet  never" in told
    assert told[-1] == f"{PROJECT} in backend: offered"
    assert f"Next: karma-sync accept {PROJECT}" in told


def test_those_who_have_all_stand_on_one_line() -> None:
    having = [ReceiverStatus(peer(tag), 5, True, None) for tag in (BOB, CAROL)]
    told = shown(projects=[project(receivers=having)])

    assert "    bob.tower, carol.air have confirmed all" in told


def test_an_error_that_is_over_is_told_as_such() -> None:
    event = Event(1, datetime.now(UTC), EventType.FAULT, "Syncthing", "it ended")
    told = shown(last_error=event, last_error_over=True)

    assert told[2] == "last error just now, over since: fault: Syncthing: it ended"


def test_a_project_that_ails_stands_before_the_others() -> None:
    quiet = project(mine=answer(TEAM, ALICE, project="github.com/acme/api"))
    told = shown(projects=[quiet, project(failed={"1234": "its file is closed"})])

    titles = [line for line in told if line.endswith("accepted, both")]
    assert titles[0].startswith(PROJECT)


def test_a_daemon_that_is_starting_is_not_said_to_be_down() -> None:
    told = shown(daemon=None, starting=True)

    assert told[1] == STARTING
    assert "Next: karma-sync up -d" not in told


def fitted(lines: list[str]) -> list[str]:
    """The lines as they fit the screen."""
    return [row.text for row in fit([Line(line) for line in lines])]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of the usual size."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


@pytest.mark.usefixtures("screen")
def test_a_screen_is_neither_too_wide_nor_too_high() -> None:
    rows = fitted([f"{number} {'x' * 70}" for number in range(40)])

    assert len(rows) == 23
    assert all(len(row) <= 80 for row in rows)
    assert rows[-1] == "… and 18 more lines: karma-sync status | less"
    assert fitted([f"{number} x" for number in range(23)])[-1] == "22 x"


@pytest.mark.usefixtures("screen")
def test_the_reason_at_the_end_of_a_long_line_is_on_the_screen() -> None:
    line = f"  fault: /{'directory/' * 12}: cannot be written: No space left on device"

    rows = fitted([line])

    assert all(len(row) <= 80 for row in rows)
    assert "No space left on device" in " ".join(" ".join(rows).split())


@pytest.mark.usefixtures("screen")
def test_five_members_and_three_projects_fit_on_a_screen_with_something_wrong() -> None:
    others = (BOB, CAROL, "dave.mini", "erin.desk")
    having = [ReceiverStatus(peer(tag), 5, True, None) for tag in others[:3]]
    behind = ReceiverStatus(peer("erin.desk", 2), 3, False, None)
    folder = f"/home/alice/.local/share/karma-sync/folders/ks-c-{'x' * 26}"
    why = f"{folder} cannot be written: Operation not permitted"
    who = f"{PROJECT} by {ALICE} in backend"
    event = Event(1, datetime.now(UTC), EventType.FAULT, who, why)
    projects = [
        project(mine=answer(TEAM, ALICE, project=f"github.com/acme/{name}"), receivers=theirs)
        for name, theirs in (("api", having), ("docs", having), ("web", [*having, behind]))
    ]
    rows = fitted(
        shown(
            peers=[*(peer(tag) for tag in others[:3]), peer("erin.desk", 2)],
            projects=projects,
            faults={who: why},
            last_error=event,
        )
    )

    assert len(rows) <= 23
    assert "Operation not permitted" in " ".join(rows)
    assert rows[-1] == "  received 3 by bob.tower"
    assert "    erin.desk has confirmed 3 of 5; last seen 2 days ago" in rows


def test_what_a_peer_wrote_cannot_drive_the_terminal() -> None:
    told = shown(projects=[project(refused={"b" * 32: "5-team: \x1b[2J"}, senders={"b" * 32: BOB})])

    assert "\x1b" not in "".join(told)


def test_a_team_that_was_dissolved_is_told_as_such_beside_its_projects() -> None:
    ended = TEAM.dissolve()

    assert f"{PROJECT} in backend, dissolved: accepted, both" in shown(
        teams=[ended], projects=[project(team=ended)]
    )


def test_who_asks_and_what_is_proposed_is_told_with_the_command() -> None:
    asking = Door(
        folder="d", invite="i", device="D" * 7, name="dave.pc", seen=NOW, tag="dave.pc", key="k"
    )
    lines = shown(
        inbox=Waiting([], [], 0, asking=(asking,)), proposed=[(TEAM, member_of(BOB), "h/o/new")]
    )

    assert "dave.pc asks to join with a code of yours" in lines
    assert f"{BOB} proposes h/o/new for backend: karma-sync inbox" in lines
    assert "Next: karma-sync inbox" in lines
