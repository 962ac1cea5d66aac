"""The meaning of a directory or pattern to exclude, and the patterns that are refused."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.domain.session.selection import Choices, Exclusion
from karma_sync.errors import BadInput
from karma_sync.sending.eligibility import real_paths
from karma_sync.sending.exclusions import ExclusionLinks
from karma_sync.service.sessions.excluding import patterns_of


@dataclass
class Disk:
    """A home behind a link, as /home -> /var/home; the person stands in `here`."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def real(self) -> Path:
        return self.root / "var" / "home"

    @property
    def here(self) -> Path:
        return self.real / "web" / "here"

    def excludes(self, directory: Path | str, *typed: str) -> bool:
        """Whether a session stays whose record names this directory, after these were excluded."""
        found = [p for text in typed for p in patterns_of(text, self.here, self.home)]
        exclusions = tuple(Exclusion(pattern=pattern) for pattern in found)
        behind = ExclusionLinks().behind(exclusions)
        choices = Choices(exclusions=exclusions, behind=behind)
        return choices.excluded(real_paths([str(directory)])) is not None


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    found = Disk(tmp_path)
    found.here.mkdir(parents=True)
    (found.real / "web" / "client-a" / "deep").mkdir(parents=True)
    (found.real / "web" / "other").mkdir()
    found.home.symlink_to(found.real)
    return found


@pytest.mark.parametrize(
    "typed",
    [
        "~/web/client-*",
        "~/web/client-a",
        "~/web/client-?/",
        "~/web/./here/../client-*",
        "~/web/../web/client-a/",
        "../client-*",
        "../client-a",
        "../../web/client-[ab]",
        "client-*",
        "client-*/",
        "~/*/client-a",
    ],
)
def test_a_directory_is_excluded_however_it_is_typed_and_however_a_record_names_it(
    disk: Disk, typed: str
) -> None:
    for base in (disk.home, disk.real):
        client = base / "web" / "client-a"
        assert disk.excludes(client, typed)
        assert disk.excludes(client / "deep", typed)
        assert disk.excludes(f"{base}/web/other/../client-a", typed)
        assert disk.excludes(client / "gone since", typed)
        assert not disk.excludes(base / "web" / "other", typed)
        assert not disk.excludes(f"{base}/web/client-a/../other", typed)


def test_what_a_link_leads_to_is_excluded_though_only_the_link_fits(disk: Disk) -> None:
    far = disk.root / "disk2" / "acme"
    far.mkdir(parents=True)
    link = disk.real / "web" / "client-b"
    link.symlink_to(far)

    for typed in ("~/web/client-*", "~/web/client-b", "../client-b"):
        assert disk.excludes(far, typed)
        assert disk.excludes(far / "deep", typed)
        assert disk.excludes(disk.home / "web" / "client-b", typed)
        assert not disk.excludes(far.parent, typed)


def test_a_link_that_leads_elsewhere_later_still_holds_back_both(disk: Disk) -> None:
    one, two = disk.root / "one", disk.root / "two"
    for place in (one, two):
        place.mkdir()
    link = disk.real / "web" / "linked"
    link.symlink_to(one)
    (pattern, real) = sorted(patterns_of("../linked", disk.here, disk.home), key=len, reverse=True)
    assert (pattern, real) == (str(link), str(one))

    link.unlink()
    link.symlink_to(two)
    exclusions = (Exclusion(pattern=pattern), Exclusion(pattern=real))
    choices = Choices(exclusions=exclusions, behind=ExclusionLinks().behind(exclusions))

    for place in (one, two):
        assert choices.excluded(real_paths([str(place)])) is not None


def test_links_are_looked_at_again_after_ten_seconds(disk: Disk) -> None:
    now = 0.0
    links = ExclusionLinks(lambda: now)
    exclusions = (Exclusion(pattern=f"{disk.real}/web/client-*"),)
    assert links.behind(exclusions) == ()
    far = disk.root / "far"
    far.mkdir()
    (disk.real / "web" / "client-new").symlink_to(far)

    assert links.behind(exclusions) == ()
    now = 11.0
    assert links.behind(exclusions) == ((str(far), exclusions[0]),)


def test_a_directory_whose_name_looks_like_a_pattern_is_itself(disk: Disk) -> None:
    odd = disk.here / "dir[1]"
    odd.mkdir()

    assert disk.excludes(odd, "dir[1]")
    assert disk.excludes(odd / "deep", str(odd))


def test_a_path_of_windows_is_compared_with_what_its_records_name(disk: Disk) -> None:
    assert disk.excludes(r"C:\work\client\repo", r"C:\work\client")
    assert disk.excludes(r"C:\work\client\repo", r"C:\work\other\..\client")
    assert not disk.excludes(r"C:\work\other", r"C:\work\client")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "a\nb",
        "x" * 1001,
        "/",
        "/..",
        "*",
        "**",
        "?*",
        "/*",
        "/*/*",
        "~/web/client-*/../other",
        "*/..",
        "~bob/private",
        "~/web/file",
    ],
)
def test_what_cannot_be_meant_is_refused(disk: Disk, typed: str) -> None:
    (disk.real / "web" / "file").write_text("x")

    with pytest.raises(BadInput):
        patterns_of(typed, disk.here, disk.home)
