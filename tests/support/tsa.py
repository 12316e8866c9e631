"""A time-stamp authority for tests: a real one (`openssl ts -reply` under a root and an intermediate CA) behind a small
HTTP server, and the ways in which one can be wrong.

    tsa = Tsa(directory)                       # makes keys and certificates; tsa.root is the PEM of its root
    with tsa.serve() as url: ...               # url answers honestly; url + "?wrong-nonce" and so on do not
    tsa.mode = "garbage"                       # or all answers change from now on

Nothing but the standard library and openssl(1).
"""
import hashlib
import http.server
import pathlib
import ssl
import subprocess
import threading
import time

TST_INFO = "1.2.840.113549.1.9.16.1.4"
GRANTED = bytes.fromhex("3003020100")                    # PKIStatusInfo with status granted

CONFIG = """
[ca]
default_ca = test
[test]
dir = {dir}
new_certs_dir = {dir}
database = {dir}/index
rand_serial = yes
default_md = sha384
policy = any
unique_subject = no
copy_extensions = none
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = placeholder
[v3_root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[v3_ca]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_tsa]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_plain]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = good
"""
SECTION = """
[{name}]
serial = {dir}/serial
crypto_device = builtin
certs = {dir}/intermediate.pem
signer_cert = {dir}/{cert}.pem
signer_key = {dir}/tsa.key
signer_digest = {digest}
default_policy = 1.3.6.1.4.1.99999.1
other_policies = 1.3.6.1.4.1.99999.2
digests = {digests}
accuracy = {accuracy}
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
"""
SECTIONS = {
    "good": {},
    "inaccurate": {"accuracy": "secs:600"},
    "sha1": {"digest": "sha1"},
    "ess-sha1": {"ess": "sha1"},
    "rejected": {"digests": "sha384"},
    "expired": {"cert": "expired"},
}
# name -> what it does: everything that a server can be asked for.
MODES = (*SECTIONS, "wrong-nonce", "wrong-imprint", "no-eku", "huge", "slow", "garbage", "http-500", "redirect")


class Tsa:
    def __init__(self, directory, name="Test"):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.mode = "good"
        self.asked = 0
        self.offset = None                                # faketime's, for an authority in another time
        config = CONFIG.format(dir=self.dir)
        for section, options in SECTIONS.items():
            options = {"cert": "tsa", "digest": "sha256", "digests": "sha256, sha512", "accuracy": "secs:1",
                       "ess": "sha256", **options}
            config += SECTION.format(name=section, dir=self.dir, **options)
        (self.dir / "config").write_text(config)
        (self.dir / "index").write_text("")
        (self.dir / "serial").write_text("1000\n")
        for key in ("root", "intermediate", "tsa"):
            self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{key}.key")
        self.certify("root", "root", f"/O={name}/CN={name} Root", "v3_root", "root")
        self.certify("intermediate", "intermediate", f"/O={name}/CN={name} Time CA", "v3_ca", "root")
        self.certify("tsa", "tsa", f"/O={name}/CN={name} Time", "v3_tsa")
        self.certify("expired", "tsa", f"/O={name}/CN={name} Former Time", "v3_tsa", dates=("20200101000000Z", "20210101000000Z"))
        self.certify("plain", "tsa", f"/O={name}/CN={name} No Time", "v3_plain")
        self.root = self.dir / "root.pem"
        self.intermediate = self.dir / "intermediate.pem"

    def certify(self, name, key, subject, extensions, issuer="intermediate", dates=None):
        """A certificate name.pem for key.key; dates as (start, end) in ASN.1's form, else twenty years from three days ago."""
        day = time.strftime("%Y%m%d000000Z", time.gmtime(time.time() - 3 * 86400))
        start, end = dates or (day, str(int(day[:4]) + 19) + day[4:])
        self._openssl("req", "-new", "-key", f"{key}.key", "-subj", subject, "-config", "config", "-out", f"{name}.csr")
        by = ["-selfsign"] if issuer == name else ["-cert", f"{issuer}.pem"]
        self._openssl("ca", "-batch", "-notext", "-config", "config", "-in", f"{name}.csr", *by, "-keyfile", f"{issuer}.key", "-extensions",
                      extensions, "-startdate", start, "-enddate", end, "-out", f"{name}.pem")

    def lists(self, days=0):
        """Revocation lists of the root and the intermediate, published so many days from now."""
        stamp = lambda n: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + n * 86400))  # noqa: E731
        for name in ("root", "intermediate"):
            self._openssl("ca", "-gencrl", "-config", "config", "-keyfile", f"{name}.key", "-cert", f"{name}.pem", "-crl_lastupdate", stamp(days),
                          "-crl_nextupdate", stamp(days + 40), "-out", f"{name}.crl")
        return "".join((self.dir / f"{name}.crl").read_text() for name in ("intermediate", "root"))

    def revoke(self, name, when):
        """Marks name.pem as revoked since then (YYYYMMDDHHMMSSZ)."""
        serial = self._openssl("x509", "-in", f"{name}.pem", "-noout", "-serial").decode().strip().partition("=")[2]
        rows = [line.split("\t") for line in (self.dir / "index").read_text().splitlines()]
        for row in rows:
            if row[3] == serial:
                row[0], row[2] = "R", when[2:]
        (self.dir / "index").write_text("".join("\t".join(row) + "\n" for row in rows))

    def _openssl(self, *words, stdin=b"", env=None):
        done = subprocess.run(["openssl", *words], input=stdin, capture_output=True, cwd=self.dir, check=False, env=env)
        if done.returncode:
            raise AssertionError(f"openssl {' '.join(words)}: {done.stderr.decode()}")
        return done.stdout

    def reply(self, query, mode="good", env=None):
        """The TimeStampResp to a TimeStampReq, honest or not."""
        if mode in SECTIONS:
            (self.dir / "query").write_bytes(query)
            return self._openssl("ts", "-reply", "-config", "config", "-section", mode, "-queryfile", "query", env=env)
        if mode == "wrong-nonce":
            at = len(query) - 4                           # the nonce's last byte; certReq, 01 01 ff, follows
            return self.reply(query[:at] + bytes([query[at] ^ 1]) + query[at + 1:])
        if mode == "wrong-imprint":
            at = query.index(b"\x04\x40") + 2
            return self.reply(query[:at] + bytes([query[at] ^ 1]) + query[at + 1:])
        if mode == "no-eku":
            # openssl ts refuses such a certificate, openssl cms does not.
            return self.wrap(self.tst_info(self.reply(query)), "plain")
        return {"garbage": b"\x30\x03abc", "huge": b"\x30\x84\x01\x00\x00\x00" + bytes(1 << 24)}[mode]

    def tst_info(self, answer):
        """The signed content of an answer's token."""
        (self.dir / "answer").write_bytes(answer)
        token = self._openssl("ts", "-reply", "-config", "config", "-in", "answer", "-token_out")
        return self._openssl("cms", "-verify", "-noverify", "-inform", "DER", stdin=token)

    def stamp(self, data):
        """An honest answer over these bytes, and the token in it."""
        answer = self.reply(self.query(data))
        (self.dir / "answer").write_bytes(answer)
        return answer, self._openssl("ts", "-reply", "-config", "config", "-in", "answer", "-token_out")

    @property
    def chain(self):
        """PEM, from the signer up to the root."""
        return b"".join((self.dir / f"{name}.pem").read_bytes() for name in ("tsa", "intermediate", "root"))

    def digest(self, name="root"):
        """SHA-256 of a certificate's DER, in hex."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert((self.dir / f"{name}.pem").read_text())).hexdigest()

    def wrap(self, tst_info, cert="tsa", digest="sha256", chain=True):
        """An answer whose token signs these bytes; without `chain` its authority's issuer does not come along."""
        along = ["-certfile", "intermediate.pem"] if chain else []
        token = self._openssl("cms", "-sign", "-binary", "-nodetach", "-cades", "-econtent_type", TST_INFO, "-md", digest, "-signer",
                              f"{cert}.pem", "-inkey", "tsa.key", *along, "-outform", "DER", stdin=tst_info)
        return sequence(GRANTED + token)

    def query(self, data, policy=None):
        """A request as openssl makes it."""
        return self._openssl("ts", "-query", "-sha512", "-cert", *(["-tspolicy", policy] if policy else []), stdin=data)

    def serve(self, tls=None):
        return _Serving(self, tls)


class _Serving:
    """A running server; url ends with a query that chooses the mode, if any."""

    def __init__(self, tsa, tls=None, port=0):
        self.tsa = tsa

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                tsa.asked += 1
                mode = self.path.partition("?")[2] or tsa.mode
                query = self.rfile.read(int(self.headers["Content-Length"]))
                status, body, extra = 200, b"", {}
                if self.headers["Content-Type"] != "application/timestamp-query":
                    status = 415
                elif mode == "http-500":
                    status = 500
                elif mode == "redirect":
                    status, extra = 302, {"Location": "file:///etc/passwd"}
                else:
                    if mode == "slow":
                        time.sleep(5)
                        mode = "good"
                    body = tsa.reply(query, mode, env=tsa.offset)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/timestamp-reply")
                    self.send_header("Content-Length", str(len(body)))
                    for name, value in extra.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://localhost:{self.port}/tsr"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def sequence(content):
    """A DER SEQUENCE of up to 65,535 bytes."""
    size = len(content)
    head = bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return b"\x30" + head + content
