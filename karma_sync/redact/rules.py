"""Our rule set: one list, the specific before the general.

Where stretches overlap they become one cut, named after the first rule of the list among them.
"""

from karma_sync.redact.rules_ai import AI_RULES
from karma_sync.redact.rules_assignment import ASSIGNMENT_RULES
from karma_sync.redact.rules_beside import BESIDE_RULES
from karma_sync.redact.rules_cloud import CLOUD_RULES
from karma_sync.redact.rules_command import COMMAND_RULES
from karma_sync.redact.rules_container import CONTAINER_RULES
from karma_sync.redact.rules_forge import FORGE_RULES
from karma_sync.redact.rules_general import GENERAL_RULES
from karma_sync.redact.rules_header import HEADER_RULES
from karma_sync.redact.rules_key import KEY_RULES
from karma_sync.redact.rules_service import SERVICE_RULES

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
