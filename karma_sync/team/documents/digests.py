"""What two members compare to know that they have the same."""

import hashlib
from collections.abc import Mapping


def digest_of(revisions: Mapping[str, int]) -> str:
    """The digest of a receipt that names exactly these items and revisions."""
    lines = "".join(f"{item} {revision}\n" for item, revision in sorted(revisions.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
