"""Reads this machine's device ID from Syncthing's certificate (docs/syncthing.md, "Device ID").

The module imports little and decodes the certificate by hand: every command needs the device ID,
and `ssl` takes longer to load than all of this.
"""

import base64
import hashlib
from pathlib import Path

from karma_sync.domain.team.pairing_code import device_text
from karma_sync.errors import SyncthingError

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def device_id(home: Path) -> str:
    """The device ID in its usual form, 8 blocks of 7 characters.

    It is a hash of the certificate in the Syncthing home `home`, with check letters.

    Raises:
        SyncthingError: the certificate cannot be read.
    """
    cert = home / "cert.pem"
    try:
        der = _der(cert.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise unusable(home, error) from error
    return device_text(hashlib.sha256(der).digest())


def _der(pem: str) -> bytes:
    """The bytes of a certificate in PEM format.

    Raises:
        ValueError: the text is no certificate.
    """
    text = pem.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError("this is no certificate")
    return base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)


def unusable(home: Path, error: OSError | ValueError) -> SyncthingError:
    """The error for a key of Syncthing that is closed to us, gone or damaged."""
    closed = isinstance(error, PermissionError)
    what = "closed to us" if closed else "gone or damaged"
    return SyncthingError(
        f"the Syncthing key in {home}, by which others know this machine, is {what}:"
        f" {getattr(error, 'strerror', None) or error}",
        hint=f"chmod 600 {home}/*.pem, as their owner"
        if closed
        else f"put cert.pem and key.pem back into {home} from a backup",
    )
