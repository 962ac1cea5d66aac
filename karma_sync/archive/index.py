"""The index of archived sessions in archive.db, and how a session is named in it."""

from karma_sync.store import activity, record_ids, search_index
from karma_sync.store.database import Transaction

Key = tuple[str, str]
"""The agent that wrote a session, and the session's id."""

FOLDER = "archive"
"""The one channel of the index."""

TABLES = (
    search_index.TABLES,
    # the archived sessions as store/search.py asks for them: the reader's own, of no team
    """
    CREATE VIEW item AS SELECT 'archive' AS folder, agent || '/' || session AS item, '' AS team,
        '' AS member, project, wrote AS agent, session, active_ms AS active,
        'session' AS kind FROM session
    """,
    activity.TABLES,
    record_ids.TABLES,
)


def item_of(key: Key) -> str:
    """The name of a session in the index."""
    return "/".join(key)


def key_of(item: str) -> Key:
    """The session that `item_of` named so."""
    agent, _, session = item.partition("/")
    return agent, session


def unindexed(tx: Transaction) -> list[Key]:
    """The sessions whose newest archived state is not indexed yet, the last active first.

    Taken from the end, a session is indexed before those that continue it.
    """
    rows = tx.execute(
        "SELECT agent, session FROM session AS s WHERE NOT EXISTS (SELECT 1 FROM search_item AS i"
        " WHERE i.folder = ? AND i.item = s.agent || '/' || s.session"
        " AND i.revision = s.archived_ms) ORDER BY active_ms DESC",
        [FOLDER],
    )
    return [(row["agent"], row["session"]) for row in rows]
