"""The commands `observation export`, `import` and `manifest`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_unless, confirm, is_terminal
from karma_sync.cli.consent import counts_text, show_observations
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.observation.reading import OfProjectOption, ProjectsOption
from karma_sync.cli.options import DryRunOption, JsonOption, YesOption
from karma_sync.cli.output import print_json, print_line
from karma_sync.cli.project_argument import meant
from karma_sync.domain.text import printable
from karma_sync.paths import directory_at
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.agents.engram.chunks import FolderChunks
    from karma_sync.agents.engram.export import ExportResult
    from karma_sync.agents.engram.taking import ImportResult
    from karma_sync.service.sessions.take_over import TakeOver

_LOOK_S = 1.0
_ENGRAM = ".engram"


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command()(export)
    group.command(name="import")(import_)
    group.command()(manifest)


def export(
    engram: Annotated[
        Path, typer.Option("--engram", metavar="DIR", help="The directory that holds .engram.")
    ],
    project: ProjectsOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and add what arrives, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
    private: Annotated[
        bool, typer.Option("--private", help="Also if an agent runs it, who may read the files.")
    ] = False,
) -> None:
    """Export observations to Engram.

    It writes what others shared with you into DIR/.engram, which `engram sync --import` reads. The
    author stands at the end of each text. A second export adds only what is new.

    Example: karma-sync observation export --engram .
    """
    require_private(private, "it writes what others noted into files without a frame")
    app = App.from_environment()
    place = _engram_at(engram)
    seen = None
    while True:
        version = app.library.data_version()
        if version != seen:
            seen = version
            result = _export(app, place, project or [])
            if as_json:
                print_json(**result.to_fields())
            else:
                _say(result, place)
        if not watch:
            return
        time.sleep(_LOOK_S)


def import_(
    engram: Annotated[
        Path, typer.Option("--engram", metavar="DIR", help="The directory that holds .engram.")
    ],
    project: OfProjectOption = None,
    author: Annotated[
        list[str] | None,
        typer.Option("--author", help="A name under which you created chunks; repeatable."),
    ] = None,
    as_json: JsonOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Import observations from Engram's chunks.

    It saves what you wrote into chunks in DIR/.engram, such as those of an old machine, as if you
    had added it here. Sessions, prompts and what others wrote are not taken over.

    Example: karma-sync observation import --engram old-laptop/web --author alice
    """
    from karma_sync.agents.engram.chunks import FolderChunks
    from karma_sync.service.projects import all_answers
    from karma_sync.service.sessions.take_over import require_importing, take_over

    app = App.from_environment()
    settings = app.observation_settings()
    require_importing(all_answers(app.state, app.me), is_on=settings.share)
    identity = meant(app, project if project is not None else ".")
    store = FolderChunks(_engram_at(engram))
    names = settings.authors | frozenset(author or ()) or _creators(store, yes=yes)
    new = take_over(store, names, identity, app.observation_survey)
    if new.new.found and not as_json:
        _show_import(app, new)
    if dry_run:
        result = new.new.result
    else:
        if new.new.found:
            ask_unless(yes, "--yes")
        result = new.carry_out(app.observations.own)
    if as_json:
        print_json(**result.to_fields())
        return
    _say_import(result)
    if dry_run:
        print_line("Nothing was changed.")
    elif result.observations_imported:
        print_if_down(app)


def manifest(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="It holds .engram.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Summarise a manifest of Engram.

    A directory without one has an empty manifest of version 1.

    Example: karma-sync observation manifest .
    """
    from karma_sync.agents.engram.chunks import FolderChunks
    from karma_sync.service.sessions.hand_over import summary

    found = summary(FolderChunks(_engram_at(directory)))
    if as_json:
        print_json(**found.to_fields())
        return
    print_line(
        f"version {found.version}, chunks {found.chunks}, sessions {found.sessions},"
        f" observations {found.memories}, prompts {found.prompts}"
    )
    for name, count in found.created_by.items():
        print_line(printable(f"  by {name or 'nobody named'}: {count}"))


def _export(app: App, place: Path, projects: list[str]) -> "ExportResult":
    from karma_sync.agents.engram.chunks import FolderChunks
    from karma_sync.service.projects import all_answers
    from karma_sync.service.sessions.hand_over import HandOver, hand_over
    from karma_sync.service.sessions.observations import author_name

    given = HandOver(
        app.read_observations,
        app.scope,
        app.settings.tag,
        lambda tag: author_name(app.state, tag),
        tuple(projects),
    )
    return hand_over(
        FolderChunks(place),
        given,
        all_answers(app.state, app.me),
        utc_now(),
        is_on=app.observation_settings().share,
    )


def _creators(store: "FolderChunks", *, yes: bool) -> frozenset[str]:
    """The names in a manifest that this person says are theirs."""
    names = sorted({entry.created_by for entry in store.read_manifest().chunks} - {""})
    if yes or not is_terminal():
        return frozenset()
    return frozenset(name for name in names if confirm(printable(f"Is {name} you?")))


def _show_import(app: App, new: "TakeOver") -> None:
    """Show what would be saved, and what of it would leave to whom."""
    from karma_sync.domain.session.observation import counted_types
    from karma_sync.domain.team.subscription import Content
    from karma_sync.service.sessions.preview import outlets

    print_line(f"For {new.project}: {counts_text(counted_types(new.new.found))}.")
    for outlet in outlets(app.state, app.me):
        answers = outlet[0]
        if answers.project == new.project and answers.mine.agreed(Content.OBSERVATIONS):
            print_line(f"Observations of {answers.project} in team {answers.team.name}.")
            show_observations(answers, new.leaving(outlet, app.observation_survey))


def _say_import(result: "ImportResult") -> None:
    print_line(
        f"chunks {result.chunks_imported}, observations {result.observations_imported},"
        f" chunks skipped {result.chunks_skipped}"
    )
    for code, number in (*result.reasons.items(), *result.refused.items()):
        print_line(f"  {code}: {number}")


def _engram_at(directory: Path) -> Path:
    place = directory_at(directory)
    return place if place.name == _ENGRAM else place / _ENGRAM


def _say(result: "ExportResult", place: Path) -> None:
    if result.is_empty:
        print_line(f"{place} has everything.")
        return
    print_line(
        f"chunk {result.chunk_id}: {result.observations_exported} observations,"
        f" {result.mutations_exported} changes. To take them over: engram sync --import"
    )
