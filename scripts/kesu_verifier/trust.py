# The reader's trust file and tables: what he believes, never read from a bundle.
import json
import os
import re

from . import crl, notes, ssh, x509
from .base import HEX64, Usage, sha256_hex
from .policy import Policy

MAX_TRUST = 4 << 20
# Tables of profiles that plans of earlier programs name (docs/spec/certificate.md, "From evidence to level").
EARLIER_PROFILES = {"882f2f35a0c5492fc87118f008a22666acc35b447aefa5c98e919a7e0b302eae",
                    "dd9f1940a0d15b400a3ee48d8b3112219faa5e7cd56c576bf91ad22ac7075c07"}
LEVELS = ("absent", "asserted", "recorded", "attested", "proven")


class Trust:
    def __init__(self):
        self.signers, self.signer_cas, self.logs, self.witnesses = set(), [], [], []
        self.officers, self.tsa_cas, self.quorum, self.signer_crls = [], [], 1, []
        self.officers_cas, self.countersigners, self.renewal_required = [], set(), False

    def knows_officer(self, key, namespace, millis):
        return any(o.key.blob == key.blob and o.serves(namespace, millis) for o in self.officers)


def _read(path):
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TRUST + 1)
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}") from None
    if len(data) > MAX_TRUST:
        raise Usage(f"{path} is longer than {MAX_TRUST} bytes")
    return data


def _certificates(path):
    """Those of a file; one that no path may have leads nowhere."""
    out = []
    for der in x509.pem_certificates(_read(path), path):
        try:
            out.append(x509.Certificate(der))
        except x509.NoPath:
            pass
    return out


def _item(trust, word, value, where):
    if word in ("signer", "countersigner"):
        if not value.startswith("sha256:") or not HEX64.fullmatch(value[7:]):
            raise ValueError(f"{word} is sha256:<64 hex digits>")
        (trust.signers if word == "signer" else trust.countersigners).add(bytes.fromhex(value[7:]))
    elif word in ("signer-ca", "tsa-ca", "officers-ca"):
        {"signer-ca": trust.signer_cas, "tsa-ca": trust.tsa_cas, "officers-ca": trust.officers_cas}[word].extend(_certificates(where(value)))
    elif word == "tsa-renewal":
        if value != "required":
            raise ValueError("tsa-renewal takes the word required")
        trust.renewal_required = True
    elif word == "signer-crl":
        trust.signer_crls.extend(crl.read_lists(_read(where(value))))
    elif word == "log":
        trust.logs.append(notes.VerifierKey(value, (notes.ED25519,)))
    elif word == "witness":
        trust.witnesses.append(notes.VerifierKey(value, (notes.COSIGNATURE,)))
    elif word == "officer":
        trust.officers.append(ssh.Officer(ssh.PublicKey.line(value)))
    elif word == "officers":
        text = _read(where(value)).decode("utf-8")
        for n, line in enumerate(text.split("\n"), 1):
            line = line.rstrip("\r").strip(" \t")
            if line and not line.startswith("#"):
                try:
                    trust.officers.append(ssh.allowed_signer(line))
                except ssh.SshError as error:
                    raise ValueError(f"{value} line {n}: {error}") from None
    elif word == "quorum":
        if not re.fullmatch("[1-9][0-9]{0,5}", value):
            raise ValueError("quorum is a number from 1")
        trust.quorum = int(value)
    else:
        raise ValueError(f'"{word[:40]}" is no item of a trust file')


def read_trust(path):
    """The trust file; Usage names the line that is wrong."""
    trust = Trust()
    directory = os.path.dirname(os.path.abspath(path))
    try:
        text = _read(path).decode("utf-8")
    except UnicodeDecodeError:
        raise Usage(f"{path} is not UTF-8") from None
    for n, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        word, _, value = line.partition(" ")
        try:
            _item(trust, word, value.strip(), lambda name: os.path.join(directory, name))
        except (ValueError, UnicodeDecodeError, Usage, notes.NoteError, ssh.SshError, x509.X509Error) as error:
            raise Usage(f"{path} line {n}: {error}") from None
    return trust


class Tables:
    """docs/spec/claims.json, profiles.json, providers.json and the policy's lines, as the reader has them."""

    NAMES = ("claims.json", "profiles.json", "providers.json", "policy.jsonl")

    def __init__(self, directory=None):
        found = {name: self._read(name, directory) for name in self.NAMES}
        try:
            self.claims, self.profiles, self.providers = (json.loads(found[n]) for n in self.NAMES[:3])
            self.versions = {"claims": self.claims["version"], "profiles": self.profiles["version"],
                             "providers": self.providers["version"]}
            assert all(isinstance(v, int) for v in self.versions.values())
            assert all(c["rows"] and not c["rows"][-1]["when"] for c in self.claims["claims"])
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise Usage(f"the tables cannot be read: {error!r}") from None
        self.profile_digests = EARLIER_PROFILES | {sha256_hex(found["profiles.json"])}
        self.policy = Policy(found["policy.jsonl"])

    @staticmethod
    def _read(name, directory):
        """Beside the script, in the repository that the script lies in, or in the directory that was named."""
        scripts = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        root = os.path.dirname(scripts)
        places = [directory] if directory else [scripts, os.path.join(root, "docs", "spec"),
                                                os.path.join(root, "lib", "policy", "data")]
        for place in places:
            if os.path.isfile(os.path.join(place, name)):
                return _read(os.path.join(place, name))
        raise Usage(f"{name} is in none of {', '.join(places)}; say --tables DIR")

    def profile(self, name):
        return self.profiles["profiles"].get(name)

    def evaluate(self, claim, conditions):
        """The first row whose conditions hold."""
        return next(row for row in claim["rows"] if set(row["when"]) <= conditions)

    def grade(self, identity):
        """(test grade, reason) of a provider with this identity."""
        for row in self.providers["validated"]:
            if all(identity.get(n) == row["match"][n] for n in ("manufacturer", "model", "firmware")):
                return False, f"{row['certificate']}, {row['level']}"
        for row in self.providers["known_test_grade"]:
            if all(identity.get(n, "").startswith(text) for n, text in row["match"].items()):
                return True, row["reason"]
        return True, "no validation certificate is known for this module"
