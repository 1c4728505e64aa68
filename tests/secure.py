"""A real broker that asks for TLS and who comes, by password or certificate, and obeys ACLs; TLS before servers that have none."""

import asyncio
import datetime
import ipaddress
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.stack.kafka import HOST, Kafka
from ops.stack.local import LocalStack
from ops.stack.part import Progress, Site
from ops.stack.ports import assign
from streams.settings import Settings
from tests.stack import REAPER

PORT, MUTUAL = "kafka-secure", "kafka-mutual"
LISTENERS = """
listeners=MAIN://{host}:{main},SECOND://{host}:{second},SECURE://{host}:{secure},MUTUAL://{host}:{mutual},CONTROLLER://{host}:{controller}
advertised.listeners=MAIN://{host}:{main},SECOND://{host}:{advertised},SECURE://{host}:{secure},MUTUAL://{host}:{mutual}
listener.security.protocol.map=MAIN:PLAINTEXT,SECOND:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
ssl.principal.mapping.rules=RULE:^CN=([^,]+)$/$1/
listener.name.mutual.ssl.client.auth=required
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {plain};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
"""The plain listeners are the test's own way in: whoever comes there is nobody, and may do all."""

Rule = tuple[ResourceType, str, Sequence[AclOperation]]
"""What a user may do: kind, the beginning of the name, operations."""


class Authority:
    """A CA and what it signs, as PEM files."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Weft's tests")])
        own = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self, name: str) -> Path:
        """Key and certificate of a server on this host, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")])
        builder = self._builder(_called(name), key).add_extension(named, critical=False)
        file = self._folder / f"{name}.pem"
        file.write_bytes(_private(key, serialization.NoEncryption()) + self._signed(builder))
        return file

    def client(self, folder: Path, name: str, password: str) -> None:
        """Certificate and encrypted key of somebody, as NAME.pem and NAME.key in a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{name}.pem").write_bytes(self._signed(self._builder(_called(name), key)))
        (folder / f"{name}.key").write_bytes(_private(key, serialization.BestAvailableEncryption(password.encode())))

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        day = datetime.timedelta(days=1)
        return made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: ec.EllipticCurvePrivateKey, locked: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


class SecureKafka(Kafka):
    """The stack's broker with two more listeners."""

    port_names = (*Kafka.port_names, PORT, MUTUAL)
    keystore = ca = Path()
    passwords: Mapping[str, str] = {}

    def prepare(self, progress: Progress) -> None:
        """As ever, and the listeners."""
        super().prepare(progress)
        ports, file = self.site.ports, self.folder / "server.properties"
        listeners = LISTENERS.format(
            host=HOST,
            main=ports["kafka"],
            second=ports["kafka-second"],
            advertised=ports["kafka-second-advertised"],
            controller=ports["kafka-controller"],
            secure=ports[PORT],
            mutual=ports[MUTUAL],
            keystore=self.keystore,
            ca=self.ca,
            plain=" ".join(f'user_{name}="{password}"' for name, password in self.passwords.items()),
        )
        replaced = ("listeners=", "advertised.listeners=", "listener.security.protocol.map=")
        kept = [line for line in file.read_text().splitlines() if not line.startswith(replaced)]
        file.write_text("\n".join(kept) + listeners)


@dataclass(frozen=True, slots=True)
class SecureBroker:
    """Where it is, and who may come in."""

    bootstrap: str  # TLS, user and password
    mutual: str  # TLS, by certificate
    open: str  # the test's own way in
    authority: Authority
    folder: Path

    @property
    def ca(self) -> Path:
        """Who signed its certificate."""
        return self.authority.ca

    def user(self, name: str, password: str, rules: Sequence[Rule] = ()) -> None:
        """Make a user who may do this and nothing else."""
        admin = AdminClient({"bootstrap.servers": self.open})
        for way in (ScramMechanism.SCRAM_SHA_512, ScramMechanism.SCRAM_SHA_256):  # both in one request are refused
            scram = ScramCredentialInfo(way, 4096)
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, scram, password.encode())])[name].result(10)
        acls = [
            AclBinding(kind, resource, ResourcePatternType.PREFIXED, f"User:{name}", "*", operation, AclPermissionType.ALLOW)
            if kind is not ResourceType.BROKER
            else AclBinding(kind, resource, ResourcePatternType.LITERAL, f"User:{name}", "*", operation, AclPermissionType.ALLOW)
            for kind, resource, operations in rules
            for operation in operations
        ]
        for future in admin.create_acls(acls).values() if acls else ():
            future.result(10)


@contextmanager
def running_secure_kafka(passwords: Mapping[str, str]) -> Iterator[SecureBroker]:
    """A broker in a temporary folder; it knows these passwords for PLAIN. Another process ends it when this one ends, even by a kill."""
    folder = Path(tempfile.mkdtemp(prefix="weft-secure-")).resolve()
    reaper = subprocess.Popen([sys.executable, "-c", REAPER, str(folder)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        site: Site = LocalStack(Settings(data=folder)).parts(["kafka"])[0].site  # type: ignore[attr-defined]
        part = SecureKafka(Site(folder, site.cache, site.project, assign(folder, SecureKafka.port_names), site.java))
        (folder / "kafka").mkdir()
        authority = Authority(folder / "kafka")
        part.keystore, part.ca, part.passwords = authority.server("broker"), authority.ca, passwords
        part.prepare(lambda *_: None)
        part.start()
        until = time.monotonic() + part.start_s
        while not part.healthy():
            assert time.monotonic() < until, part.daemon.tail()
            time.sleep(0.1)
        secure, mutual, main = (f"{HOST}:{part.site.ports[name]}" for name in (PORT, MUTUAL, "kafka"))
        yield SecureBroker(secure, mutual, main, authority, folder)
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def tls_before(target: tuple[str, int], pem: Path) -> AsyncIterator[int]:
    """A port where TLS ends and what came goes on to the target: for servers that have no TLS themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(*target)
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer))

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
