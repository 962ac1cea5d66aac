"""The commands `observation export` and `observation manifest`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.frame import require_private
from karma_sync.cli.observation.reading import ProjectsOption
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import print_json, print_line
from karma_sync.domain.text import printable
from karma_sync.paths import directory_at
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.agents.engram.export import ExportResult

_LOOK_S = 1.0
_ENGRAM = ".engram"


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command()(export)
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
