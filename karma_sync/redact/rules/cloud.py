"""Rules for the keys of clouds and of services to which programs are deployed."""

import base64

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.value_checks import is_key, is_random, is_real
from karma_sync.redact.rules.shared import EDGE, END, VALUE

_BEDROCK = base64.b64encode(b"bedrock.amazonaws.com").decode()  # the host of the signed URL


def _is_varied(_name: bytes, key: bytes) -> bool:
    return is_real(b"", key) and len(set(key)) > len(key) // 2


def _is_vercel(_name: bytes, key: bytes) -> bool:
    return is_key(key.split(b"_")[1], 24)


CLOUD_RULES = (
    Rule(
        name="aws",
        pattern=EDGE + r"((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})" + END,
        one_line=True,
        gate=r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids",
        check=is_real,
        examples=("aws_access_key_id = «AKIA{base32:16}»", '"AccessKeyId": "«ASIA{base32:16}»"'),
        near_misses=("AKIA{base32:20}", "AKIA{base32:9}EXAMPLE", "ASIA_PACIFIC_REGION_NAME"),
    ),
    Rule(
        name="aws",
        pattern=r"(?i)(?:secret[_ -]?(?:access)?[_ -]?key|aws[_a-z]{0,20}secret)"
        + rf"(?:{VALUE}|[ \t|]{{1,40}})"
        + r"([A-Za-z0-9/+]{40})(?:\z|[^A-Za-z0-9/+=])",
        one_line=True,
        gate=r"(?i)(?:secret[_ -]?(?:access)?[_ -]?key|aws[_a-z]{0,20}secret)[^A-Za-z0-9]{1,60}",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        check=_is_varied,
        examples=(
            "aws_secret_access_key = «{base64:40}»",
            '"SecretAccessKey": "«{base64:40}»",',
            "AWS Secret Access Key [None]: «{base64:40}»",
            "|  SecretAccessKey |  «{base64:40}»  |",
        ),
        near_misses=("aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}",),
    ),
    Rule(
        name="aws",  # the secret key beside its id, as in a call or a table
        pattern=r"(?:(?:AKIA|ASIA)[A-Z0-9]{16}|\[REDACTED:aws\])[\s\"'`,:|]{1,12}"
        r"([A-Za-z0-9/+]{40})(?:\z|[^A-Za-z0-9/+=])",
        gate=r"(?:AKIA|ASIA)[A-Z0-9]{16}|\[REDACTED:aws\]",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        check=_is_varied,
        examples=(
            'Credentials("[REDACTED:aws]", "«{base64:40}»")',
            "[REDACTED:aws]:«{base64:40}»",
            "[REDACTED:aws]\n«{base64:40}»\n",
        ),
        near_misses=("[REDACTED:aws] and {base64:40}",),
    ),
    Rule(
        name="aws",
        pattern=EDGE + r"(ABSK[A-Za-z0-9+/]{100,}={0,2})",
        one_line=True,
        gate=r"ABSK[A-Za-z0-9+/\\]{100}",
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html",
        check=is_real,
        examples=("AWS_BEARER_TOKEN_BEDROCK=«ABSKQmVkcm9ja0FQSUtleS{base64:110}=»",),
        near_misses=("ABSKQmVkcm9ja0FQSUtleS1EXAMPLE",),
    ),
    Rule(
        name="aws",  # a key for Bedrock that is valid for some hours: base64 of a signed URL
        pattern=rf"(bedrock-api-key-{_BEDROCK}[A-Za-z0-9+/=]*)",
        one_line=True,
        keywords=("bedrock-api-key-",),
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html",
        check=is_real,
        examples=(f"key: «bedrock-api-key-{_BEDROCK}{{base64:60}}=»",),
        near_misses=("bedrock-api-key-{base64:60}",),
    ),
    Rule(
        name="aws",  # a signed URL gives access to everybody who has it until it expires
        pattern=r"(?i)X-(?:Amz|Goog)-Signature=([0-9a-f]{64,})",
        one_line=True,
        gate=r"(?i)X-(?:Amz|Goog)-Signature=",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html",
        examples=("https://b.s3.amazonaws.com/k?X-Amz-Expires=900&X-Amz-Signature=«{hex:64}»",),
        near_misses=("&X-Amz-Signature=<signature-value>",),
    ),
    Rule(
        name="aws",  # a session token of STS, recognized by the beginning of its base64
        pattern=EDGE + r"((?:IQoJb3JpZ2lu|F[Qw]oGZXIvYXdz)[A-Za-z0-9+/]{80,}={0,2})",
        one_line=True,
        gate=r"(?:IQoJb3JpZ2lu|F[Qw]oGZXIvYXdz)",
        source="https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html",
        check=is_real,
        examples=(
            "credentials «IQoJb3JpZ2luX2Vj{alnum:300}=» of a role",
            "«FwoGZXIvYXdzE{alnum:300}==»",
        ),
        near_misses=("IQoJb3JpZ2luX2Vj", "xFwoGZXIvYXdz{alnum:300}"),
    ),
    Rule(
        name="azure",
        pattern=r"(?i)(?:account|shared_?access_?)key[ \t]*=[ \t]*"
        r"([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)",
        one_line=True,
        gate=r"(?i)(?:account|access_?)key(?:[ \t]|\\+t)*=",
        source="https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string",
        check=is_real,
        examples=(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=«{base64:86}==»;EndpointSuffix=x",
            "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=«{base64:43}=»",
        ),
        near_misses=("AccountKey=<your-account-key>", "AccountKey=${KEY}"),
    ),
    Rule(
        name="azure",
        pattern=r"(?:[?&; \n]|amp;|%26|\\u0026)sig="
        r"([A-Za-z0-9+/_-]{43}=|(?:[A-Za-z0-9+/_-]|%[0-9A-Fa-f]{2}){40,})",
        one_line=True,
        gate=r"sig=[A-Za-z0-9%+/_\\-]{40}",
        source="https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas",
        check=is_real,
        examples=(
            "https://a.blob.core.windows.net/c?sv=2022-11-02&se=2026-01-01&sp=r&sig=«{alnum:43}%3D»",
            "SharedAccessSignature sr=x&sig=«{base64:43}=»&se=1",
        ),
        near_misses=("?sig=abc", "config={alnum:60}"),
    ),
    Rule(
        name="azure",  # Azure puts these marks at fixed places into keys, so that scanners see them
        pattern=EDGE
        + r"([A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{27}|[A-Za-z0-9]{42}(?:AzSe|\+ACR)[A-D][A-Za-z0-9]{5}"
        r"|[A-Za-z0-9+/]{76}(?:\+ASt|\+AMC|\+ABa|APIM|ACDb)[A-Za-z0-9+/]{6}=="
        r"|[A-Za-z0-9+/]{33}(?:\+ASb|\+AEh|\+ARm|AIoT|AzCa)[A-Za-z0-9+/]{6}="
        r"|[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{6}[AQgw]==)",
        one_line=True,
        gate=r"JQQJ9[A-Za-z0-9]{27}|(?:AzSe|\+ACR)[A-D]"
        r"|(?:A(?:St|MC|Ba|PIM|CDb|Sb|Eh|Rm|IoT|zCa|zFu))[A-Za-z0-9+/_\\-]{6,40}=",
        source="https://github.com/microsoft/security-utilities",
        check=is_real,
        examples=(
            "key «{alnum:52}JQQJ99{alnum:26}»",
            "storage «{base64:76}+ASt{base64:6}==»",
            "«{base64:33}+ASb{base64:6}=» and «{alnum:42}AzSeA{alnum:5}»",
        ),
        near_misses=("{alnum:20}JQQJ99{alnum:26}", "APIMKey="),
    ),
    Rule(
        name="azure",  # the secret of an application in Entra
        pattern=EDGE + r"([A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:\z|[^A-Za-z0-9_~-])",
        one_line=True,
        gate=r"[0-9]Q~[A-Za-z0-9_~.-]{31}",
        source="https://learn.microsoft.com/en-us/purview/sit-defn-azure-ad-client-secret",
        check=is_real,
        examples=("secret «{alnum:3}8Q~{alnum:15}_{alnum:18}»",),
        near_misses=("{alnum:3}8Q~{alnum:12}",),
    ),
    Rule(
        name="cloudflare",
        pattern=EDGE + r"(cf(?:k|ut|at)_[A-Za-z0-9]{48}|v1\.0-[0-9a-f]{24,}-[0-9a-f-]{100,})" + END,
        one_line=True,
        gate=r"cf(?:k|ut|at)_[A-Za-z0-9]{40}|v1\.0-[0-9a-f]{24}",
        source="https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/",
        check=is_real,
        examples=(
            "CF=«cfut_{alnum:40}{hex:8}»",
            "«cfk_{alnum:40}{hex:8}»",
            "«v1.0-{hex:24}-{hex:146}»",
        ),
        near_misses=("cfat_tooshort", "xcfat_{alnum:48}"),
    ),
    Rule(
        name="cloudflare",
        pattern=r"(?i)(?:x-auth-key|cloudflare[a-z_]{0,20}key|cf_[a-z_]{0,12}key)"
        + VALUE
        + r"([0-9a-f]{37})"
        + END,
        one_line=True,
        gate=r"(?i)(?:x-auth-key|cloudflare[a-z_]{0,20}key|cf_[a-z_]{0,12}key)[^A-Za-z0-9]",
        source="https://developers.cloudflare.com/fundamentals/api/get-started/keys/",
        examples=('-H "X-Auth-Key: «{hex:37}»"', "CF_API_KEY=«{hex:37}»"),
        near_misses=("X-Auth-Key: <key>",),
    ),
    Rule(
        name="cloudflare",  # a tunnel's: base64 of {"a": account, "t": tunnel, "s": secret}
        pattern=EDGE + r"(eyJhIjoi[A-Za-z0-9+/_-]{80,}={0,2})",
        one_line=True,
        gate=r"eyJhIjoi",
        source="https://developers.cloudflare.com/tunnel/advanced/tunnel-tokens/",
        examples=("cloudflared service install «eyJhIjoi{alnum:160}»",),
        near_misses=("eyJhIjoiMSJ9", "xeyJhIjoi{alnum:160}"),
    ),
    Rule(
        name="digitalocean",
        pattern=r"(do[opr]_v1_[a-f0-9]{64})",
        one_line=True,
        keywords=("doo_v1_", "dop_v1_", "dor_v1_"),
        source="https://docs.digitalocean.com/reference/api/create-personal-access-token/",
        examples=("DO=«dop_v1_{hex:64}»", "«doo_v1_{hex:64}»", "«dor_v1_{hex:64}»"),
        near_misses=("dop_v1_your_token",),
    ),
    Rule(
        name="vercel",
        pattern=EDGE + r"(vc[aciprk]_[A-Za-z0-9]{24,})",
        one_line=True,
        gate=r"vc[aciprk]_[A-Za-z0-9]{24}",
        source="https://vercel.com/changelog/new-token-formats-and-secret-scanning",
        check=_is_vercel,
        examples=("VERCEL_TOKEN=«vcp_{alnum:56}»", "«vck_{alnum:56}»"),
        near_misses=("vcp_breakoutpatternscreenerflag",),
    ),
    Rule(
        name="vercel",  # the older form has no prefix, and may be letters alone
        pattern=r"(?i)vercel[a-z_ -]{0,20}token" + VALUE + r"([A-Za-z0-9]{24})" + END,
        one_line=True,
        gate=r"(?i)vercel[a-z_ -]{0,20}token",
        source="https://vercel.com/docs/rest-api#authentication",
        check=is_random,
        examples=("VERCEL_TOKEN=«{letters:24}»", '"vercelToken": "«{alnum:24}»"'),
        near_misses=("VERCEL_TOKEN=${VERCEL_TOKEN}", "vercel token: aaaaaaaaaaaaaaaaaaaaaaaa"),
    ),
    Rule(
        name="vercel",  # the tokens of a Blob store and of an Edge Config
        pattern=r"(vercel_blob_rw_[A-Za-z0-9]{10,}_[A-Za-z0-9]{20,}|ecfg_[a-z0-9]{8,}\?token="
        r"[0-9a-fA-F-]{36})",
        one_line=True,
        gate=r"vercel_blob_rw_|ecfg_[a-z0-9]{8,}\?token=",
        source="https://vercel.com/docs/vercel-blob/using-blob-sdk#read-write-token",
        check=is_real,
        examples=(
            'put(name, x, {token: "«vercel_blob_rw_{alnum:16}_{alnum:30}»"})',
            "https://edge-config.vercel.com/«ecfg_{lower:28}?token={hex:8}-{hex:4}-{hex:4}-{hex:4}"
            "-{hex:12}»",
        ),
        near_misses=("vercel_blob_rw_...", "ecfg_{lower:28}?token=<token>"),
    ),
    Rule(
        name="supabase",
        pattern=EDGE + r"(sbp_[A-Za-z0-9_]{36,}|sb_secret_[A-Za-z0-9_-]{20,})",
        one_line=True,
        keywords=("sbp_", "sb_secret_"),
        source="https://supabase.com/docs/guides/api/api-keys",
        check=is_real,
        examples=("SUPABASE_ACCESS_TOKEN=«sbp_{hex:40}»", "«sb_secret_{url:22}_{alnum:8}»"),
        near_misses=("sb_publishable_{url:22}_{alnum:8}", "sb_secret_..."),
    ),
    Rule(
        name="sentry",
        pattern=r"(sntry[a-z]{1,2}_[A-Za-z0-9+/=_-]{40,})",
        one_line=True,
        gate=r"sntry[a-z]{1,2}_",
        source="https://docs.sentry.io/security-legal-pii/security/token-formats/",
        check=is_real,
        examples=(
            "SENTRY_AUTH_TOKEN=«sntrys_eyJ{base64:120}={base64:2}_{base64:43}»",
            "«sntryu_{hex:64}»",
        ),
        near_misses=("sntryu_your_token_here",),
    ),
    Rule(
        name="sentry",  # a DSN lets everybody who has it send events
        pattern=r"https?://([0-9a-f]{32}(?::[0-9a-f]{32})?)@[A-Za-z0-9.-]+(?::[0-9]+)?"
        r"/(?:[A-Za-z0-9_.-]+/)*[0-9]+",
        one_line=True,
        gate=r":(?:\\*/){2}[0-9a-f]{32}[:@]",
        source="https://docs.sentry.io/concepts/key-terms/dsn-explainer/",
        examples=(
            "SENTRY_DSN=https://«{hex:32}»@o{digits:6}.ingest.sentry.io/{digits:7}",
            'init("https://«{hex:32}:{hex:32}»@sentry.example/{digits:2}")',
        ),
        near_misses=("https://{hex:32}.example/1", "https://{hex:16}@sentry.example/1"),
    ),
)
