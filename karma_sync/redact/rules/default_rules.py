"""Our rule set: one list, the specific before the general.

Where stretches overlap they become one cut, named after the first rule of the list among them.
"""

from karma_sync.redact.rules.adjacent import BESIDE_RULES
from karma_sync.redact.rules.ai import AI_RULES
from karma_sync.redact.rules.assignment import ASSIGNMENT_RULES
from karma_sync.redact.rules.cloud import CLOUD_RULES
from karma_sync.redact.rules.command import COMMAND_RULES
from karma_sync.redact.rules.container import CONTAINER_RULES
from karma_sync.redact.rules.forge import FORGE_RULES
from karma_sync.redact.rules.general import GENERAL_RULES
from karma_sync.redact.rules.header import HEADER_RULES
from karma_sync.redact.rules.private_key import KEY_RULES
from karma_sync.redact.rules.saas import SERVICE_RULES

DEFAULT_RULES = (
    *AI_RULES,
    *CLOUD_RULES,
    *FORGE_RULES,
    *SERVICE_RULES,
    *KEY_RULES,
    *CONTAINER_RULES,
    *GENERAL_RULES,
    *HEADER_RULES,
    *ASSIGNMENT_RULES,
    *BESIDE_RULES,
    *COMMAND_RULES,
)
