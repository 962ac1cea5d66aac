"""A secret that got out is called back: packaged anew without it, gone from every disk."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenarios.test_unshare import called_back, confirmed
from tests.support.disks import places_of
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")

SECRET = 'Nobody "knows" the\\answer: 4ü!'
ONLY_WORDS = "correct-horse-battery"
BY_RULE = "ACME-000-1234-5678"
LONG = 700_000
REDACTED = "redacted anew"


class Story:
    """Three members; `gone` is a session whose source the agent deleted after it was sent."""

    def __init__(self, town: Town) -> None:
        self.members = town.members("alice", "bob", "carol")
        self.a, self.b, self.c = self.members
        self.large = self.a.write_session(SECRET, f"{SECRET} {'y' * LONG}", odd=False)
        self.large.beside("tool-results/toolu_1.txt", f"it says: {SECRET}\n".encode())
        nested = json.dumps({"type": "user", "result": json.dumps({"said": SECRET})})
        self.large.beside("subagents/agent-1.jsonl", f"{nested}\n".encode())
        self.gone = self.a.write_session(
            f"title with {SECRET}", f"{'z' * LONG} {SECRET}", odd=False
        )
        self.plain = self.a.write_session("nothing to see here", BY_RULE, odd=False)
        found_team(self.a, self.b, self.c)
        share(self.a, self.b, self.c)
        for member in (self.b, self.c):
            member.until_readable(self.large, self.gone, self.plain)
        self.gone.path.unlink()
        self.foreseen: dict[str, int] = {}

    def spoken(self, text: str) -> list[bytes]:
        """A text as it is, and as it stands in JSON once and twice."""
        found = [text]
        for ascii_only in (True, False):
            once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
            found += [once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]]
        return [each.encode() for each in found]


@pytest.fixture(scope="module")
def story(town: Town) -> Story:
    return Story(town)


def _rules(folder: Path) -> Path:
    rules = folder / "rules.toml"
    rules.write_text("[[rules]]\nid = 'acme'\nregex = '''ACME(?:-[0-9]{3,4})+'''\n")
    return rules


def _all_that_counts(member: Member) -> dict[str, bytes]:
    """All decisions of the member and all that leaves: content of databases and of files."""
    found = {}
    for path in (member.paths.state_db, member.paths.work_db, member.paths.library_db):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            found[path.name] = "\n".join(db.iterdump()).encode()
    beside = member.paths.intent.parent.glob("*.[jt]*")  # intent.json, config.toml, and so on
    for path in (*member.paths.folders.rglob("*"), *beside):
        if path.is_file():
            found[str(path)] = path.read_bytes()
    return found


def call_back(member: Member, text: str) -> None:
    member.run("redact", "--literal", stdin=f"{text}\n")


def held(member: Member, session: Session) -> bytes:
    return member.peek(session.id) or b""


def test_a_dry_run_tells_what_would_be_cut_and_changes_nothing(story: Story) -> None:
    a = story.a
    a.down()  # or its own work would change something meanwhile
    before = _all_that_counts(a)
    shown = a.run("redact", "--literal", "--dry-run", stdin=SECRET)
    found = a.run("redact", "--literal", "--dry-run", "--json", stdin=SECRET)

    said = "".join((shown.out, shown.err, found.out, found.err)).encode()
    assert not any(text in said for text in story.spoken(SECRET))
    assert f"2 of 3 sent sessions have a text of {len(SECRET)} characters." in shown.out
    assert shown.lines[-2] == "Nothing was changed."
    cuts = {s["session"]: s["cuts"]["literal"] for s in json.loads(found.out)["sessions"]}
    # each prompt is said again by its answer; the title is one more
    assert cuts == {story.large.id: 4 + 1 + 1 + 1, story.gone.id: 4 + 1}
    assert _all_that_counts(a) == before
    a.up()
    story.foreseen = cuts


def test_a_dry_run_of_rules_tells_the_same_and_keeps_none(story: Story, tmp_path: Path) -> None:
    found = story.a.run("redact", "--rule", str(_rules(tmp_path)), "--dry-run", "--json")

    assert json.loads(found.out)["cuts"] == {"acme": 2}
    assert json.loads(found.out)["sessions_looked"] == 3
    assert not story.a.paths.redactions.exists()


def test_json_without_a_dry_run_is_refused(story: Story) -> None:
    refused = story.a.run("redact", "--literal", "--json", stdin=SECRET, check=False)

    assert refused.code == 2
    assert not story.a.paths.redactions.exists()


def test_a_text_goes_from_every_disk(story: Story) -> None:
    a, b, c = story.members
    needles = story.spoken(SECRET)
    for member in story.members:
        assert places_of(needles, member.paths.folders)
    c.down()

    call_back(a, SECRET)

    until(lambda: confirmed(a, REDACTED) == {b.tag}, "B confirms, C is away")
    assert places_of(needles, b.folder) == []
    for shared in (a.paths.folders, a.paths.library, a.paths.syncthing):
        assert places_of(needles, shared) == []
    assert f"1 of 2 confirmed, the others last seen: {c.tag}" in a.run("status").out
    c.up()
    until(lambda: confirmed(a, REDACTED) == {b.tag, c.tag}, "C confirms")
    assert places_of(needles, c.folder) == []


def test_what_was_cut_is_what_the_dry_run_told(story: Story) -> None:
    sent = {s["session"]: s["cuts"].get("literal", 0) for s in story.a.json("sent")["sent"]}
    in_title = 1

    assert sent == {s: count - in_title for s, count in story.foreseen.items()} | {
        story.plain.id: 0
    }


def test_all_else_of_it_is_still_there(story: Story) -> None:
    for member in story.members:
        assert held(member, story.large).count(b"[REDACTED:literal]") == 4
        assert b"z" * LONG in held(member, story.gone)
        assert member.peek(story.plain.id) == story.plain.content
        (title,) = (s["title"] for s in member.sessions() if s["id"] == story.gone.id)
        assert title == "title with [REDACTED:literal]"


def test_the_text_is_in_no_log_event_or_database_but_the_agents_words(story: Story) -> None:
    a = story.a
    words = f"{ONLY_WORDS} and nothing said it"
    call_back(a, words)

    until(lambda: not any(c["left"] for c in called_back(a)), "packaged anew")
    assert {Path(place).name for place, _ in places_of([words.encode()], a.home)} == {
        "redactions.json"
    }
    assert a.paths.redactions.stat().st_mode & 0o777 == 0o600


def test_what_is_written_later_is_cut_too(story: Story) -> None:
    story.plain.append(f"again {SECRET}")

    marked = b"again [REDACTED:literal]"
    until(lambda: marked in held(story.b, story.plain), "the marker at B")
    assert places_of(story.spoken(SECRET), story.b.folder) == []


def test_a_rule_calls_back_what_it_matches(story: Story, tmp_path: Path) -> None:
    story.a.run("redact", "--rule", str(_rules(tmp_path)))

    others = {story.b.tag, story.c.tag}
    until(lambda: confirmed(story.a, REDACTED) == others, "all confirm")
    for member in (story.b, story.c):
        assert places_of([BY_RULE.encode()], member.folder) == []
        assert b"[REDACTED:acme]" in held(member, story.plain)
    (cuts,) = (s["cuts"] for s in story.a.json("sent")["sent"] if s["session"] == story.plain.id)
    assert cuts["acme"] >= 1


def test_what_was_written_since_does_not_count_as_redacted_anew(story: Story) -> None:
    def redacted_anew() -> int:
        (found,) = (c for c in called_back(story.a) if c["what"] == REDACTED)
        return int(found["sessions"])

    before = redacted_anew()
    later = story.a.write_session("long after that")
    story.b.until_readable(later)

    assert redacted_anew() == before


def test_a_redaction_is_listed_without_its_text_and_can_be_removed(story: Story) -> None:
    a = story.a
    listed = a.json("redact", "--list")["redactions"]
    said = a.run("redact", "--list").out
    assert not any(text in said.encode() for text in story.spoken(SECRET))
    text = next(each for each in listed if each["chars"] == len(SECRET))
    assert text["names"] == ["literal"]

    asked = a.run("redact", "--remove", text["id"], check=False)
    assert (asked.code, f"to {story.b.tag}, {story.c.tag}" in asked.out) == (8, True)
    assert a.json("redact", "--list")["redactions"] == listed
    a.run("redact", "--remove", text["id"], "--yes")

    assert a.json("redact", "--list")["redactions"] == [e for e in listed if e != text]
    assert a.run("redact", "--remove", text["id"], check=False).code == 5
    until(lambda: SECRET.encode()[:6] in held(story.b, story.plain), "it is sent as it is")


def test_a_rule_that_is_not_understood_is_named_with_its_line(story: Story, tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text(
        "# mine\n[[rules]]\nid = 'a'\nregex = 'x1'\n[[rules]]\nid = 'b'\nregexp = 'y'\n"
    )

    refused = story.a.run("redact", "--rule", str(rules), check=False)

    assert refused.code == 2
    assert f"{rules} line 5, rule b: " in refused.err


@pytest.mark.parametrize("text", ["abc", "assistant", "aaaaaaaaaaaa", "", "[REDACTED:"])
def test_a_text_that_would_cut_everything_is_refused(story: Story, text: str) -> None:
    before = story.a.paths.redactions.read_bytes()
    refused = story.a.run("redact", "--literal", stdin=text, check=False)

    assert refused.code == 2
    assert story.a.paths.redactions.read_bytes() == before
