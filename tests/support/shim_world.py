"""A prepared vault whose token is SoftHSM2 behind tests/hsm/SHIM.md's module: it fails as a script says."""
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

    def script(self, *lines, probe=False, name="script"):
        """The environment of runs that meet these failures, counted over all of them. `probe`: kesu-probe meets them too."""
        state = self.box.state / ("shim-state" if name == "script" else f"{name}-state")
        state.unlink(missing_ok=True)
        # Beside the token's configuration the module finds it in every process.
        path = self.everywhere() if probe else self.box.state / name
        path.write_text("\n".join((f"state {state}", *lines)) + "\n", encoding="ascii")
        return {} if probe else {"KESU_SHIM_SCRIPT": path}

    def everywhere(self):
        """The script that every process meets; unlinked, nothing fails any more."""
        return pathlib.Path(f"{self.box.env['SOFTHSM2_CONF']}.shim")

    def counted(self, call):
        rows = (self.box.state / "shim-state").read_text(encoding="ascii").splitlines()
        return next((int(r.split()[1]) for r in rows if r.startswith("count ") and r.endswith(f" {call}")), 0)

    def held(self, call, *command, probe=False, gate="gate", around=()):
        """A command that runs and stands still in `call` (as in "C_Login 1"); use it in a `with` block, at whose end, if not
        before, it goes on (Held.end). `gate`: a name of its own where several stand still at once; `probe`: kesu-probe may;
        `around`: a program that runs it."""
        return Held(self, call, command, probe, gate, around)

    def seal_all(self, **options):
        return self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out, **options)

    def types(self):
        return [e["type"] for e in self.entries()]


class Held:
    """A command that stands still in a call of the token's library until end()."""

    def __init__(self, world, call, command, probe, gate, around):
        self.world, self.gate = world, world.box.state / gate
        self.reached = pathlib.Path(f"{self.gate}.reached")
        for file in (self.gate, self.reached):
            file.unlink(missing_ok=True)
        self.env = world.script(f"{call} wait {self.gate}", probe=probe, name=f"{gate}-script")
        self.command, self.process, self.out, self.returncode = [*around, *world.box.kesu_command(*command)], None, None, None

    def __enter__(self):
        box = self.world.box
        self.process = subprocess.Popen(self.command, env={**box.env, **{k: str(v) for k, v in self.env.items()}}, cwd=box.path,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + 60
        while not self.reached.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise harness.HarnessError(f"{self.command} did not come to the call\n{self.process.communicate()[0]}")
            time.sleep(0.005)
        return self

    def end(self):
        """Lets it go on; its output and exit code stand in `out` and `returncode`."""
        if self.returncode is None:
            self.world.assertIsNone(self.process.poll())
            self.gate.touch()
            self.out, _ = self.process.communicate(timeout=120)
            self.returncode = self.process.returncode

    def kill(self):
        self.process.kill()
        self.out, _ = self.process.communicate()
        self.returncode = self.process.returncode

    def __exit__(self, kind, *_):
        if kind is None:
            self.end()
        elif self.returncode is None:
            self.kill()
