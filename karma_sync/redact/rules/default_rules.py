"""Lists our own rules: specific rules before general ones.

If the matches of several rules overlap, the redactor makes one redaction of them, named after the
rule with the longest match; among equally long matches, after the earliest rule in the list.
"""

from karma_sync.redact.rules.adjacent import ADJACENT_RULES
from karma_sync.redact.rules.assignment import ASSIGNMENT_RULES
from karma_sync.redact.rules.command import COMMAND_RULES
from karma_sync.redact.rules.container import CONTAINER_RULES
from karma_sync.redact.rules.family_files import family_rules
from karma_sync.redact.rules.general import GENERAL_RULES
from karma_sync.redact.rules.header import HEADER_RULES
from karma_sync.redact.rules.listed import LISTED_RULES
from karma_sync.redact.rules.private_key import PRIVATE_KEY_RULES
from karma_sync.redact.rules.server import SERVER_RULES

DEFAULT_RULES = (
    *family_rules(),
    *PRIVATE_KEY_RULES,
    *CONTAINER_RULES,
    *GENERAL_RULES,
    *HEADER_RULES,
    *ASSIGNMENT_RULES,
    *ADJACENT_RULES,
    *COMMAND_RULES,
    *LISTED_RULES,
    *SERVER_RULES,
)
