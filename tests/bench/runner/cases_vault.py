"""For scripts/bench: keys, ledger and erasure."""
import shutil

import measure
import programs
import worlds
from rows import GIB, MIB, Row, count_text, seconds, size_text


def wraps(bench):
    """Data keys wrapped through the token, beside a bare loop of the same Cryptoki calls on one session."""
    yield from programs.calls(bench, "wrap_bench", bench.ram)


def rewrap(bench):
    """Data keys of many objects moved to a new version: the whole command beside a bare loop in the token."""
    counts = (bench.objects // 10, bench.objects)
    said, lines = programs.lines_of(bench, "rewrap_bench", "--rounds", bench.rounds, *counts)
    for count, line in zip(counts, lines):
        what = f"rewrap {count_text(count)} objects"
        bench.peaks[what] = line["peak_mib"] * MIB
        bench.peaks[f"seal {count_text(count)} objects"] = line["seal_peak_mib"] * MIB
        yield Row(f"{what}, the whole command", seconds(line["ours_s"]), line["against"], seconds(line["bare_s"]),
                  line["ratio"], "×", target=line["reach"], command=said, beside=programs.IN_TURN)
    for form in ("seal {} objects", "rewrap {} objects"):
        bench.grown.append((form, *map(count_text, counts)))


def appends(bench):
    """Durable appends of 64 threads beside one sync for each, on the disk."""
    yield from programs.appending(bench, bench.disk, bench.entries // 10)


def ledger(bench):
    """A vault of years: `ledger verify` and `status` with many keys and entries."""
    maker = bench.kesu.parent / "make_vault"
    if not maker.is_file():
        raise programs.NotThereYet("make_vault is not built")
    with worlds.World(bench.disk) as world:
        bench.place(world.path, "disk")
        words = [maker, world.box.vault, bench.keys, bench.entries]
        measure.run(words, env=world.box.env)
        world.box.kesu("status", code=None)
        try:
            yield from programs.hashing(bench, "--vault", world.box.vault, bench.kesu, 1)
        except programs.NotThereYet as why:
            bench.missing(str(why))
        for what, command, limit in (("ledger verify", ("ledger", "verify"), 10), ("status", ("status",), 0.3)):
            words = world.command(*command)
            costs = [measure.run(words, env=world.box.env) for _ in range(bench.rounds)]
            size = f"{count_text(bench.entries)} entries, {count_text(bench.keys)} keys"
            bench.peak(f"{what}, {size}", costs)
            yield Row(f"{what}, {size}", seconds(measure.median(costs)), "–", "–", measure.median(costs), "s", "≤",
                      limit, command=bench.said(words), note="the whole command")


def bundle(bench):
    """A certificate of very many objects out of a long ledger: written, verified, one object proven."""
    maker, hashing = (bench.kesu.parent / name for name in ("make_vault", "bundle_bench"))
    for program in (maker, hashing):
        if not program.is_file():
            raise programs.NotThereYet(f"{program.name} is not built")
    objects, headers = 5 * bench.objects, bench.entries // 10
    with worlds.World(bench.ram) as world:
        bench.place(world.path, "ram")
        measure.run([maker, world.box.vault, "200", headers, "20"], env=world.box.env)
        for part in range(10):  # with their sources all at once they would not fit
            source = worlds.tree_of_files(world.path / f"source-{part}", objects // 10, 16)
            world.measured("seal", "bench", source, "-o", world.path / "out")
            shutil.rmtree(source)
        size = f"{count_text(objects)} leaves, {count_text(headers)} headers"
        one = next((world.path / "out").rglob("*.kesu"))
        words = world.command("inventory", "prove", one)
        whole = [measure.run(words, env=world.box.env) for _ in range(bench.rounds + 2)]
        nothing = [measure.run(["true"], env=world.box.env) for _ in range(bench.rounds + 2)]
        yield Row(f"inventory prove, {size}", seconds(measure.median(whole)), "true",
                  seconds(measure.median(nothing)), (measure.median(whole) - measure.median(nothing)) * 1000, "ms", "≤", 10,
                  command=bench.said(words), note="the whole command, beyond what an empty program takes here")
        erasure, to = world.approved("bench"), world.path / "bundle"
        bench.peak(f"erase run, {size}", [world.measured("erase", "run", erasure, "-y")])
        core = ["taskset", "-c", "0"]
        words = core + world.command("certificate", "bundle", erasure, "-o", to)
        costs = [measure.run(words, env=world.box.env)]
        bench.peak(f"certificate bundle, {size}", costs)
        yield Row(f"certificate bundle, {size}", seconds(measure.median(costs)), "–", "–", measure.median(costs), "s", "≤", 10,
                  command=bench.said(words), note="the whole command, one core")
        trust = world.path / "trust"
        trust.write_text(world.box.kesu("trust", "propose", to).json["trust"])
        words = core + world.command("verify", to, "--trust", trust, "--require", "low", "--allow-test-grade")
        costs = [measure.run(words, env=world.box.env) for _ in range(bench.rounds)]
        bench.peak(f"verify, {size}", costs)
        yield Row(f"verify, {size}", seconds(measure.median(costs)), "–", "–", measure.median(costs), "s", "≤", 10,
                  command=bench.said(words), note="the whole command, one core")
        said, lines = programs.lines_of(bench, "bundle_bench", to)
        for line in lines:
            yield Row(f"the hashing of it, {size}", seconds(line["kesu_seconds"]), "RFC 6962 over the same bytes",
                      seconds(line["bare_seconds"]), line["ratio"], "×", target=0.7, command=said, beside=programs.IN_TURN)


FLAT = 1.25


class Erasable:
    """One dataset with files of `total` bytes, sealed and approved for erasure; snapshot to come back to."""

    def __init__(self, bench, total):
        self.world = world = worlds.World(bench.disk)
        bench.place(world.path, "disk")
        each = min(total, GIB)
        source, self.out = world.path / "source", world.path / "out"
        source.mkdir()
        for i in range(total // each):
            worlds.random_file(source / f"{i:03d}", each)
        cost = world.measured("seal", "bench", source, "-o", self.out)
        bench.peak(f"seal {size_text(total)}", [cost])
        shutil.rmtree(source)
        self.sealed = sorted(self.out.rglob("*.kesu"))
        self.erasure = world.approved("bench")
        world.box.snapshot("approved")
        self.command = world.command("erase", "run", self.erasure, "-y")

    def run(self):
        return measure.run(self.command, env=self.world.box.env)

    def again(self):
        self.world.box.restore("approved")
        measure.settle_disk(self.world.path)

    def certificate(self, to):
        return measure.run(self.world.command("certificate", "bundle", self.erasure, "-o", to), env=self.world.box.env)


def erase(bench):
    """`erase run` (inspection by kesu-probe, destruction, inspection) and the certificate, whatever the size."""
    medians = []
    for total in (bench.size, 10 * bench.size):
        data = Erasable(bench, total)
        try:
            runs, bundles, both = [], [], []
            for turn in range(bench.rounds):
                data.again()
                runs.append(data.run())
                bundles.append(data.certificate(data.world.path / f"bundle-{turn}"))
                both.append(measure.Cost(runs[-1].wall + bundles[-1].wall, runs[-1].cpu + bundles[-1].cpu,
                                         max(runs[-1].peak, bundles[-1].peak)))
            bench.peak(f"erase run, {size_text(total)}", runs)
            bench.peak(f"certificate bundle, {size_text(total)}", bundles)
            shred = ["shred", "-n1", *data.sealed]
            theirs = [measure.run(shred)]
            command = bench.said(data.command)
            bundle = bench.said(data.world.command("certificate", "bundle", data.erasure, "-o", "bundle"))
            for what, costs, said in ((f"erase run, {size_text(total)}", runs, command),
                                      (f"erase run and certificate bundle, {size_text(total)}", both,
                                       f"{command}; {bundle}")):
                yield Row(what, seconds(measure.median(costs)), "shred -n1", seconds(theirs[0].wall),
                          measure.median(costs) * 1000, "ms", "≤", 500, command=said,
                          beside=bench.said(["shred", "-n1", data.out]) + "  (its files)")
            medians.append((measure.median(both), max(c.wall for c in both) - min(c.wall for c in both)))
        finally:
            data.world.box.close()
    for what in ("seal {}", "erase run, {}"):
        bench.grown.append((what, size_text(bench.size), size_text(10 * bench.size)))
    (one, spread), (ten, _) = medians
    yield Row(f"the same, {size_text(10 * bench.size)} as a multiple of {size_text(bench.size)}", seconds(ten), "itself",
              seconds(one), ten / one, "×", "≤", round(1 + max(spread / one, 0.1), 2),
              note="equal within noise: by no more than the runs at one size differ among themselves, or a tenth")


def memory(bench):
    """Peak memory of every whole command that this run measured, and whether it grew with the input; filled by the
    other cases."""
    said = "the largest resident set of the runs above, kesu-probe's included: time -f %M"
    for what, peak in bench.peaks.items():
        yield Row(what, f"{peak / MIB:.0f} MiB", "–", "–", peak / MIB, "MiB", "≤", 200, command=said)
    for form, small, large in bench.grown:
        a, b = bench.peaks[form.format(small)], bench.peaks[form.format(large)]
        yield Row(form.format(f"{large} instead of {small}"), f"{b / MIB:.0f} MiB", "itself", f"{a / MIB:.0f} MiB",
                  b / a, "×", "≤", FLAT, note=f"flat: ten times the input takes no more than {FLAT:g} times the memory")

