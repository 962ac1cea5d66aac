"""Reads the content of items from the files that a library keeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from karma_sync.channel.layout import chunk_name, decompress, kept_item
from karma_sync.domain.session.manifest import ItemFile, Manifest, split_item


@dataclass(frozen=True)
class KeptContent:
    """The content of one revision of an item, below `root`.

    Every method raises FileNotFoundError if a newer revision replaced this one, and Unverified if
    a file is damaged.
    """

    root: Path
    folder: str
    manifest: Manifest

    def chunk(self, sha: str, size: int) -> bytes:
        """One chunk."""
        return decompress((self.root / chunk_name(sha)).read_bytes(), size)

    def tail(self, file: ItemFile) -> bytes:
        """The end of a file, which follows its chunks."""
        return self.tails()[file.path]

    def tails(self) -> dict[str, bytes]:
        """The ends of all files, by path."""
        manifest = self.manifest
        place = kept_item(self.root, self.folder, manifest.item, manifest.revision)
        inline = decompress(split_item(place.read_bytes())[1], manifest.inline_size)
        found, at = {}, 0
        for file in manifest.files:
            found[file.path] = inline[at : at + file.tail.size]
            at += file.tail.size
        return found

    def pieces(self, file: ItemFile, first: int = 0) -> Iterator[bytes]:
        """A file's content from its chunk number `first` on, piece by piece."""
        for sha, size in file.chunks[first:]:
            yield self.chunk(sha, size)
        yield self.tail(file)

    def span(self, file: ItemFile, at: int, size: int) -> bytes:
        """The `size` bytes that begin `at` bytes after the beginning of a file."""
        found, start = [], 0
        for sha, length in file.chunks:
            if start + length > at and start < at + size:
                found.append(self.chunk(sha, length)[max(0, at - start) : at + size - start])
            start += length
        if start < at + size:
            found.append(self.tail(file)[max(0, at - start) : at + size - start])
        return b"".join(found)
