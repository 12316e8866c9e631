"""A prepared vault whose token is SoftHSM2 behind tests/hsm/SHIM.md's module: it fails as a script says."""
import contextlib
import pathlib
import subprocess
import time

import harness
import scenario


class ShimWorld(scenario.World):
    @classmethod
    def prepare(cls):
        cls.put_shim_before_token()
        cls.files = {f"{n:02}.csv": f"row {n}\n".encode() * n for n in range(1, 51)}
        for name, data in cls.files.items():
            cls.write(name, data)
        cls.expected = {f"src/{name}": data for name, data in cls.files.items()}

    @classmethod
    def put_shim_before_token(cls):
        uri = cls.box.token_uri.replace(scenario.MODULE, harness.program("libkesu_p11_shim.so"))
        with open(cls.box.vault / "kesu.toml", "a", encoding="utf-8") as config:
            config.write(f'\n[provider.hsm1]\nuri = "{uri}"\n')

    def script(self, *lines, probe=False):
        """The environment of runs that meet these failures, counted over all of them. `probe`: kesu-probe meets them too."""
        state = self.box.state / "shim-state"
        state.unlink(missing_ok=True)
        # Beside the token's configuration the module finds it in every process.
        path = self.everywhere() if probe else self.box.state / "script"
        path.write_text("\n".join((f"state {state}", *lines)) + "\n", encoding="ascii")
        return {} if probe else {"KESU_SHIM_SCRIPT": path}

    def everywhere(self):
        """The script that every process meets; unlinked, nothing fails any more."""
        return pathlib.Path(f"{self.box.env['SOFTHSM2_CONF']}.shim")

    def counted(self, call):
        rows = (self.box.state / "shim-state").read_text(encoding="ascii").splitlines()
        return next((int(r.split()[1]) for r in rows if r.startswith("count ") and r.endswith(f" {call}")), 0)

    @contextlib.contextmanager
    def held(self, call, *command, probe=False):
        """Runs the command, which stands still in `call` (as in "C_Login 1") as long as the block lasts; then its end is
        awaited. Yields the process; what it printed stands in its `out` afterwards."""
        gate = self.box.state / "gate"
        for file in (gate, reached := pathlib.Path(f"{gate}.reached")):
            file.unlink(missing_ok=True)
        env = self.script(f"{call} wait {gate}", probe=probe)
        process = subprocess.Popen(self.box.kesu_command(*command), env={**self.box.env, **{k: str(v) for k, v in env.items()}},
                                   cwd=self.box.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            end = time.monotonic() + 60
            while not reached.exists():
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), end)
                time.sleep(0.005)
            yield process
            self.assertIsNone(process.poll())
            gate.touch()
            process.out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
            process.communicate()

    def seal_all(self, **options):
        return self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, **options)

    def types(self):
        return [e["type"] for e in self.entries()]
