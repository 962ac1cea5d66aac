"""Facts of the repository as a whole: no trace of a machine, pins, tables that agree."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from karma_sync import errors

ROOT = Path(__file__).resolve().parents[2]

# Spelt in parts, so that this file does not name what it looks for.
REGISTRIES = [
    ".".join(words)
    for words in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("golang", "org"),
        ("maven", "org"),
        ("debian", "org"),
        ("ubuntu", "com"),
        ("pkg", "dev"),
    )
]
# A path from the root of the file system, not one that goes on another (/home/ann/work/).
MACHINE_PATHS = re.compile(r"(?<![\w.~})>$-])/(?:work|root)/")

MADE = re.compile(r"(^|/)(\.(?!ci/)[^/]+|build|dist|__pycache__)/")  # folders that tools made


def repository_files() -> list[Path]:
    """Every file that git has or would take; without git, every file that is not made."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
        names = [name for name in names if not MADE.search(name)]
    else:
        names = listed.stdout.split("\0")
    return sorted(path for path in {ROOT / name for name in names} if path.is_file())


def lines_of_all_files() -> Iterator[tuple[str, str]]:
    """Every line of every text file, with where it stands."""
    for path in repository_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def pins() -> dict[str, str]:
    """The version of every package in the lock, by normal name."""
    lines = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    """Everything that pyproject.toml asks for: to run, to develop, to build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    texts = [
        *project["project"]["dependencies"],
        *(text for extra in project["project"]["optional-dependencies"].values() for text in extra),
        *project["build-system"]["requires"],
    ]
    return [Requirement(text) for text in texts]


def error_classes() -> set[tuple[int, str]]:
    """The exit code and the name of every error in errors.py."""
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    return {(c.exit_code, c.__name__) for c in classes if issubclass(c, errors.KarmaError)}


def documented_errors() -> list[tuple[int, str]]:
    """Code and name of every row in the table for people, but the first one: success."""
    text = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| [^|]+ \| [^|]+ \|$", text, flags=re.MULTILINE)
    assert rows[0] == ("0", "success")
    return [(int(code), name) for code, name in rows[1:]]


def cited() -> Iterator[tuple[str, str, str]]:
    """Every page of docs/ that the program's code names: by whom, which, and the section or ""."""
    for path in sorted((ROOT / "karma_sync").rglob("*.py")):
        # a citation may go on in the next line, of a comment too
        text = re.sub(r"\n\s*(?:# )?", " ", path.read_text(encoding="utf-8"))
        for page, section in re.findall(r'\b(docs/[\w/-]+\.md)(?:, "([^"]+)")?', text):
            yield path.name, page, section


def sections(page: str) -> set[str]:
    """The headings of a page; none if there is no such page."""
    path = ROOT / page
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return set(re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE))


def test_each_page_and_section_that_the_code_names_is_there() -> None:
    found = list(cited())

    assert [each for each in found if not sections(each[1])] == []
    assert [each for each in found if each[2] and each[2] not in sections(each[1])] == []
    assert any(section for _, _, section in found)


def test_no_file_names_a_package_registry() -> None:
    lines = lines_of_all_files()
    assert [where for where, line in lines if any(host in line for host in REGISTRIES)] == []


def test_no_file_has_a_path_of_the_machine_it_was_written_on() -> None:
    lines = lines_of_all_files()
    assert [where for where, line in lines if MACHINE_PATHS.search(line)] == []


def test_a_path_of_the_machine_is_told_from_one_that_only_looks_so() -> None:
    assert MACHINE_PATHS.search("see /" + "work/main")
    assert MACHINE_PATHS.search('Path("/' + 'root/x")')
    assert not MACHINE_PATHS.search("/home/ann/" + "work/repo")
    assert not MACHINE_PATHS.search("{home}/" + "work/repo")


def test_every_dependency_is_pinned_to_a_version_that_will_do() -> None:
    pinned = pins()
    asked = {str(each): (canonicalize_name(each.name), each.specifier) for each in requirements()}
    to_pin = [
        text
        for text, (name, versions) in asked.items()
        if name not in pinned or not versions.contains(pinned[name])
    ]
    assert to_pin == []  # otherwise: make lock


def test_the_exit_code_table_is_the_error_tree() -> None:
    documented = documented_errors()
    assert set(documented) == error_classes()
    assert documented == sorted(documented, key=lambda row: row[0])
    assert len(documented) == len(set(documented))


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^[│├└─ ]*([A-Z]\w+)(?: {2,}|$)", errors.__doc__ or "", flags=re.MULTILINE)
    assert set(drawn) == {name for _, name in error_classes()}


def test_every_target_of_the_makefile_explains_itself() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)
    explained = re.findall(r"^([a-z-]+):.* ## \S", text, flags=re.MULTILINE)
    assert phony is not None
    assert sorted(explained) == sorted(phony.group(1).split())


def test_the_licence_is_there_and_is_the_one_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith(f"{project['license']} License")
