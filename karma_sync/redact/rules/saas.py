"""Rules for the tokens of chat, mail and payment services."""

import re

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_key, is_made_of_words, is_real
from karma_sync.redact.rules.shared import EDGE, END

_NUMBER = re.compile(rb"(?:[MNO][DTjz][AEIMQUYcgk][0-5w-z])+")  # base64 of digits
_ID = 3  # digits; the shortest ids have eight
_VARIED = 10  # different characters, including the prefix
_STRIPE_KEY = 32  # characters, including the prefix


def _is_slack(_name: bytes, token: bytes) -> bool:
    """Slack's tokens contain ids: a real one has several digits, and not only zeros."""
    return is_real(b"", token) and _digits(token) >= _ID and len(set(token)) > _VARIED


def _is_stripe(_name: bytes, key: bytes) -> bool:
    """Has full length, or a digit if it is short like the oldest keys: not `sk_live_something`."""
    return is_real(b"", key) and (len(key) >= _STRIPE_KEY or _digits(key) > 0)


def _is_discord(_name: bytes, token: bytes) -> bool:
    """The bot's number or a random text, and a signature; not a chain of properties in code."""
    first, _, last = token.split(b".")
    return (_NUMBER.match(first) is not None or is_key(first)) and not is_made_of_words(last)


def _digits(token: bytes) -> int:
    return sum(0x30 <= byte <= 0x39 for byte in token)


SAAS_RULES = (
    Rule(
        name="slack",
        pattern=r"((?:xox[a-z]\.?|xapp|xwfp|xoxe\.xox[bp])-[A-Za-z0-9%_-]{16,})",
        one_line=True,
        gate=r"(?:xox[a-z]\.?|xapp|xwfp|xox[bp])-[A-Za-z0-9%_-]{16}",
        source="https://docs.slack.dev/authentication/tokens/",
        check=_is_slack,
        examples=(
            "SLACK_BOT_TOKEN=«xoxb-{digits:12}-{digits:13}-{alnum:24}»",
            "«xoxp-{digits:11}-{digits:11}-{digits:12}-{hex:32}»",
            "«xapp-1-A{upper:10}-{digits:13}-{hex:64}»",
            "«xoxe.xoxp-1-{alnum:160}»",
        ),
        near_misses=("xoxb-your-token-goes-here", "xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx"),
    ),
    Rule(
        name="slack",
        pattern=r"hooks\.slack(?:-gov)?\.com/((?:services|workflows|triggers)/[A-Za-z0-9_+/-]{30,})",
        one_line=True,
        gate=r"hooks\.slack",
        source="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
        check=is_real,
        examples=("https://hooks.slack.com/«services/T{upper:8}/B{upper:8}/{alnum:24}»",),
        near_misses=(
            "https://hooks.slack.com/services/T00000000/B00",
            "https://hooks.slack.com/services/XXXXXXXXX/XXXXXXXXX/XXXXXXXXXXXXXXXXXXXXXXXX",
        ),
    ),
    Rule(
        name="discord",
        pattern=EDGE + r"([MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40})" + END,
        one_line=True,
        gate=r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}",
        source="https://docs.discord.com/developers/reference#authentication",
        check=_is_discord,
        examples=('client.login("«MT{alnum:24}.G{alnum:5}.{url:37}7»")',),
        near_misses=("NotificationServiceProvider.create.someVeryLongFunctionNameOfIt",),
    ),
    Rule(
        name="discord",  # a person's token
        pattern=EDGE + r"(mfa\.[A-Za-z0-9_-]{80,})",
        one_line=True,
        gate=r"mfa\.[A-Za-z0-9_-]{80}",
        source="https://docs.discord.com/developers/reference#authentication",
        check=is_real,
        examples=("authorization «mfa.{url:84}»",),
        near_misses=("mfa.enabled",),
    ),
    Rule(
        name="discord",
        pattern=r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/([0-9]{16,20}/[A-Za-z0-9_-]{50,})",
        one_line=True,
        gate=r"\\*/webhooks\\*/[0-9]{16}",
        source="https://docs.discord.com/developers/resources/webhook",
        check=is_real,
        examples=("https://discord.com/api/webhooks/«{digits:18}/{url:68}»",),
        near_misses=("https://discord.com/api/webhooks/<id>/<token>",),
    ),
    Rule(
        name="telegram",
        # not a part of a URL, but also in a line that a diff removes
        pattern=EDGE.replace("[^A-Za-z0-9]", r"[^A-Za-z0-9_/.:-]|/bot|(?m:^|[\"'\s→:|>])-")
        + r"([0-9]{8,10}:A[A-Za-z0-9_-]{32,36})"
        + END,
        one_line=True,
        gate=r"[0-9]{8}:A[A-Za-z0-9_-]{32}",
        source="https://core.telegram.org/bots/api#authorizing-your-bot",
        check=is_real,
        examples=(
            "TELEGRAM_TOKEN=«{digits:10}:AA{url:33}»",
            "-«{digits:10}:AA{url:33}»",
            "   12→-«{digits:10}:AA{url:33}»",
            "https://api.telegram.org/bot«{digits:9}:AA{url:33}»/getMe",
        ),
        near_misses=("12:AA{url:33}", "{digits:10}:AA{url:20}"),
    ),
    Rule(
        name="twilio",
        pattern=EDGE + r"(SK[0-9a-f]{32})" + END,
        one_line=True,
        gate=r"SK[0-9a-f]{32}",
        source="https://www.twilio.com/docs/iam/api-keys",
        examples=("TWILIO_API_KEY=«SK{hex:32}»",),
        near_misses=("TASK{hex:32}", "SK{hex:40}"),
    ),
    Rule(
        name="twilio",
        pattern=r"(?i)twilio[a-z_.\s]{0,24}(?:token|secret|auth)[^A-Za-z0-9]{1,8}([0-9a-f]{32})"
        + END,
        one_line=True,
        gate=r"(?i)twilio",
        source="https://www.twilio.com/docs/iam/access-tokens",
        examples=("twilio auth token: «{hex:32}»",),
        near_misses=("twilio account {hex:32}",),
    ),
    Rule(
        name="twilio",  # the token beside its account, as in a call or on a command line
        pattern=EDGE + r"AC[0-9a-f]{32}[^A-Za-z0-9]{1,8}([0-9a-f]{32})" + END,
        one_line=True,
        gate=r"AC[0-9a-f]{32}",
        source="https://www.twilio.com/docs/usage/requests-to-twilio",
        examples=(
            'client = Client("AC{hex:32}", "«{hex:32}»")',
            "curl -u AC{hex:32}:«{hex:32}» https://h.example",
        ),
        near_misses=("AC{hex:32} and {hex:32}", "MAC{hex:32}: {hex:32}"),
    ),
    Rule(
        name="sendgrid",
        pattern=EDGE + r"(SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50})" + END,
        one_line=True,
        gate=r"SG\.[A-Za-z0-9_-]{20}",
        source="https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
        check=is_real,
        examples=("SENDGRID_API_KEY=«SG.{url:22}.{url:43}»",),
        near_misses=("SG.example.com", "MSG.{url:22}.{url:43}"),
    ),
    Rule(
        name="stripe",
        pattern=EDGE
        + r"((?:sk|rk)_(?:org_)?(?:live|test|prod)_[A-Za-z0-9]{14,}|whsec_[A-Za-z0-9+/=]{32,})",
        one_line=True,
        gate=r"[sr]k_(?:org_)?(?:live|test|prod)_|whsec_",
        source="https://docs.stripe.com/keys",
        check=_is_stripe,
        examples=(
            "«sk_live_{alnum:24}»",
            "«rk_test_{alnum:99}» «sk_org_live_{alnum:40}»",
            "STRIPE_WEBHOOK_SECRET=«whsec_{alnum:32}»",
        ),
        near_misses=("pk_live_{alnum:24}", "sk_live_short", "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx"),
    ),
)
