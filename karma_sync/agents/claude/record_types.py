"""Lists which records of Claude Code's transcripts leave, by profile (docs/agent-files.md).

A transcript holds much more than the conversation: what Claude Code posts to its API, the person's
own instructions, the environment. So a profile sends only the types that are listed here. A type
that no table lists stays here too, because a newer version may write anything into it; `full` sends
everything.

The types of a record are its `type`, for `system` and `progress` with the subtype behind a slash.
Attachments are listed by their own type, with the keys that leave.
"""

from collections.abc import Mapping

from karma_sync.domain.session.profile import Profile

VERSION = 2  # raise it with every change of behaviour that is not a change of the tables


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_C, _S = Profile.CONVERSATION, Profile.STANDARD

# The smallest profile that sends the type.
RECORDS: Mapping[str, Profile] = {
    "user": _C,
    "assistant": _C,
    "system": _C,  # written without a subtype by old versions
    "system/api_error": _C,
    "system/away_summary": _C,
    "system/compact_boundary": _C,
    "system/informational": _C,
    "system/microcompact_boundary": _C,
    "system/stop_hook_summary": _S,
    "system/turn_duration": _C,
    "progress/agent_progress": _S,
    "progress/bash_progress": _S,
    "progress/hook_progress": _S,
    "progress/mcp_progress": _S,
    "progress/query_update": _S,
    "progress/search_results_received": _S,
    "summary": _C,
    "task-summary": _C,
    "custom-title": _C,
    "ai-title": _C,
    "agent-name": _C,
    "agent-setting": _C,
    "tag": _C,
    "mode": _C,
    "permission-mode": _C,
    "last-prompt": _C,
    "pr-link": _C,
    "marble-origami-commit": _C,
    "marble-origami-reset": _C,
}

_HOOK = """hookName toolUseID hookEvent toolName content command stdout stderr exitCode durationMs
response blockingError message decision"""
_FILE = "filename displayPath content snippet truncated"
_PLAN = "reminderType isSubAgent planFilePath planExists planContent"
_TODOS = "content itemCount"

# The smallest profile that sends an attachment of the type, and the keys that leave with `type`.
ATTACHMENTS: Mapping[str, tuple[Profile, frozenset[str]]] = {
    name: (profile, _words(keys))
    for names, profile, keys in (
        ("file edited_text_file already_read_file compact_file_reference", _C, _FILE),
        ("queued_command", _C, "prompt commandMode origin source_uuid imagePasteIds"),
        ("task_reminder todo_reminder", _C, _TODOS),
        ("task_status", _C, "taskId taskType status description deltaSummary"),
        ("plan_mode plan_mode_exit plan_mode_reentry plan_file_reference", _C, _PLAN),
        ("instructions", _C, "files"),
        ("nested_memory", _C, "path displayPath content"),
        ("hook_success hook_additional_context hook_system_message", _S, _HOOK),
        ("hook_blocking_error hook_non_blocking_error hook_error_during_execution", _S, _HOOK),
        ("hook_cancelled hook_stopped_continuation hook_permission_decision", _S, _HOOK),
        ("async_hook_response", _S, _HOOK),
    )
    for name in names.split()
}

# Types that are known, and leave with `full` only. All others are reported as not known.
STAY = _words(
    """api-request api-request-blob api-request-shape atis-latch attribution-snapshot bridge-session
    content-replacement continued-in cost-state file-history-delta file-history-snapshot
    fork-context-ref frame-link agent-color isolation-latch marble-origami-snapshot parent-session
    queue-operation relocated result speculation-accept system/init system/local_command tools-used
    worktree-state
    agent_listing_delta auto_mode command_permissions date deferred_tools_delta environment
    invoked_skills mcp_instructions_delta model output_style output_style_instructions
    prompt_snapshot remote_session_change session_context skill_listing skill"""
)

# The keys of an attachment's record that leave. The text as it was posted (`rendered`) is none.
RECORD_KEYS = _words(
    """type uuid parentUuid logicalParentUuid sessionId session_id timestamp isSidechain userType
    entrypoint cwd version gitBranch slug agentId isMeta attachment"""
)

# The keys that a record keeps if its content stays here: they hold the chain together.
CHAIN_KEYS = _words(
    """type uuid parentUuid logicalParentUuid sessionId session_id timestamp
    isSidechain"""
)

# Attachments with files of instructions: `files` is a list of them, `content` is one.
INSTRUCTIONS = {"instructions": "files", "nested_memory": "content"}
PROJECT = "Project"  # the type of instructions in the repository

# A skill's text begins like this, in a `user` record with `isMeta`; it is counted as `skill`.
SKILL_BEGINS = "Base directory for this skill: "
SKILL_STAYS = "[the text of a skill outside the project stays here]"

# After `/cd` the instructions of the new directory stand in a `user` record with `isMeta`, the
# local ones among them; they are counted as `instructions`.
SHOWN_BELOW = "Codebase and user instructions are shown below."
SHOWN_STAY = "[the instructions stay here]"

# Keys that leave of no error of the API: its answer's headers name the account.
ERROR_KEYS = _words("headers request response config")
