"""The extractors of passages by agent program: whose sessions can be searched by what they say."""

from collections.abc import Mapping

from karma_sync.agents.claude.passages import ClaudePassages
from karma_sync.agents.claude.source import AGENT
from karma_sync.domain.session.passage import Extractor

EXTRACTORS: Mapping[str, Extractor] = {AGENT: ClaudePassages()}
