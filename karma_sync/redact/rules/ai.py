"""Rules for the keys of model providers, each after the provider's own description."""

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_random, is_real
from karma_sync.redact.rules.shared import EDGE, END

AI_RULES = (
    Rule(
        name="anthropic",
        pattern=r"(sk-ant-[A-Za-z0-9_-]{20,})",
        gate=r"sk-ant-[A-Za-z0-9_-]{20}",
        source="https://docs.claude.com/en/api/admin-api/apikeys/get-api-key",
        check=is_random,
        examples=(
            "export ANTHROPIC_API_KEY=«sk-ant-api03-{url:93}AA»",
            "oauth «sk-ant-oat01-{url:86}»,",
            '{"key":"«sk-ant-admin01-{url:80}»"}',
        ),
        near_misses=(
            'KEY="sk-ant-..."',
            "sk-ant-api03-your-key-here-please",
            "sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx",
        ),
    ),
    Rule(
        name="openrouter",
        pattern=r"(sk-or-(?:v[0-9]-)?[A-Za-z0-9]{32,})",
        gate=r"sk-or-(?:v[0-9]-)?[A-Za-z0-9]{32}",
        source="https://openrouter.ai/docs/api-reference/authentication",
        check=is_real,
        examples=("OPENROUTER_API_KEY=«sk-or-v1-{hex:64}»",),
        near_misses=("sk-or-v1-...", "task-or-v1-file"),
    ),
    Rule(
        name="openai",
        pattern=r"(sk-(?:proj|svcacct|service|admin|None)-[A-Za-z0-9_-]{20,})",
        gate=r"sk-(?:proj|svcacct|service|admin|None)-[A-Za-z0-9_-]{20}",
        source="https://platform.openai.com/docs/api-reference/authentication",
        check=is_random,
        examples=(
            "OPENAI_API_KEY=«sk-proj-{url:74}T3BlbkFJ{url:74}»",
            "«sk-svcacct-{url:58}T3BlbkFJ{url:58}»",
            "«sk-admin-{url:58}»",
        ),
        near_misses=("sk-proj-your-key-here-0123456789", "task-project-management-and-more-words"),
    ),
    Rule(
        name="openai",
        pattern=EDGE + r"(sk-[A-Za-z0-9]{32,})" + END,
        gate=r"sk-[A-Za-z0-9]{32}",
        source="https://platform.openai.com/docs/api-reference/authentication",
        check=is_random,
        examples=("key: «sk-{alnum:20}T3BlbkFJ{alnum:20}»", "DEEPSEEK=«sk-{hex:32}»"),
        near_misses=("risk-{alnum:40}", "sk-learn-pipeline"),
    ),
    Rule(
        name="openai",  # the token of a browser session
        pattern=EDGE + r"(sess-[A-Za-z0-9]{40})" + END,
        gate=r"sess-[A-Za-z0-9]{40}",
        source="https://platform.openai.com/docs/api-reference/authentication",
        check=is_random,
        examples=("Authorization «sess-{alnum:40}»",),
        near_misses=("sess-{alnum:24}", "access-{alnum:40}"),
    ),
    Rule(
        name="google",
        pattern=EDGE + r"(AIza[A-Za-z0-9_-]{35})" + END,
        gate=r"AIza[A-Za-z0-9_-]{35}",
        source="https://docs.cloud.google.com/docs/authentication/api-keys",
        check=is_random,
        examples=("?key=«AIza{url:35}»&v=3", "«AIzaSy{url:33}»"),
        near_misses=("AIzaShort", "AIza{alnum:50}", "AIzaSyabcdefghijklmnopqrstuvwxyz1234567"),
    ),
    Rule(
        name="google",
        pattern=EDGE + r"(AQ\.Ab[A-Za-z0-9_-]{40,})",
        keywords=("AQ.Ab",),
        source="https://ai.google.dev/gemini-api/docs/api-key",
        check=is_real,
        examples=("GEMINI_API_KEY=«AQ.Ab{url:48}»",),
        near_misses=("FAQ.About",),
    ),
    Rule(
        name="google",
        pattern=EDGE + r"(GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_.-]{20,}[A-Za-z0-9_-]"
        r"|1//0[A-Za-z0-9_-]{40,})",
        gate=r"GOCSPX-|ya29\.|1(?:\\*/){2}0[A-Za-z0-9_-]{40}",
        source="https://developers.google.com/identity/protocols/oauth2",
        check=is_real,
        examples=(
            "client: «GOCSPX-{url:28}»",
            "token «ya29.a0{url:120}».",
            "refresh «1//0{alnum:2}-{url:90}»",
        ),
        near_misses=("GOCSPX-short", "https://h.example/1//0"),
    ),
    Rule(
        name="xai",
        pattern=EDGE + r"(xai-(?:token-)?[A-Za-z0-9_]{70,})",
        gate=r"xai-(?:token-)?[A-Za-z0-9_]{70}",
        source="https://docs.x.ai/docs/guides/using-management-api",
        check=is_real,
        examples=("XAI_API_KEY=«xai-{alnum:80}»", "«xai-token-{alnum:80}» manages"),
        near_misses=(
            "xai-sdk-python",
            "xai-" + "x" * 80,
        ),
    ),
    Rule(
        name="groq",
        pattern=EDGE + r"(gsk_[A-Za-z0-9]{52})" + END,
        gate=r"gsk_[A-Za-z0-9]{52}",
        source="https://console.groq.com/docs/quickstart",
        check=is_random,
        examples=("GROQ_API_KEY=«gsk_{alnum:52}»",),
        near_misses=("gsk_your_key",),
    ),
    Rule(
        name="huggingface",
        pattern=EDGE + r"((?:hf|api_org)_[A-Za-z0-9]{34})" + END,
        gate=r"(?:hf|api_org)_[A-Za-z0-9]{34}",
        source="https://huggingface.co/docs/hub/security-tokens",
        check=is_random,
        examples=("HF_TOKEN=«hf_{letters:34}»", "«api_org_{letters:34}»"),
        near_misses=(
            "hf_hub_download",
            "shf_{letters:34}",
            "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
    ),
)
