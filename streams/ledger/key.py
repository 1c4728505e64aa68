"""The log key: one Ed25519 key that signs every tree, each under the tree's own name (C2SP signed-note)."""

import base64
import binascii
import os
import shlex
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from schemas.errors import UsageError

ED25519: Final = b"\x01"  # the signature type of a signed note
ID_BYTES: Final = 4


def key_id(name: str, public: bytes) -> bytes:
    """SHA-256(name || newline || signature type || public key)[:4]."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:ID_BYTES]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name."""

    name: str
    public: bytes  # 32 bytes

    @property
    def id(self) -> bytes:
        """The key's id, 4 bytes."""
        return key_id(self.name, self.public)

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether this key signed the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key, `name+id+base64`.

        Raises:
            ValueError: it is none.
        """
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3:
            raise ValueError("a verifier key has the form name+id+base64")
        name, ident, encoded = parts
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the verifier key's last part is not base64: {error}") from error
        if raw[:1] != ED25519 or len(raw) != 33:
            raise ValueError("the verifier key is no Ed25519 key")
        verifier = cls(name, raw[1:])
        if not name or verifier.id.hex() != ident:
            raise ValueError("the verifier key's id does not fit its name and key: it was changed or mistyped")
        return verifier


@dataclass(frozen=True, slots=True)
class LogKey:
    """The private key that every worker of an installation holds."""

    private: Ed25519PrivateKey

    def verifier(self, name: str) -> Verifier:
        """The public key under the name of a tree."""
        return Verifier(name, self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, text: bytes) -> bytes:
        """The signature, 64 bytes; the same for the same text."""
        return self.private.sign(text)

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a key and keep it in a file of mode 0600.

        Raises:
            UsageError: there is such a file, or it can't be written.
        """
        key = cls.generate()
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
        except FileExistsError as error:
            raise UsageError(
                f"There is a log key at {path} already.", "A log keeps its key for life; move the file away to start another log."
            ) from error
        except OSError as error:
            raise UsageError(f"The log key can't be written to {path}: {error.strerror}.") from error
        return key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key from its file.

        Raises:
            UsageError: there is none, others may read it, or it is no Ed25519 key.
        """
        try:
            mode, pem = path.stat().st_mode, path.read_bytes()
        except OSError as error:
            raise UsageError(f"The log key {path} can't be read: {error.strerror}.", "Make one with: weft audit keys --create") from error
        if mode & 0o077:
            raise UsageError(f"Others may read the log key {path}.", f"Run: chmod 600 {shlex.quote(str(path))}")
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise UsageError(f"The file {path} holds no private key.") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise UsageError(f"The key in {path} is no Ed25519 key.")
        return cls(private)
