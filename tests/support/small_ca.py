"""A certification authority for tests, by openssl(1) alone: root, intermediate, certificates for a request, revocation lists.

    ca = Ca(directory)
    chain = ca.issue(csr_pem)                    # PEM: certificate, intermediate, root
    ca.revoke(chain, "20260101000000Z"); ca.lists()
"""
import datetime
import pathlib
import subprocess

CONFIG = """
[ca]
default_ca = test
[test]
new_certs_dir = {dir}
database = {dir}/index
serial = {dir}/serial
crlnumber = {dir}/crlnumber
default_md = sha384
policy = any
unique_subject = no
copy_extensions = none
crl_extensions = v3_crl
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = placeholder
[v3_crl]
authorityKeyIdentifier = keyid
[v3_crl_partial]
issuingDistributionPoint = critical,@idp
[idp]
onlyuser = TRUE
[v3_root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[v3_ca]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_ca_names]
basicConstraints = critical,CA:TRUE
nameConstraints = critical,permitted;DNS:.example.org
[v3_ca_names_plain]
basicConstraints = critical,CA:TRUE
nameConstraints = permitted;DNS:.example.org
[v3_ca_policy]
basicConstraints = critical,CA:TRUE
policyConstraints = critical,requireExplicitPolicy:0
[v3_ca_any_policy]
basicConstraints = critical,CA:TRUE
inhibitAnyPolicy = critical,0
[v3_ca_read_over]
basicConstraints = critical,CA:TRUE
certificatePolicies = critical,1.2.3.4
subjectAltName = critical,DNS:ca.example.org
[v3_good]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_document]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = 1.3.6.1.5.5.7.3.36
[v3_tls]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
[v3_encipher]
basicConstraints = critical,CA:FALSE
keyUsage = critical,keyEncipherment
[v3_is_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,digitalSignature
"""


def stamp(days):
    """Days from now, as openssl ca wants it."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Authority:
    kind = ("EC", "ec_paramgen_curve:P-384")

    def __init__(self, directory, name, above=None, extensions="v3_root", until=3000):
        self.dir, self.name = pathlib.Path(directory), name
        self.dir.mkdir(parents=True)
        self.config, self.key, self.pem = self.dir / "openssl.cnf", self.dir / "key.pem", self.dir / "cert.pem"
        self.config.write_text(CONFIG.format(dir=self.dir))
        (self.dir / "index").write_text("")
        (self.dir / "serial").write_text("1001\n")
        (self.dir / "crlnumber").write_text("01\n")
        self.run("genpkey", "-algorithm", self.kind[0], "-pkeyopt", self.kind[1], "-out", self.key)
        csr = self.dir / "own.csr"
        self.run("req", "-new", "-key", self.key, "-subj", f"/O=Test CA/CN={name}", "-config", self.config, "-out", csr)
        if above:
            self.pem.write_text(above.sign(csr.read_text(), extensions, -400, until))
        else:
            self.run("ca", "-batch", "-selfsign", "-notext", "-config", self.config, "-keyfile", self.key, "-in", csr, "-out", self.pem,
                     "-extensions", extensions, "-startdate", stamp(-500), "-enddate", stamp(until))

    @staticmethod
    def run(*words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"openssl {' '.join(map(str, words))}\n{done.stderr}")
        return done.stdout

    def sign(self, csr, extensions, start, end, subject=None):
        request, out = self.dir / "request.csr", self.dir / "out.pem"
        request.write_text(csr)
        self.run("ca", "-batch", "-notext", "-config", self.config, "-keyfile", self.key, "-cert", self.pem, "-in", request, "-out", out,
                 "-extensions", extensions, "-startdate", stamp(start), "-enddate", stamp(end), *(("-subj", subject) if subject else ()))
        return out.read_text()

    def revoke(self, pem, when):
        path = self.dir / "revoked.pem"
        path.write_text(pem)
        serial = self.run("x509", "-in", path, "-noout", "-serial").strip().partition("=")[2]
        index = self.dir / "index"
        rows = [line.split("\t") for line in index.read_text().splitlines()]
        for row in rows:
            if row[3] == serial:
                row[0], row[2] = "R", when[2:]
        index.write_text("".join("\t".join(row) + "\n" for row in rows))

    def again(self, above, extensions):
        """Another certificate of the same name and key."""
        path = self.dir / f"{extensions}.pem"
        path.write_text(above.sign((self.dir / "own.csr").read_text(), extensions, -400, 3000))
        return path

    def crl(self, last=0, until=30, extensions="v3_crl", signed=()):
        out = self.dir / "crl.pem"
        self.run("ca", "-gencrl", "-config", self.config, "-keyfile", self.key, "-cert", self.pem, "-crlexts", extensions, "-crl_lastupdate",
                 stamp(last), "-crl_nextupdate", stamp(until), *signed, "-out", out)
        return out.read_text()


class Ca:
    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.root = Authority(directory / "root", "Test Root")
        self.sub = Authority(directory / "sub", "Test Issuing", self.root, "v3_ca")
        self.anchor = self.root.pem

    def issue(self, csr, extensions="v3_good", start=-1, end=365, subject=None):
        """(certificate, whole chain in order), PEM."""
        leaf = self.sub.sign(csr, extensions, start, end, subject)
        return leaf, leaf + self.sub.pem.read_text() + self.root.pem.read_text()

    def lists(self, **options):
        return self.sub.crl(**options) + self.root.crl()
