"""Sources that lie about their size, closed standard descriptors, names that meet, streams that were killed."""
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import harness
import scenario


class Odd(scenario.World):
    def test_a_source_with_more_bytes_than_its_size_is_not_sealed_cut_short(self):
        r = self.box.kesu("seal", "loans-2019", "/proc/version", "-o", self.out, code=None)
        self.assertNotEqual(r.code, 0)
        self.assertIn("more bytes than its size", r.stdout)
        self.assertFalse(list(self.out.rglob("*version*")))

    def test_holes_come_back_from_a_pipe(self):
        """A sparse file need not fit where its zeros would not."""
        source = self.write("sparse")
        with open(source, "wb") as file:
            for at in (3 << 20, (40 << 20) + 5):
                file.seek(at)
                file.write(b"data")
            file.truncate(64 << 20)
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out)
        sealed, data = self.out / "src" / "sparse.kesu", source.read_bytes()
        with sealed.open("rb") as stream:
            subprocess.run([*self.box.kesu_command("open", "-", "-o", self.box.path / "piped")], stdin=stream, check=True,
                           env=self.box.env, stdout=subprocess.DEVNULL)
        result = self.box.path / "piped" / "src" / "sparse"
        self.assertEqual((result.stat().st_size, result.read_bytes() == data), (len(data), True))
        self.box.run("sh", "-c", 'cat "$0" | "$@"', sealed, *self.box.kesu_command("open", "-", "-o", self.box.path / "cat"))
        result = self.box.path / "cat" / "src" / "sparse"
        self.assertEqual((result.stat().st_size, result.read_bytes() == data), (len(data), True))
        self.assertLess(result.stat().st_blocks * 512, 1 << 20)

    def test_a_working_directory_that_is_gone(self):
        """Whole paths work there; any other has an error that says what is wrong."""
        self.write("a", b"one")
        gone, source = self.box.path / "gone", self.box.state / "src"

        def there(*words, **options):
            gone.mkdir()
            return self.box.run("sh", "-c", f'rmdir {gone}; exec "$@"', "sh", *self.box.kesu_command(*words), cwd=gone, **options)

        for words in (("seal", "loans-2019", source, "-o", "out"), ("open", self.out), ("inventory", "adopt", "loans-2019", "x")):
            self.assertIn("working directory", there(*words, code=2, error="not-found").json["error"]["message"])
        self.assertEqual(there("seal", "loans-2019", source, "-o", self.out).json["sealed"], 1)

    def test_a_closed_standard_input_is_an_error(self):
        command = [str(w) for w in self.box.kesu_command("seal", "loans-2019", "-", "--name", "n", "-o", self.out)]
        r = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command], env=self.box.env, capture_output=True)
        self.assertEqual(r.returncode, 1, r.stdout)
        self.assertIn(b"Bad file descriptor", r.stdout)

    def test_output_that_is_lost_is_no_success(self):
        def run(redirection, *words, json=True):
            command = [str(w) for w in self.box.kesu_command(*words, json=json)]
            return subprocess.run(["sh", "-c", f'"$@" {redirection}', "sh", *command], env=self.box.env, capture_output=True)
        for words, json in ((("key", "list"), True), (("key", "list"), False), (("ledger", "show", "--bodies"), True), (("--version",), True),
                            (("key", "--help"), False)):
            with self.subTest(words):
                done = run(">/dev/full", *words, json=json)
                self.assertEqual((done.returncode, b"No space left on device" in done.stderr), (1, True), done)
                self.assertEqual(run(">&-", *words, json=json).returncode, 0)
                self.assertEqual(run("| true", *words, json=json).stderr, b"")
        # The command's own code stays, and what it did is done.
        self.assertEqual(run(">/dev/full", "key", "show", "nobody").returncode, 2)
        self.assertEqual(run(">/dev/full", "key", "create", "more").returncode, 1)
        self.box.kesu("key", "show", "more")

    def test_a_file_named_like_a_temporary_link_stays(self):
        self.write(".kesu-link-part", b"precious\n")
        os.symlink("nowhere", self.box.state / "src" / "z")
        self.box.kesu("seal", "loans-2019", self.box.state / "src", "-o", self.out)
        to = self.box.path / "links"
        self.box.kesu("open", self.out, "-o", to)
        self.assertEqual((to / "src/.kesu-link-part").read_bytes(), b"precious\n")
        self.assertEqual(os.readlink(to / "src/z"), "nowhere")

    def test_a_killed_stream_is_taken_over_and_resume_knows_what_came_from_a_pipe(self):
        self.box.kesu("seal", "loans-2019", "-", "--name", "dump", "-o", self.out, stdin=b"A" * 5_000_000)
        to = self.box.path / "stream"
        data = (self.out / "dump.kesu").read_bytes()
        command = [str(w) for w in self.box.kesu_command("open", "-", "-o", to)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=self.box.env, stdout=subprocess.DEVNULL) as p:
            p.stdin.write(data[:3_000_000])
            p.stdin.flush()
            end = time.time() + 30
            while not list(to.rglob(".*.kesu-open")) and time.time() < end:
                time.sleep(.02)
            self.assertTrue(list(to.rglob(".*.kesu-open")))
            p.send_signal(signal.SIGKILL)
        subprocess.run(command, input=data, env=self.box.env, stdout=subprocess.DEVNULL, check=True)
        self.assertEqual([p.name for p in to.rglob("*")], ["dump"])
        self.assertEqual(self.box.kesu("open", self.out, "-o", to, "--resume").json["already"], 1)

    def test_by_force_two_objects_of_one_name_do_not_replace_each_other(self):
        for n in (b"1", b"2"):
            self.box.kesu("seal", "loans-2019", "-", "--name", "same", "-o", self.out / n.decode(), stdin=n)
        r = self.box.kesu("open", self.out, "-o", self.box.path / "same", "--force", code=None)
        self.assertEqual((r.code, r.json["opened"], [f["code"] for f in r.json["failed"]]), (8, 1, ["already-exists"]))


if __name__ == "__main__":
    scenario.main()
