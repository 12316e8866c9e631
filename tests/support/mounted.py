"""A kill test's vault, with mounts that end with the test."""
import harness_kill
import kill_world
import places


class Mounted(kill_world.World):
    def setUp(self):
        super().setUp()
        places.needed(self)
        self.prepare_vault()
        self.command = ("seal", "loans-2019", self.source, "-o", self.out)

    def usable(self, act, *words, **options):
        """Does what a machine may not allow: the test is skipped then."""
        try:
            return act(*words, **options)
        except places.Unusable as error:
            return self.skipTest(str(error))

    def mount(self, *words):
        self.usable(places.run, "mount", *words)
        self.addCleanup(places.unmount, words[-1])

    def bind(self, directory, place):
        for path in (directory, place):
            path.mkdir(parents=True, exist_ok=True)
        self.mount("--bind", directory, place)
        return place

    def interrupted(self, published):
        harness_kill.kill_while_publishing(self.box.kesu_command(*self.command), self.out, published, env=self.box.env,
                                           cwd=self.box.path)
        self.standing = sorted(p.relative_to(self.out) for p in self.out.rglob("*.kesu"))
        self.assertIn(len(self.standing), range(min(published, 1), published + 1))  # another thread's may not have happened yet

    def settle(self, *words, code=0):
        result = self.box.kesu("inventory", "settle", "loans-2019", *words, code=code)
        return result.json["open"], result
