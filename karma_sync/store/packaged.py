"""In work.db: what was read and packaged, as far as it has to be known again."""

from karma_sync.domain.session.source_files import PackedItem, ReadFile
from karma_sync.store.table import Table

read_files = Table("read_file", ReadFile, ["path"])
packed_items = Table("packed_item", PackedItem, ["folder", "item"])
# what is packaged once its file is in its place; the same as `packed_items` from then on
begun_items = Table("begun_item", PackedItem, ["folder", "item"])
