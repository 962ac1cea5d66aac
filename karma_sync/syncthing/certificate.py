"""Who this machine is to Syncthing: the hash of a certificate (SYNCTHING.md section 1).

It stands by itself, and decodes the certificate by hand: every command asks for it, and `ssl`
takes longer to load than all of this.
"""

import base64
import hashlib
from pathlib import Path

from karma_sync.domain.team.pairing_code import device_text
from karma_sync.errors import SyncthingError

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def device_id(home: Path) -> str:
    """The device ID in its usual form, 8 blocks of 7: a hash of the certificate and check letters.

    Raises:
        SyncthingError: there is no certificate that can be read.
    """
    cert = home / "cert.pem"
    try:
        der = _der(cert.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise unusable(home, error) from error
    return device_text(hashlib.sha256(der).digest())


def _der(pem: str) -> bytes:
    """The bytes of a certificate.

    Raises:
        ValueError: it is none.
    """
    text = pem.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError("it is no certificate")
    return base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)


def unusable(home: Path, error: OSError | ValueError) -> SyncthingError:
    """What to say of a key of Syncthing's that is closed to us, gone or damaged."""
    closed = isinstance(error, PermissionError)
    what = "closed to us" if closed else "gone or damaged"
    return SyncthingError(
        f"the Syncthing key in {home}, by which others know this machine, is {what}:"
        f" {getattr(error, 'strerror', None) or error}",
        hint=f"chmod 600 {home}/*.pem, as their owner"
        if closed
        else f"put cert.pem and key.pem back into {home} from a backup",
    )
