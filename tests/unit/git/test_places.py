"""Places of directories, with real git: work trees, vanished directories, misleading paths."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from karma_sync.domain.session.project import Place, Where
from karma_sync.errors import BadInput, NotFound
from karma_sync.git.places import Places
from karma_sync.git.repository import identity_of, toplevel
from tests.support.builders import PROJECT
from tests.support.faults import small_disk

OTHER = "example.org/acme/tools"


def git(where: Path, *arguments: str) -> None:
    """Run git without the settings of this machine and its user."""
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(
        ["git", *names, "-C", str(where), *arguments],
        env=os.environ | nobody,
        check=True,
        capture_output=True,
    )


def clone(path: Path, identity: str = PROJECT) -> Path:
    """A repository with one commit and this remote."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet")
    git(path, "remote", "add", "origin", f"git@{identity.replace('/', ':', 1)}.git")
    git(path, "commit", "--quiet", "--allow-empty", "--message", "first")
    return path


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone(tmp_path_factory.mktemp("src") / "repo")


def in_project(identity: str = PROJECT) -> Place:
    return Place(Where.PROJECT, identity)


def test_a_repository_and_all_below_it_belong_to_its_project(repo: Path) -> None:
    deep = repo / "a" / "b c" / "ü"
    deep.mkdir(parents=True, exist_ok=True)

    assert Places().of(str(repo)) == in_project()
    assert Places().of(str(deep)) == in_project()
    assert toplevel(deep) == repo
    assert identity_of(deep) == PROJECT


def test_a_worktree_belongs_to_its_repository_wherever_it_lies(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "--quiet", "--detach", str(tmp_path / "elsewhere"))
    git(repo, "worktree", "add", "--quiet", "--detach", str(repo / ".claude" / "worktrees" / "w"))
    (tmp_path / "elsewhere" / "deep").mkdir()

    for path in (tmp_path / "elsewhere" / "deep", repo / ".claude" / "worktrees" / "w"):
        assert toplevel(path) == repo
        assert Places().of(str(path)) == in_project()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_bare_repository_and_its_work_trees_are_one_project(tmp_path: Path, hidden: bool) -> None:
    repo = clone(tmp_path / "repo")
    bare = tmp_path / "all" / (".bare" if hidden else "repo.git")
    git(repo, "clone", "--quiet", "--bare", str(repo), str(bare))
    git(bare, "remote", "set-url", "origin", f"https://{PROJECT}")
    if hidden:  # the work trees lie beside it, and git finds it from there
        (tmp_path / "all" / ".git").write_text("gitdir: ./.bare\n")
    tree = tmp_path / "all" / "main"
    git(bare, "worktree", "add", "--quiet", "--detach", str(tree))

    for path in (bare, tree, *((tmp_path / "all",) if hidden else ())):
        assert Places().of(str(path)) == in_project()
        assert identity_of(path) == PROJECT


def test_the_git_directory_itself_belongs_to_the_repository(repo: Path) -> None:
    assert Places().of(str(repo / ".git" / "refs")) == in_project()
    assert toplevel(repo / ".git") == repo


def test_a_shorthand_of_gits_configuration_is_expanded(tmp_path: Path) -> None:
    short = clone(tmp_path / "short")
    git(short, "remote", "set-url", "origin", "work:acme/repo.git")
    assert Places().of(str(short)).identity == "work/acme/repo"

    git(short, "config", "url.ssh://git@example.org/.insteadOf", "work:")

    assert Places().of(str(short)) == in_project()
    assert identity_of(short) == PROJECT


def test_a_repository_inside_a_repository_is_another_one(repo: Path) -> None:
    inner = clone(repo / "vendored", OTHER)

    assert Places().of(str(inner)) == in_project(OTHER)
    shutil.rmtree(inner)


def test_a_submodule_is_a_project_of_its_own(repo: Path, tmp_path: Path) -> None:
    library = clone(tmp_path / "library")
    outer = clone(tmp_path / "outer", OTHER)
    add = ("submodule", "--quiet", "add", str(library), "sub")
    git(outer, "-c", "protocol.file.allow=always", *add)
    git(outer / "sub", "remote", "set-url", "origin", "https://example.org/acme/library")

    assert toplevel(outer / "sub") == outer / "sub"
    assert Places().of(str(outer / "sub")) == in_project("example.org/acme/library")


def test_a_directory_in_no_repository_is_neutral(tmp_path: Path) -> None:
    assert Places().of(str(tmp_path)) == Place(Where.NEUTRAL)
    assert toplevel(tmp_path) is None
    with pytest.raises(NotFound, match="is not in a git repository"):
        identity_of(tmp_path)


def test_a_repository_without_a_remote_is_elsewhere_with_a_reason(tmp_path: Path) -> None:
    lonely = clone(tmp_path / "lonely")
    git(lonely, "remote", "remove", "origin")

    place = Places().of(str(lonely))
    assert place.where is Where.ELSEWHERE
    assert "has no remote `origin`" in place.why
    with pytest.raises(NotFound) as refused:
        identity_of(lonely)
    assert refused.value.hint.startswith("git remote add origin")


def test_a_remote_on_this_machine_names_no_project(tmp_path: Path) -> None:
    local = clone(tmp_path / "local")
    git(local, "remote", "set-url", "origin", "/srv/git/repo.git")

    assert Places().of(str(local)).where is Where.ELSEWHERE
    with pytest.raises(BadInput):
        identity_of(local)


def test_a_vanished_directory_belongs_to_the_project_that_was_learned(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    places = Places()
    assert places.of(str(repo)) == in_project()

    shutil.rmtree(repo)

    assert places.of(str(repo / "gone" / "worktree")) == in_project()
    assert places.of(f"{repo}-two") == Place(Where.ELSEWHERE, why="the directory is gone")
    assert places.of(str(tmp_path / "never")).where is Where.ELSEWHERE
    again = Places()
    again.know(mapped={}, learned=places.take_news())
    assert again.of(str(repo)) == in_project()
    assert Places().of(str(repo)).where is Where.ELSEWHERE


def test_a_directory_behind_a_link_belongs_to_its_repository_even_after_it_vanished(
    tmp_path: Path,
) -> None:
    repo = clone(tmp_path / "data" / "repo")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data")
    places = Places()
    assert places.of(str(link / "repo")) == in_project()

    shutil.rmtree(repo)

    again = Places()
    again.know(mapped={}, learned=places.take_news())
    assert again.of(str(link / "repo" / "deep")) == in_project()
    assert again.of(str(link / "other")).where is Where.ELSEWHERE


def test_a_vanished_directory_is_resolved_through_links_and_dots(repo: Path) -> None:
    places = Places()
    assert places.of(str(repo)) == in_project()

    assert places.of(f"{repo}/deep/../gone") == in_project()
    for name in ("../private", "deep/../../private", ".worktrees/../../private"):
        assert places.of(f"{repo}/{name}").where is Where.ELSEWHERE, name


def test_a_vanished_link_to_a_repository_is_still_known(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    link = tmp_path / "link"
    link.symlink_to(repo)
    places = Places()
    assert places.of(str(link)) == in_project()
    assert places.of(str(repo)) == in_project()

    link.unlink()

    again = Places()
    again.know(mapped={}, learned=places.take_news())
    assert again.of(str(link / "deep")) == in_project()
    assert again.of(str(tmp_path / "link2")).where is Where.ELSEWHERE


def test_a_mapping_also_counts_for_links_to_the_directory(tmp_path: Path) -> None:
    (tmp_path / "plain" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    places = Places()
    places.know({str(tmp_path / "plain"): OTHER}, {})

    assert places.of(str(tmp_path / "link" / "deep")) == in_project(OTHER)
    shutil.rmtree(tmp_path / "plain" / "deep")
    assert places.of(str(tmp_path / "link" / "deep" / "er")) == in_project(OTHER)


def test_learned_directories_are_news_once(repo: Path) -> None:
    places = Places()
    places.of(str(repo))

    news = places.take_news()
    assert news[str(repo)] == PROJECT
    assert set(news.values()) == {PROJECT}  # and its work trees
    places.of(str(repo))
    assert places.take_news() == {}
    known = Places()
    known.know(mapped={}, learned=news)
    known.of(str(repo))
    assert known.take_news() == {}


def test_a_mapping_overrides_git(repo: Path, tmp_path: Path) -> None:
    lonely = clone(tmp_path / "lonely")
    git(lonely, "remote", "remove", "origin")
    (tmp_path / "plain" / "deep").mkdir(parents=True)
    mapped = {str(tmp_path / name): OTHER for name in ("lonely", "plain", "gone")}
    mapped[str(repo)] = OTHER
    places = Places()

    assert places.know(mapped, learned={})
    assert not places.know(mapped, learned={})
    for name in ("lonely", "plain/deep", "gone/deep"):
        assert places.of(str(tmp_path / name)) == in_project(OTHER)
    assert places.of(str(repo)) == in_project(OTHER)


def test_new_mappings_count_at_once(tmp_path: Path) -> None:
    places = Places()
    assert places.of(str(tmp_path)).where is Where.NEUTRAL

    places.know({str(tmp_path): OTHER}, {})

    assert places.of(str(tmp_path)) == in_project(OTHER)


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CONFIG_COUNT"])
def test_git_variables_of_the_environment_are_ignored(
    name: str, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clone(tmp_path / "other", OTHER)
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.origin.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.org/evil/repo")
    value = {"GIT_WORK_TREE": str(other), "GIT_CONFIG_COUNT": "1"}.get(name, f"{other}/.git")
    monkeypatch.setenv(name, value)

    assert toplevel(repo) == repo
    assert Places().of(str(repo)) == in_project()
    assert Places().of(str(tmp_path)) == Place(Where.NEUTRAL)


def test_without_git_nothing_is_guessed(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(NotFound) as refused:
        Places().of(str(repo))
    assert refused.value.hint == "install git"


@pytest.mark.parametrize("cwd", ["", "relative/path", "C:\\src\\repo", "/\x00", "/\ud83d"])
def test_a_path_that_is_not_a_directory_is_elsewhere(cwd: str) -> None:
    assert Places().of(cwd).where is Where.ELSEWHERE


def test_a_file_in_place_of_a_directory_belongs_to_the_same_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    places = Places()
    places.know({}, {str(tmp_path): PROJECT})

    assert places.of(str(tmp_path / "file")) == in_project()


@pytest.mark.parametrize("damage", ["format", "worktree", "head", "head, below"])
def test_a_repository_that_git_cannot_read_is_not_neutral(tmp_path: Path, damage: str) -> None:
    repo = clone(tmp_path / "repo")
    where = repo
    if damage == "format":  # as `dubious ownership` and a timeout: git fails, with a repository
        git(repo, "config", "core.repositoryformatversion", "99")
    elif damage.startswith("head"):
        (repo / ".git" / "HEAD").unlink()
        where = repo / "sub" if damage == "head, below" else repo
        where.mkdir(exist_ok=True)
    else:
        where = tmp_path / "worktree"
        git(repo, "worktree", "add", "--quiet", "--detach", str(where))
        repo.rename(tmp_path / "moved")

    place = Places().of(str(where))
    assert place.where is Where.ELSEWHERE
    assert "\n" not in place.why


def test_an_empty_git_folder_is_not_a_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    assert Places().of(str(tmp_path)) == Place(Where.NEUTRAL)


def test_other_remotes_are_proposed_and_never_used(tmp_path: Path) -> None:
    fork = clone(tmp_path / "fork", "example.org/alice/repo")
    git(fork, "remote", "add", "upstream", f"https://{PROJECT}")
    git(fork, "remote", "add", "backup", "/srv/backup.git")
    git(fork, "remote", "add", "again", "https://example.org/alice/repo.git")

    place = Places().of(str(fork))
    assert (place.identity, place.others) == ("example.org/alice/repo", (PROJECT,))
    assert identity_of(fork, "upstream") == PROJECT
    with pytest.raises(NotFound, match="has no remote `nobody`"):
        identity_of(fork, "nobody")


def test_without_an_origin_the_other_remote_is_proposed_and_never_used(tmp_path: Path) -> None:
    lonely = clone(tmp_path / "lonely")
    git(lonely, "remote", "rename", "origin", "github")

    place = Places().of(str(lonely))
    assert (place.where, place.others) == (Where.ELSEWHERE, (PROJECT,))


def test_the_url_that_git_fetches_from_counts(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    git(repo, "remote", "set-url", "--add", "origin", "https://example.org/mirror/repo")

    assert identity_of(repo) == PROJECT


def test_a_changed_remote_is_noticed_at_once_and_its_former_name_kept(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    places = Places()
    assert places.of(str(repo)) == in_project()
    places.take_news()

    git(repo, "remote", "set-url", "origin", f"https://{OTHER}")

    place = places.of(str(repo))
    assert (place.identity, place.former) == (OTHER, (PROJECT,))
    assert places.take_news() == {str(repo): OTHER}
    again = Places()
    again.know({}, {str(repo): OTHER}, {str(repo): (PROJECT,)})
    assert again.of(str(repo)).former == (PROJECT,)


def test_a_clone_that_was_not_renamed_has_no_former_identity(tmp_path: Path) -> None:
    one, two = clone(tmp_path / "one"), clone(tmp_path / "one-two", OTHER)
    places = Places()
    places.know({}, {}, {str(one): (OTHER,)})

    assert places.of(str(two)).former == ()


@pytest.mark.parametrize("where", [".claude/worktrees/w", ".worktrees/w"])
def test_a_work_tree_that_vanished_before_we_saw_it_belongs_to_its_repository(
    tmp_path: Path, where: str
) -> None:
    repo = clone(tmp_path / "repo")

    assert Places().of(str(repo / where / "deep")) == in_project()
    assert Places().of(str(repo / "elsewhere" / "w")).where is Where.ELSEWHERE
    # a directory in a repository is not the repository of what lay below it
    (repo / "sub").mkdir()
    assert Places().of(str(repo / "sub" / where)).where is Where.ELSEWHERE


def test_a_work_tree_far_away_that_vanished_is_remembered_by_its_repository(
    tmp_path: Path,
) -> None:
    repo = clone(tmp_path / "repo")
    far = tmp_path / ".claude-worktrees" / "repo" / "calm-lake"
    git(repo, "worktree", "add", "--quiet", "--detach", str(far))
    shutil.rmtree(far)
    places = Places()
    assert places.of(str(far)).where is Where.ELSEWHERE  # nothing told of it yet

    places.of(str(repo))
    places.take_news()

    assert places.of(str(far)) == in_project()


def test_a_work_tree_that_was_seen_counts_after_git_forgot_it(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    far = tmp_path / "far"
    git(repo, "worktree", "add", "--quiet", "--detach", str(far))
    places = Places()
    assert places.of(str(far)) == in_project()

    git(repo, "worktree", "remove", str(far))

    again = Places()
    again.know({}, places.take_news())
    assert again.of(str(far / "deep")) == in_project()


def _apart(tmp_path: Path) -> tuple[Path, Path]:
    """A work tree, and the directory elsewhere that holds its git directory, named `.git`."""
    store, work = tmp_path / "store", tmp_path / "work"
    store.mkdir()
    work.mkdir()
    git(work, "init", "--quiet", "--separate-git-dir", str(store / ".git"))
    git(work, "remote", "add", "origin", f"https://{PROJECT}")
    (work / "README").write_text("x")
    git(work, "add", "README")
    git(work, "commit", "--quiet", "--message", "first")
    return store, work


def test_a_directory_that_holds_the_git_directory_alone_is_no_root(tmp_path: Path) -> None:
    store, work = _apart(tmp_path)
    places = Places()

    assert places.of(str(work)) == in_project()
    assert toplevel(work) == work
    assert places.take_news() == {str(work): PROJECT}
    assert places.of(str(work / "gone")) == in_project()
    assert places.of(str(store / "gone")).where is Where.ELSEWHERE


def test_it_is_no_root_either_if_a_linked_work_tree_or_itself_comes_first(tmp_path: Path) -> None:
    store, work = _apart(tmp_path)
    far = tmp_path / "far"
    git(work, "worktree", "add", "--quiet", "--detach", str(far))
    (store / "notes").mkdir()

    for first in (far, store, store / "notes", store / ".git", work):
        places = Places()
        places.of(str(first))
        assert str(store) not in places.take_news()
        assert places.of(str(store / "gone")).where is Where.ELSEWHERE
    assert toplevel(far) == far


def test_the_main_work_tree_is_known_from_a_linked_one(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    (repo / "README").write_text("x")
    git(repo, "add", "README")
    git(repo, "commit", "--quiet", "--message", "second")
    far = tmp_path / "far"
    git(repo, "worktree", "add", "--quiet", "--detach", str(far))
    places = Places()

    assert places.of(str(far)) == in_project()
    assert toplevel(far) == repo
    assert places.of(str(repo / "gone")) == in_project()


def test_a_mapped_directory_does_not_swallow_a_repository_below_it(
    repo: Path, tmp_path: Path
) -> None:
    inner = clone(tmp_path / "home" / "inner")
    places = Places()
    places.know({str(tmp_path / "home"): OTHER}, {})

    assert places.of(str(tmp_path / "home")) == in_project(OTHER)
    assert places.of(str(inner)) == in_project()


def test_a_clone_that_is_mapped_takes_its_work_trees_along(tmp_path: Path) -> None:
    fork = clone(tmp_path / "fork", "example.org/alice/repo")
    git(fork, "worktree", "add", "--quiet", "--detach", str(tmp_path / "far"))
    (fork / "deep").mkdir()
    places = Places()
    places.know({str(fork): PROJECT}, {})

    for path in (fork, fork / "deep", tmp_path / "far"):
        assert places.of(str(path)) == in_project()


def test_configuration_from_the_environment_counts_but_names_no_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, none = clone(tmp_path / "own"), clone(tmp_path / "none")
    git(own, "remote", "set-url", "origin", "work:acme/repo")
    git(none, "remote", "remove", "origin")
    pairs = {
        "url.https://example.org/.insteadOf": "work:",
        "remote.origin.url": f"https://{OTHER}",
    }
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(pairs)))
    for number, (key, value) in enumerate(pairs.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GIT_DIR", str(none / ".git"))

    if git_version() >= (2, 31):  # git before it knows no such variables
        assert Places().of(str(own)) == in_project()
    with pytest.raises(NotFound, match="has no remote"):
        identity_of(none)


def git_version() -> tuple[int, ...]:
    told = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in told.split()[2].split(".")[:2])


def test_a_directory_of_another_user_is_trusted_if_the_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory of another user")
    if git_version() < (2, 32):
        pytest.skip("this git does not know GIT_CONFIG_GLOBAL")
    repo = clone(tmp_path / "repo")
    for path in (repo, repo / ".git"):
        os.chown(path, 54_321, 54_321)
    settings = tmp_path / "config"
    settings.write_text(f"[safe]\n    directory = {repo}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)

    assert Places().of(str(repo)) == in_project()


def test_a_bare_repository_may_have_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then git answers in the directory that names it, and not inside of it."""
    repo = clone(tmp_path / "first")
    top = tmp_path / "all"
    git(repo, "clone", "--quiet", "--bare", str(repo), str(top / ".bare"))
    git(top / ".bare", "remote", "set-url", "origin", f"https://{PROJECT}")
    (top / ".git").write_text("gitdir: ./.bare\n")
    settings = tmp_path / "config"
    settings.write_text("[safe]\n    bareRepository = explicit\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))

    assert Places().of(str(top)) == in_project()


@pytest.mark.parametrize("name", ["repo ", " repo", "re\npo", "repo\n", "\nrepo", "re\n\npo"])
def test_a_name_with_blanks_or_line_ends_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """A work tree with a misleading name must not make another directory a root."""
    repo = clone(tmp_path / "src" / name)
    git(repo, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree\nother"))
    (repo / "deep").mkdir()
    places = Places()

    assert places.of(str(repo / "deep")) == in_project()
    assert places.of(str(tmp_path / "tree\nother")) == in_project()
    assert toplevel(repo / "deep") == repo
    assert set(places.learned) <= {str(repo), str(tmp_path / "tree\nother")}


def test_a_name_that_is_not_utf8_is_taken_as_it_is(tmp_path: Path) -> None:
    repo = clone(tmp_path / os.fsdecode(b"r\xff"))

    assert Places().of(str(repo)) == in_project()
    assert toplevel(repo) == repo


def test_a_volume_that_is_mounted_into_a_clone_belongs_to_it(tmp_path: Path) -> None:
    repo = clone(tmp_path / "repo")
    with small_disk(repo / "volume", 1) as volume:
        (volume / "deep").mkdir()

        assert Places().of(str(volume / "deep")) == in_project()
