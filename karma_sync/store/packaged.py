"""Stores in work.db which files were read, and which sessions were packaged how far.

These tables are not in `store/work.py`, because their values are pydantic models: most commands
load that module, and pydantic loads slowly.
"""

from karma_sync.domain.session.source_files import PackedItem, ReadFile
from karma_sync.store.table import Table

read_files = Table("read_file", ReadFile, ["path"])
packed_items = Table("packed_item", PackedItem, ["folder", "item"])
# Items whose files are about to be renamed into the outbox. Afterwards the same value is stored in
# `packed_items`; if a crash comes between, the value here is compared with the outbox.
begun_items = Table("begun_item", PackedItem, ["folder", "item"])
