"""Prints observations, as lists and as fields of JSON."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.frame import require_private
from karma_sync.cli.output import print_line
from karma_sync.domain.text import printable

if TYPE_CHECKING:
    from karma_sync.library.observations import ReadObservation

_ID_CHARS = 12


def print_observations(app: App, found: "Iterable[ReadObservation]") -> None:
    """Print each on a line: the beginning of its id, its day, type, title and author."""
    for each in found:
        shown = f"{each.id[:_ID_CHARS]:{_ID_CHARS}}  {each.record.updated[:10]:10}  "
        print_line(printable(shown + observation_line(app, each)))


def observation_line(app: App, found: "ReadObservation") -> str:
    """Return an observation on one line, with the author's name if it is by another."""
    from karma_sync.library.observations import label
    from karma_sync.service.sessions.observations import author_name

    return label(found, app.settings.tag, author_name(app.state, found.author))


def observation_fields(found: "ReadObservation") -> dict[str, object]:
    """Return the fields of an observation, as JSON has them."""
    fields = found.record.to_fields()
    return fields | {"author": found.author, "editor": found.editor, "project": found.project}


def require_private_of(found: "Iterable[ReadObservation]", me: str, *, private: bool) -> None:
    """Refuse to print without a frame, to an agent, what another wrote or edited, or stays here.

    Raises:
        NeedsConsent: as `require_private`.
    """
    for each in found:
        if each.author != me or each.editor or not each.team:
            require_private(private, "an observation is by another, or stays here")
