"""Custodians of key shares for tests: RSA keys and certificates of every kind, made with python3-cryptography.

    people = Custodians(directory)
    people.make("sato")                      # sato.key, sato.pem: RSA-3072, valid now, keyEncipherment
    people.make("old", until=-1); people.make("curve", key=ec_key())
"""
import datetime
import secrets
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ISSUER = ec.generate_private_key(ec.SECP256R1())


def certificate(name, public_key, begin=-1, until=365, usage=("key_encipherment",), common_name=None):
    """PEM of a certificate for the key, by another's signature; days from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder()
               .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or name),
                                        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Custodians")]))
               .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")]))
               .public_key(public_key).serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=begin)).not_valid_after(now + datetime.timedelta(days=until)))
    if usage is not None:
        bits = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                              "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(x509.KeyUsage(**bits | dict.fromkeys(usage, True)), critical=True)
    return builder.sign(ISSUER, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Custodians:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def make(self, name, bits=3072, key=None, **options):
        """Writes NAME.key and NAME.pem; returns the certificate's path."""
        key = key or rsa.generate_private_key(65537, bits)
        (self.directory / f"{name}.key").write_bytes(private_pem(key))
        return self.write(name, certificate(name, key.public_key(), **options))

    def write(self, name, pem):
        path = self.directory / f"{name}.pem"
        path.write_bytes(pem)
        return path

    def pem(self, name):
        return self.directory / f"{name}.pem"

    def decrypt(self, name, message, out):
        """As a custodian does it, with stock OpenSSL; the plain share is written with mode 600."""
        done = subprocess.run(["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", message, "-inkey",
                               self.directory / f"{name}.key", "-out", out], capture_output=True, check=False)
        if done.returncode:
            raise AssertionError(done.stderr.decode())
        out.chmod(0o600)
        return out

    def many(self, number, bits=3072):
        """Certificate paths of so many RSA keys that nobody has: random odd moduli."""
        out = []
        for i in range(number):
            modulus = secrets.randbits(bits) | 1 << (bits - 1) | 1
            out.append(self.write(f"many-{i}", certificate(f"many-{i}", rsa.RSAPublicNumbers(65537, modulus).public_key())))
        return out
