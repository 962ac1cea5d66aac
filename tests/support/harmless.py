"""Texts that look like secrets to a hasty reader and are none: nothing of them may be cut."""

# Random each time: `{hex:40}` as in tokens.py.
FORMS = """commit {hex:40}
index {hex:7}..{hex:7} 100644
{hex:7} Add token refresh
correlation_id: {hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}
session {hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}
"integrity": "sha512-{base64:86}=="
integrity sha512-{base64:86}==
resolved "https://r.example/jsonwebtoken/-/jsonwebtoken-9.0.0.tgz#{hex:40}"
--hash=sha256:{hex:64}
checksum = "{hex:64}"
example.org/x/oauth2 v0.1.0 h1:{base64:43}=
image@sha256:{hex:64}
toolu_{alnum:24} msg_{alnum:24} req_{alnum:24}
"message_id":"msg_01{alnum:22}"
chatcmpl-{alnum:29}
pk_live_{alnum:24} price_{alnum:24} cus_{alnum:14}
sb_publishable_{url:22}_{alnum:8}
arn:aws:iam::123456789012:role/x AROA{base32:17}
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{base64:43} alice@host
ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{base64:300}= a@b
SHA256:{base64:43}
authorized_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{base64:43}
public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{base64:43}"
"publicKey": "{base64:43}="
-----BEGIN CERTIFICATE-----
certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tC{base64:200}==
data:image/png;base64,iVBORw0KGgo{base64:900}
url(data:font/woff2;base64,d09GMgABAAAAA{base64:900})
//# sourceMappingURL=data:application/json;base64,{base64:500}
.token-{lower:6} {color: #{hex:6}}
ETag: "{hex:32}"
md5sum: {hex:32}  file
cacheKey: {hex:64}
"contentHash": "{hex:64}", "hashKey": "{hex:32}"
key: node-modules-{hex:64}
partition_key: {hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}
traceparent: 00-{hex:32}-{hex:16}-01
"nextPageToken": "{url:80}"
next_token={alnum:60}&x
continuation_token: {base64:60}
AKIA{base32:9}EXAMPLE
aws_secret_access_key = {alnum:30}EXAMPLEKEY""".splitlines()

# As they stand.
LINES = r"""password = get_password()
password: str
token: Optional[str] = None
secret: bytes = b""
api_key: str | None = None
"max_tokens": 4096,
KEY_LENGTH = 32
TOKEN_EXPIRY_SECONDS = 3600
passwordMinLength: 12
SECRET_KEY = os.environ["SECRET_KEY"]
api_key=os.environ["X_TOKEN"]
api_key = os.getenv("OPENAI_API_KEY", "")
const token = process.env.SECRET;
token: process.env.GITHUB_TOKEN!,
apiKey: config.get('apiKey'),
apiKey: import.meta.env.VITE_API_KEY,
OPENAI_API_KEY=YOUR_API_KEY
OPENAI_API_KEY=<your-key>
OPENAI_API_KEY=sk-...
OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}
token: ${TOKEN}
TOKEN="$(cat token.txt)"
export API_TOKEN=`pass show api/token`
Authorization: Bearer <token>
Authorization: Bearer ${token}
Authorization: `Bearer ${accessToken}`
headers: { Authorization: `Bearer ${process.env.API_KEY}` }
-H "Authorization: Bearer $TOKEN"
'Authorization': 'Bearer ' + token
WWW-Authenticate: Bearer realm="api"
"authorization": "none"
postgres://%s:%s@%s:%d/%s?sslmode=disable
https://x-access-token:%s@github.com/%s
'secret': 'V1SecretProjection',
isNestPass = std::move(other.isNestPass2);
secret_value = secrets[0]['value']
SESSION_KEY = 'oauth2_session_{0}'
postgres://${DB_USER}:${DB_PASSWORD}@${DB_HOST}/db
postgresql://user:***@host/db
mongodb://<username>:<password>@cluster/db
redis://localhost:6379
postgres://localhost:5432/db?email=a@b.example
http://localhost:3000/@vite/client
git@github.com:org/repo.git
def reset_password(user, token): pass
function validateToken(token: string, secretKey: Buffer): boolean {
if (token === expectedToken) return true;
token = tokens[i]
token.type == TokenType.STRING
this.apiKey = options.apiKey2;
props.key = `item-${index}`
<input type="password" name="password" placeholder="Enter your password" />
password: "Password must be at least 8 characters"
error: "Invalid password: must contain 1 digit and 1 symbol"
"password": {"type": "string", "minLength": 8}
password VARCHAR(255) NOT NULL
SELECT password_hash FROM users WHERE token = $1
- `api_key` (string): your API key
| `token` | string | yes | The access token |
| API_KEY | `your-api-key` | Required |
The API key is stored in ~/.config/app/key2.json
Set `API_KEY` to `process.env.API_KEY`
my secret key is stored in the keychain2
"token_type": "Bearer", "expires_in": 3600
secretKeyRef: {name: db-secret, key: password1}
existingSecret: postgres-credentials-v2
kms_key_id = "alias/my-key-1"
key_name = "deploy-key-2024"
sort_key: created_at#2024
keyboardShortcut: ctrl+shift+k
onKeyDown={(e) => handleKey(e, 13)}
localStorage.getItem("auth_token_v2")
const TOKEN_STORAGE_KEY = 'app.auth.token.v1'
csrf_token = "{{ csrf_token() }}"
"tokenizer_class": "LlamaTokenizer2"
"eos_token": "<|endoftext|>", "pad_token": "[PAD2]"
max_output_tokens=8192&stream=true
cache_read_input_tokens=1234567
--api-key TEXT  Your API key
--token <token>  Personal access token
--password-stdin
ssh-keygen -t ed25519 -C "alice@example.com"
Enter passphrase for key '/home/alice/.ssh/id_rsa2':
tests/test_token_refresh.py::test_password_reset2 PASSED [ 12%]
src/auth/token.service.ts:123:45
File "/app/password_utils.py", line 123, in check_password
import { getToken2 } from './token-utils';
password: "********"
token=***
password: changeme123
password = "password"
pass: 12, fail: 0
pass=100.00%
BUILD PASS: 20240101
Tests: pass: 1234 fail: 2
compass = "north2"
bypass: false
password_hash = hashlib.sha256(password.encode()).hexdigest()
user_token = user.tokens.first.value2
token := os.Getenv("TOKEN_V2")
secret, err := client.GetSecret(ctx, "db-secret-1")
private_key_path: /etc/ssl/private/server1.key
token_file: /var/run/secrets/kubernetes.io/serviceaccount/token
"token_endpoint": "https://h.example/oauth2/v1/token"
op://vault/item/password1
aws secretsmanager get-secret-value --secret-id prod/db-2
mysql -u root -p mydb2
redis-cli -a "$REDIS_PASSWORD" ping
curl -u "$USER:$PASS" https://h.example
if "BEGIN RSA PRIVATE KEY" in text:
r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
jwt.split(".")[1]
the password is incorrect
The secret is rotated every 30 days
set password = null
ENV PATH="/home/ann/.local/bin:$PATH"
set -euo pipefail
setx PATH "%PATH%;C:\tools"
CREATE USER app WITH PASSWORD :'pw';
{"name": "token", "value": null}
{"key": "apiKey", "value": "<API_KEY>"}
<secretKey>${secret.key}</secretKey>
<Token kind="ident">name1</Token>
token || 'default'
apiKey ?? 'test-key'
Server=db;Password=$(DbPassword);
"auth": "oauth2"
auth: { user: 'x', pass: process.env.SMTP_PASS }
NotificationService.create.someVeryLongMethodName
SENTRY_DSN=https://<key>@sentry.io/<project>
AccountKey=<key>;EndpointSuffix=core.windows.net
"alg":"RS256","kid":"abc123"
lookup_key = "standard_monthly_2024"
idempotency_key: order_12345_v1
translationKey="settings.token.expiry30"
queryKey: ['user', 'token2']
redis.set("session:token:123", v)
object_key: a/b/c/d-2024-01-01T00:00:00Z.json
tokenExpiresAt: "2024-05-01T12:00:00Z"
password_changed_at: 2024-01-01
API key: see the dashboard at https://h.example/keys/2024
Access token: generate one under Settings > Tokens
token bucket: capacity=100,rate=10/s
Use `<private>` tags to hide.""".splitlines()
