"""Decides record by record what a fork takes of a transcript; reads no file and writes none.

A fork is a session that an agent here goes on with. It takes the conversation; records that it
leaves out are taken out of the chain of records, so that no record before them is lost
(docs/adr/0041-what-a-fork-takes.md).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from karma_sync.agents.claude.fork_records import BESIDE, Head, head_of, joined
from karma_sync.agents.claude.records import typed_prompt
from karma_sync.domain.session.fork import HEAD_RECORDS, MOST_HEADS
from karma_sync.errors import BadInput, Conflict, NotFound

_MESSAGES = ("user", "assistant")
_COMMITTED = re.compile(rb"\[[\w./-]{1,100} (?:\(root-commit\) )?([0-9a-f]{7,40})\] ")
_PROMPT_CHARS = 200
_PROPOSED = 5
_json = msgspec.json.Encoder().encode


class _Node(msgspec.Struct, gc=False):
    """One line of the transcript, as far as the decision needs it; `at` is its number."""

    at: int
    uuid: str | None
    parent: str | None
    type: str
    aside: bool  # of a subagent, in the old layout
    gone: bool
    response: str | None
    calls: tuple[str, ...]
    results: tuple[str, ...]
    thoughts: int
    tokens: int


@dataclass(frozen=True)
class ForkPlan:
    """The parts of one transcript that a fork takes.

    - `parents`: the kept lines by number, each with the uuid of the record that precedes it.
    - `thinking`: the lines of which thinking is left out.
    - `leaf`: the record after which the agent goes on; "" if the transcript has no conversation.
    - `directories`: the working directories that kept records name, the first one first.
    - `left_out`: records and parts that are left out, counted by reason or type.
    - `bridged`: how many records whose parent is missing got the one before them.
    - `tokens`: about so many the model reads again with the first prompt; 0 if nobody knows.
    - `heads`: the uuids with which the conversation begins, also after each compaction.
    - `said`: the uuids of its messages.
    """

    parents: Mapping[int, str | None]
    thinking: frozenset[int]
    leaf: str
    directories: tuple[str, ...]
    left_out: Mapping[str, int]
    bridged: int
    messages: int
    tokens: int
    versions: tuple[str, ...]
    branch: str
    commit: str
    last_prompt: str
    heads: tuple[str, ...]
    said: frozenset[str]
    stands_for: Callable[[str], str | None] = field(repr=False, compare=False)


@dataclass
class _Read:
    """Facts about the whole transcript, beside its records."""

    nodes: list[_Node] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    versions: dict[str, None] = field(default_factory=dict)
    directories: dict[int, str] = field(default_factory=dict)
    branches: dict[int, str] = field(default_factory=dict)
    commits: dict[int, str] = field(default_factory=dict)
    prompts: dict[int, str] = field(default_factory=dict)
    leaves: dict[int, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    bridged: int = 0


def plan_fork(
    lines: Iterable[bytes],
    *,
    at: str = "",
    keep_thinking: bool = False,
    is_subagent: bool = False,
) -> ForkPlan:
    """Decide what a fork takes; `at` begins the uuid of the last message that it takes.
    All records of a subagent's transcript are its conversation.

    Memory grows with the number of records, not with what they hold.

    Raises:
        NotFound: no message has this uuid.
        BadInput: several have.
        Conflict: the transcript has no message that a fork could take.
    """
    read = _read(lines, keep_thinking, is_subagent)
    if at:
        _end(read, _after(read, at))
    _cut_unanswered(read)
    parents = _linked(read)
    kept = [node for node in read.nodes if node.at in parents]
    said = [node for node in kept if node.type in _MESSAGES and not node.aside]
    if not said:
        raise Conflict("the session has no message yet from which one could go on")
    last = said[-1].at
    thoughts = {node.at: node.thoughts for node in kept if node.thoughts and not keep_thinking}
    thinking = sum(thoughts.values()) + read.left_out.pop("thinking", 0)
    return ForkPlan(
        parents=parents,
        thinking=frozenset(thoughts),
        leaf=_leaf(read, kept),
        directories=tuple(dict.fromkeys(d for n, d in read.directories.items() if n in parents)),
        left_out=dict(sorted((+read.left_out | Counter(thinking=thinking)).items())),
        bridged=read.bridged,
        messages=len(said),
        tokens=next((node.tokens for node in reversed(said) if node.tokens), 0),
        versions=tuple(read.versions),
        branch=_last(read.branches, last),
        commit=_last(read.commits, last),
        last_prompt=_last(read.prompts, last),
        heads=_heads(kept, parents),
        said=frozenset(node.uuid for node in said if node.uuid),
        stands_for=lambda uuid: _standing(read, uuid),
    )


def fork_lines(
    lines: Iterable[bytes],
    plan: ForkPlan,
    rewritten: Callable[[bytes, str | None, bool], bytes],
) -> Iterator[bytes]:
    """The fork's own lines, of the same lines for which the plan was made."""
    for number, line in enumerate(lines):
        if number in plan.parents:
            yield rewritten(line, plan.parents[number], number in plan.thinking)


def closing_lines(plan: ForkPlan, session: str, title: str) -> Iterator[bytes]:
    """The records that end a fork: its title, and the record after which the agent goes on."""
    named = {"sessionId": session}
    yield _record({"type": "custom-title", "customTitle": title, **named})
    # without it the old name stays at the agent's prompt
    yield _record({"type": "agent-name", "agentName": title, **named})
    prompt = {"type": "last-prompt", "lastPrompt": plan.last_prompt, "leafUuid": plan.leaf}
    yield _record({**prompt, **named})


def _record(fields: Mapping[str, str]) -> bytes:
    return joined({name: _json(value) for name, value in fields.items()}) + b"\n"


def _read(lines: Iterable[bytes], keep_thinking: bool, is_subagent: bool) -> _Read:
    read = _Read()
    for number, line in enumerate(lines):
        if not line or line.isspace():
            continue
        head = head_of(line)
        if head is None:
            read.left_out["unreadable line"] += 1
            continue
        node = _node(number, head, keep_thinking)
        node.aside = node.aside and not is_subagent
        _note(read, head, node, line)
        read.nodes.append(node)
        if node.uuid is not None:
            read.places[node.uuid] = len(read.nodes) - 1
    return read


def _node(number: int, head: Head, keep_thinking: bool) -> _Node:
    is_beside = head.uuid is None and head.type in BESIDE
    thoughts = head.thoughts
    emptied = bool(thoughts) and thoughts == len(head.parts) and not keep_thinking
    stays = head.is_withheld or not head.is_known or (head.uuid is None and not is_beside)
    return _Node(
        number,
        head.uuid,
        head.parentUuid,
        head.type or "",
        head.isSidechain is True,
        stays or (emptied and head.type == "assistant"),
        head.message.id if head.message and head.type == "assistant" else None,
        head.calls if head.type == "assistant" else (),
        head.results if head.type == "user" else (),
        thoughts,
        head.tokens if head.type == "assistant" else 0,
    )


def _note_gone(read: _Read, head: Head, node: _Node) -> None:
    if head.is_withheld:
        read.left_out["withheld"] += 1
    elif head.is_known and node.uuid is not None:
        read.left_out["thinking"] += node.thoughts
    else:
        read.left_out[f"record {head.name}"] += 1


def _note(read: _Read, head: Head, node: _Node, line: bytes) -> None:
    if node.gone:
        _note_gone(read, head, node)
    if head.version:
        read.versions.pop(head.version, None)
        read.versions[head.version] = None
    if head.type == "last-prompt" and head.leafUuid:
        read.leaves[node.at] = head.leafUuid
    if not node.gone and not node.aside and node.type in _MESSAGES:
        _note_message(read, head, node, line)


def _note_message(read: _Read, head: Head, node: _Node, line: bytes) -> None:
    if head.cwd and head.cwd not in read.directories.values():
        read.directories[node.at] = head.cwd
    if head.gitBranch and head.gitBranch not in _latest(read.branches):
        read.branches[node.at] = head.gitBranch
    if node.results and (found := _COMMITTED.findall(line)):
        read.commits[node.at] = found[-1].decode()
    if node.type == "user" and not node.results and not head.isMeta:
        text = " ".join(typed_prompt(head.texts).split())
        if text:
            read.prompts[node.at] = text[:_PROMPT_CHARS]


def _latest(known: dict[int, str]) -> tuple[str, ...]:
    return (next(reversed(known.values())),) if known else ()


def _last(known: dict[int, str], end: int) -> str:
    return next((value for at, value in reversed(known.items()) if at <= end), "")


def _after(read: _Read, wanted: str) -> int:
    """The line after which a fork ends that ends with a message.

    The message is the whole answer of the model, with the results of the tools that it called.
    """
    found = [
        node
        for node in read.nodes
        if node.uuid and node.type in _MESSAGES and not node.aside and node.uuid.startswith(wanted)
    ]
    exact = [node for node in found if node.uuid == wanted]
    if not found:
        raise NotFound(
            f"the session has no message {wanted!r}",
            hint="leave out --at, or take MESSAGE of ID@MESSAGE from karma-sync search WORDS",
        )
    if len({node.uuid for node in exact or found}) > 1:
        some = " or ".join(dict.fromkeys(str(node.uuid) for node in found[:_PROPOSED]))
        raise BadInput(f"{wanted!r} fits several messages", hint=f"--at {some}")
    node = (exact or found)[-1]
    whole = [n for n in read.nodes if n.response and n.response == node.response] or [node]
    calls = {call for each in whole for call in each.calls}
    results = [n.at for n in read.nodes if calls.intersection(n.results)]
    return max([node.at, *(n.at for n in whole), *results])


def _end(read: _Read, last: int) -> None:
    """Leave out what comes after a line."""
    later = [node for node in read.nodes if node.at > last]
    for node in later:
        _leave_out(read, node, "later record")
    for known in (read.prompts, read.commits, read.branches, read.leaves):
        for at in [each for each in known if each > last]:
            del known[at]


def _leave_out(read: _Read, node: _Node, reason: str) -> None:
    if not node.gone:
        node.gone = True  # a record of this pass
        read.left_out[reason] += 1


def _cut_unanswered(read: _Read) -> None:
    """Leave out the calls of the last answer that have no result, and the records after them.

    Calls further up were interrupted and gone on from; the agent completes them by itself.
    """
    said = [n for n in read.nodes if n.type in _MESSAGES and not n.gone and not n.aside]
    last = next((n for n in reversed(said) if n.type == "assistant"), None)
    if last is None or any(n.at > last.at and not n.results for n in said):
        return
    answered = {call for node in said for call in node.results}
    same = [n for n in said if n is last or (n.response and n.response == last.response)]
    open_ = [n for n in same if not answered.issuperset(n.calls)]
    if not open_:
        return
    cut = {node.uuid for node in open_}
    for node in open_:
        _leave_out(read, node, "call without a result")
    for node in read.nodes[read.nodes.index(open_[0]) :]:
        if node.parent in cut:
            cut.add(node.uuid)
            _leave_out(read, node, "record after a call without a result")


def _linked(read: _Read) -> dict[int, str | None]:
    """The kept lines, each with its parent: the nearest kept record above it."""
    parents: dict[int, str | None] = {}
    latest: dict[bool, str | None] = {True: None, False: None}
    for node in read.nodes:
        if node.gone:
            continue
        if node.uuid is None:
            parents[node.at] = None
            continue
        parent = _standing(read, node.parent)
        if node.parent is not None and parent is None and not _is_root(read, node.parent):
            parent = latest[node.aside]
            read.bridged += parent is not None
        parents[node.at] = parent
        latest[node.aside] = node.uuid
    _open_rings(read, parents)
    return parents


def _standing(read: _Read, uuid: str | None) -> str | None:
    """The kept record that stands for a record: itself, or the nearest kept one above it."""
    seen: set[str] = set()
    while uuid is not None and uuid in read.places and uuid not in seen:
        node = read.nodes[read.places[uuid]]
        if not node.gone:
            return uuid
        seen.add(uuid)
        uuid = node.parent
    return None


def _is_root(read: _Read, uuid: str) -> bool:
    """Whether the records above this one, which are all left out, begin the conversation."""
    seen: set[str] = set()
    above: str | None = uuid
    while above is not None:
        if above not in read.places or above in seen:
            return False
        seen.add(above)
        above = read.nodes[read.places[above]].parent
    return True


def _open_rings(read: _Read, parents: dict[int, str | None]) -> None:
    """Let no record come before itself: an agent that walks up would never end."""
    free: set[int] = set()
    for start in parents:
        path: dict[int, None] = {}
        at: int | None = start
        while at is not None and at not in free:
            if at in path:
                parents[at] = None
                break
            path[at] = None
            above = parents[at]
            at = None if above is None else read.nodes[read.places[above]].at
        free.update(path)


def _leaf(read: _Read, kept: list[_Node]) -> str:
    """The record after which the author's agent would go on."""
    chain = [node for node in kept if node.uuid is not None and not node.aside]
    named = [(at, leaf) for at, leaf in read.leaves.items()]
    said = [node.at for node in chain if node.type in _MESSAGES]
    if named and named[-1][0] > said[-1] and (leaf := _standing(read, named[-1][1])):
        return leaf
    return str(chain[-1].uuid)


def _heads(kept: list[_Node], parents: Mapping[int, str | None]) -> tuple[str, ...]:
    """The uuids of the first records after each root: a copy of the session begins with them."""
    found: list[str] = []
    since = HEAD_RECORDS
    for node in kept:
        if node.uuid is None:
            continue
        since = 0 if parents[node.at] is None else since + 1
        if since < HEAD_RECORDS:
            found.append(node.uuid)
    return tuple(found[-MOST_HEADS:])
