"""Made-up tokens in every provider's published form, and the places where transcripts hold them.

A form is written as `examples.fill` reads it, so that no file here holds what a scanner takes for
a live key; `Draw` fills it with new random characters each time, where `fill` is always the same.
"""

import base64
import random
import re
import string
from dataclasses import dataclass

from karma_sync.redact.examples import ALPHABETS

_HOLE = re.compile(r"\{(?P<alphabet>[A-Za-z0-9]+):(?P<size>\d+)\}")
_DIGITS = string.digits
LONG = 12  # characters; shorter holes hold ids
_SIGNS = "!#$%&*+-.:;=?@^_~"


@dataclass(frozen=True)
class Form:
    """One kind of token: who gives it out, its form, the name it is kept under.

    `alone` says that it is known by its looks; else only beside its name.
    """

    provider: str
    form: str
    name: str
    alone: bool = True


class Draw:
    """Random tokens and passwords from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  to be repeated, not to be secret

    def token(self, form: str) -> str:
        """The form with new random characters in its holes."""
        return self.drawn(form)[0]

    def drawn(self, form: str) -> tuple[str, list[str]]:
        """The same, and what was put into its longer holes: all that nobody else could know."""
        made: list[str] = []

        def fill(hole: re.Match[str]) -> str:
            made.append(self.of(hole["alphabet"], int(hole["size"])))
            return made[-1]

        token = _HOLE.sub(fill, form)
        return token, [each for each in made if len(each) >= LONG]

    def of(self, alphabet: str, size: int) -> str:
        """So many characters of an alphabet."""
        if alphabet == "snowflake":  # base64 of a number of so many digits
            number = self.of("123456789", 1) + self.of(_DIGITS, size - 1)
            return base64.urlsafe_b64encode(number.encode()).decode().rstrip("=")
        letters = {"digits": _DIGITS}.get(alphabet, ALPHABETS.get(alphabet, alphabet))
        return "".join(self._random.choice(letters) for _ in range(size))

    def password(self) -> str:
        """A password as a password manager makes it: letters, digits, a sign, in any order."""
        body = [*self.of("letters", 9), *self.of(_DIGITS, 2), *self.of(_SIGNS, 1)]
        self._random.shuffle(body)
        return "".join([self.of("letters", 1), *body, self.of("letters", 1)])


FORMS = (
    Form("anthropic", "sk-ant-api03-{url:93}AA", "ANTHROPIC_API_KEY"),
    Form("anthropic", "sk-ant-admin01-{url:93}AA", "ANTHROPIC_ADMIN_KEY"),
    Form("anthropic", "sk-ant-oat01-{url:95}", "CLAUDE_CODE_OAUTH_TOKEN"),
    Form("anthropic", "sk-ant-ort01-{url:95}", "REFRESH_TOKEN"),
    Form("anthropic", "sk-ant-sid01-{url:86}AA", "SESSION_KEY"),
    Form("openai", "sk-{alnum:20}T3BlbkFJ{alnum:20}", "OPENAI_API_KEY"),
    Form("openai", "sk-proj-{url:74}T3BlbkFJ{url:74}", "OPENAI_API_KEY"),
    Form("openai", "sk-proj-{url:20}T3BlbkFJ{url:20}", "OPENAI_API_KEY"),
    Form("openai", "sk-svcacct-{url:58}T3BlbkFJ{url:58}", "OPENAI_API_KEY"),
    Form("openai", "sk-admin-{url:58}T3BlbkFJ{url:58}", "OPENAI_ADMIN_KEY"),
    Form("openai", "sk-None-{url:20}T3BlbkFJ{url:20}", "OPENAI_API_KEY"),
    Form("openai", "sess-{alnum:40}", "SESSION_KEY"),
    Form("openrouter", "sk-or-v1-{hex:64}", "OPENROUTER_API_KEY"),
    Form("google", "AIzaSy{url:33}", "GOOGLE_API_KEY"),
    Form("google", "AQ.Ab8RN6{url:44}", "GEMINI_API_KEY"),
    Form("google", "GOCSPX-{url:28}", "GOOGLE_CLIENT_SECRET"),
    Form("google", "ya29.a0{url:160}", "ACCESS_TOKEN"),
    Form("google", "1//0{digits:1}{url:100}", "REFRESH_TOKEN"),
    Form("xai", "xai-{alnum:80}", "XAI_API_KEY"),
    Form("xai", "xai-token-{alnum:80}", "XAI_MANAGEMENT_KEY"),
    Form("groq", "gsk_{alnum:52}", "GROQ_API_KEY"),
    Form("huggingface", "hf_{letters:34}", "HF_TOKEN"),
    Form("huggingface", "api_org_{letters:34}", "HF_API_TOKEN"),
    Form("aws", "AKIA{base32:16}", "AWS_ACCESS_KEY_ID"),
    Form("aws", "ASIA{base32:16}", "AWS_ACCESS_KEY_ID"),
    Form("aws", "{base64:40}", "AWS_SECRET_ACCESS_KEY", alone=False),
    Form("aws", "IQoJb3JpZ2luX2Vj{base64:400}==", "AWS_SESSION_TOKEN"),
    Form("aws", "FwoGZXIvYXdzE{base64:300}=", "AWS_SESSION_TOKEN"),
    Form("aws", "ABSKQmVkcm9ja0FQSUtleS{base64:110}=", "AWS_BEARER_TOKEN_BEDROCK"),
    Form("azure", "{base64:86}==", "AZURE_STORAGE_KEY", alone=False),
    Form("azure", "{base64:76}+ASt{base64:6}==", "AZURE_STORAGE_ACCOUNT_KEY", alone=False),
    Form("azure", "{alnum:3}8Q~{alnum:34}", "AZURE_CLIENT_SECRET"),
    Form("azure", "{alnum:52}JQQJ99{alnum:18}AAAA{alnum:4}", "AZURE_OPENAI_API_KEY"),
    Form("github", "ghp_{alnum:36}", "GITHUB_TOKEN"),
    Form("github", "gho_{alnum:36}", "GH_TOKEN"),
    Form("github", "ghu_{alnum:36}", "GITHUB_TOKEN"),
    Form("github", "ghs_{alnum:36}", "GITHUB_TOKEN"),
    Form("github", "ghr_{alnum:76}", "GITHUB_REFRESH_TOKEN"),
    Form("github", "github_pat_{alnum:22}_{alnum:59}", "GH_PAT"),
    Form("gitlab", "glpat-{url:20}", "GITLAB_TOKEN"),
    Form("gitlab", "glpat-{url:27}.01.{lower:9}", "GITLAB_TOKEN"),
    Form("gitlab", "gloas-{hex:64}", "GITLAB_OAUTH_SECRET"),
    Form("gitlab", "gldt-{url:20}", "CI_DEPLOY_PASSWORD"),
    Form("gitlab", "glrt-t1_{url:20}", "RUNNER_TOKEN"),
    Form("gitlab", "glcbt-64_{url:20}", "CI_JOB_TOKEN"),
    Form("gitlab", "glptt-{hex:40}", "TRIGGER_TOKEN"),
    Form("gitlab", "glft-{url:20}", "FEED_TOKEN"),
    Form("gitlab", "glimt-{lower:25}", "INCOMING_MAIL_TOKEN"),
    Form("gitlab", "glagent-{url:50}", "KAS_TOKEN"),
    Form("gitlab", "glsoat-{url:20}", "SCIM_TOKEN"),
    Form("gitlab", "glffct-{url:20}", "FEATURE_TOKEN"),
    Form("gitlab", "GR1348941{url:20}", "REGISTRATION_TOKEN"),
    Form("bitbucket", "ATBB{alnum:24}{HEX:8}", "BITBUCKET_APP_PASSWORD"),
    Form("bitbucket", "ATCTT3xFfGN0{url:160}={HEX:8}", "BITBUCKET_TOKEN"),
    Form("bitbucket", "ATATT3xFfGF0{url:160}={HEX:8}", "JIRA_API_TOKEN"),
    Form("bitbucket", "BBDC-NDc{base64:41}", "BITBUCKET_TOKEN"),
    Form("npm", "npm_{alnum:36}", "NPM_TOKEN"),
    Form("pypi", "pypi-AgEIcHlwaS5vcmc{url:150}", "PYPI_TOKEN"),
    Form("pypi", "pypi-AgENdGVzdC5weXBpLm9yZw{url:140}", "TWINE_PASSWORD"),
    Form("slack", "xoxb-{digits:12}-{digits:13}-{alnum:24}", "SLACK_BOT_TOKEN"),
    Form("slack", "xoxp-{digits:11}-{digits:11}-{digits:12}-{hex:32}", "SLACK_TOKEN"),
    Form("slack", "xoxa-2-{digits:11}-{digits:11}-{digits:12}-{hex:32}", "SLACK_TOKEN"),
    Form("slack", "xoxr-{digits:11}-{digits:11}-{digits:12}-{hex:32}", "SLACK_TOKEN"),
    Form("slack", "xoxs-{digits:11}-{digits:11}-{digits:11}-{hex:10}", "SLACK_TOKEN"),
    Form("slack", "xoxc-{digits:12}-{digits:12}-{digits:12}-{hex:64}", "SLACK_TOKEN"),
    Form("slack", "xoxd-{alnum:60}%2F{alnum:60}%2B{alnum:40}%3D", "SLACK_COOKIE"),
    Form("slack", "xoxe.xoxp-1-{alnum:160}", "SLACK_CONFIG_TOKEN"),
    Form("slack", "xoxe.xoxb-1-{alnum:160}", "SLACK_TOKEN"),
    Form("slack", "xoxe-1-{alnum:146}", "SLACK_REFRESH_TOKEN"),
    Form("slack", "xapp-1-A{upper:10}-{digits:13}-{hex:64}", "SLACK_APP_TOKEN"),
    Form("slack", "https://hooks.slack.com/services/T{upper:10}/B{upper:10}/{alnum:24}", "HOOK"),
    Form(
        "slack",
        "https://hooks.slack.com/workflows/T{upper:10}/A{upper:10}/{digits:9}/{alnum:24}",
        "HOOK",
    ),
    Form("slack", "https://hooks.slack.com/triggers/T{upper:10}/{digits:13}/{hex:32}", "HOOK"),
    Form("discord", "{snowflake:19}.G{alnum:5}.{url:38}", "DISCORD_TOKEN"),
    Form("discord", "{snowflake:18}.{url:6}.{url:27}", "BOT_TOKEN"),
    Form("discord", "mfa.{url:84}", "DISCORD_TOKEN"),
    Form("discord", "https://discord.com/api/webhooks/{digits:19}/{url:68}", "WEBHOOK"),
    Form("discord", "https://ptb.discordapp.com/api/v10/webhooks/{digits:18}/{url:68}", "WEBHOOK"),
    Form("telegram", "7{digits:9}:AA{url:33}", "TELEGRAM_BOT_TOKEN"),
    Form("telegram", "1{digits:8}:AA{url:33}", "TELEGRAM_BOT_TOKEN"),
    Form("twilio", "SK{hex:32}", "TWILIO_API_KEY"),
    Form("twilio", "{hex:32}", "TWILIO_AUTH_TOKEN", alone=False),
    Form("twilio", "{alnum:32}", "TWILIO_API_SECRET", alone=False),
    Form("sendgrid", "SG.{url:22}.{url:43}", "SENDGRID_API_KEY"),
    Form("stripe", "sk_live_{alnum:24}", "STRIPE_SECRET_KEY"),
    Form("stripe", "sk_live_51{alnum:97}", "STRIPE_SECRET_KEY"),
    Form("stripe", "sk_test_51{alnum:97}", "STRIPE_KEY"),
    Form("stripe", "rk_live_51{alnum:97}", "STRIPE_RESTRICTED_KEY"),
    Form("stripe", "rk_test_{alnum:24}", "STRIPE_RESTRICTED_KEY"),
    Form("stripe", "sk_org_live_{alnum:60}", "STRIPE_ORG_KEY"),
    Form("stripe", "whsec_{alnum:32}", "STRIPE_WEBHOOK_SECRET"),
    Form("stripe", "whsec_{hex:64}", "STRIPE_WEBHOOK_SECRET"),
    Form("supabase", "sb_secret_{url:22}_{url:8}", "SUPABASE_SECRET_KEY"),
    Form("supabase", "sbp_{hex:40}", "SUPABASE_ACCESS_TOKEN"),
    Form("supabase", "sbp_v0_{hex:40}", "SUPABASE_ACCESS_TOKEN"),
    Form("supabase", "sbp_oauth_{hex:40}", "SUPABASE_OAUTH_TOKEN"),
    Form("cloudflare", "cfut_{alnum:40}{hex:8}", "CLOUDFLARE_API_TOKEN"),
    Form("cloudflare", "cfat_{alnum:40}{hex:8}", "CF_API_TOKEN"),
    Form("cloudflare", "cfk_{alnum:40}{hex:8}", "CLOUDFLARE_API_KEY"),
    Form("cloudflare", "v1.0-{hex:24}-{hex:146}", "CF_ORIGIN_CA_KEY"),
    Form("cloudflare", "{url:40}", "CLOUDFLARE_API_TOKEN", alone=False),
    Form("cloudflare", "{hex:37}", "CLOUDFLARE_API_KEY", alone=False),
    Form("cloudflare", "eyJhIjoi{alnum:160}", "TUNNEL_TOKEN"),
    Form("digitalocean", "dop_v1_{hex:64}", "DIGITALOCEAN_TOKEN"),
    Form("digitalocean", "doo_v1_{hex:64}", "DIGITALOCEAN_TOKEN"),
    Form("digitalocean", "dor_v1_{hex:64}", "DO_REFRESH_TOKEN"),
    Form("vercel", "vcp_{alnum:56}", "VERCEL_TOKEN"),
    Form("vercel", "vck_{alnum:56}", "AI_GATEWAY_API_KEY"),
    Form("vercel", "{alnum:24}", "VERCEL_TOKEN", alone=False),
    Form("vercel", "vercel_blob_rw_{alnum:16}_{alnum:30}", "BLOB_READ_WRITE_TOKEN"),
    Form("sentry", "sntrys_eyJ{alnum:120}={base64:2}_{base64:43}", "SENTRY_AUTH_TOKEN"),
    Form("sentry", "sntryu_{hex:64}", "SENTRY_AUTH_TOKEN"),
    Form("sentry", "https://{hex:32}@o{digits:6}.ingest.us.sentry.io/{digits:7}", "SENTRY_DSN"),
    Form("sentry", "https://{hex:32}:{hex:32}@sentry.io/{digits:6}", "SENTRY_DSN"),
    Form("jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{url:120}.{url:43}", "SERVICE_ROLE_KEY"),
    Form("jwt", "eyJhbGciOiJSUzI1NiJ9.eyJ{url:200}.{url:342}", "ID_TOKEN"),
    Form("jwt", "eyJhbGciOiJkaXIifQ..{url:16}.{url:80}.{url:22}", "SESSION_TOKEN"),
    Form("url", "postgres://app:{alnum:16}@db.example.net:5432/shop", "DATABASE_URL"),
    Form("url", "postgresql+asyncpg://app:{alnum:16}@/shop?host=/var/run", "DATABASE_URL"),
    Form("url", "mysql://root:{letters:12}@127.0.0.1/x", "DATABASE_URL"),
    Form("url", "mongodb+srv://u:{url:14}@c0.abcde.example.net/?retryWrites=true", "MONGODB_URI"),
    Form("url", "redis://:{hex:40}@cache:6379/0", "REDIS_URL"),
    Form("url", "rediss://default:{alnum:20}@x.example.io:6380", "REDIS_URL"),
    Form("url", "amqps://svc:{alnum:20}@mq.example.org/vhost", "BROKER_URL"),
    Form("url", "https://{alnum:30}@git.example.org/o/r.git", "REMOTE"),
    Form("url", "root:{alnum:16}@tcp(127.0.0.1:3306)/shop", "DSN"),
    Form("url", "https://oauth2:{url:24}@git.example.org/o/r.git", "REMOTE"),
    Form("generic", "{hex:32}", "APP_SECRET", alone=False),
    Form("generic", "{hex:64}", "SESSION_SECRET", alone=False),
    Form("generic", "{base64:43}=", "ENCRYPTION_KEY", alone=False),
    Form("generic", "{url:43}", "AUTH_TOKEN", alone=False),
    Form("generic", "{alnum:20}", "ACME_API_KEY", alone=False),
    Form("generic", "{letters:32}", "NEXTAUTH_SECRET", alone=False),
)
