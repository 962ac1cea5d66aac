"""A member whose karma-sync is a copy that can be replaced while it runs."""

import shutil
from pathlib import Path

import karma_sync
from tests.support.town import Town


class Upgradable:
    """Bob, who has a copy of karma-sync, as an installer puts it."""

    def __init__(self, town: Town, installed: Path) -> None:
        package = Path(karma_sync.__file__).parent
        ignored = shutil.ignore_patterns("__pycache__")
        self._package = installed / "site-packages" / package.name
        shutil.copytree(package, self._package, ignore=ignored)
        self.member = town.member("bob")
        self.member.environ["PYTHONPATH"] = str(self._package.parent)

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace one piece of the program."""
        place = self._package / name
        text = place.read_text()
        assert text.count(before) == 1
        place.write_text(text.replace(before, after))

    @property
    def log(self) -> str:
        return self.member.paths.log.read_text()

    @property
    def starts(self) -> int:
        """How often the daemon said that it is up."""
        return self.log.count(f"{self.member.tag} is up")
