"""For scripts/bench: sealing and opening, beside a bare loop, age, gpg and cp."""
import contextlib
import itertools
import subprocess

import measure
import programs
import worlds
from rows import Row, count_text, rate, seconds, size_text

ALL_OF_IT = "the whole command, process start and ledger and all"


def engine(bench):
    """The sealing loop beside a bare loop of the same calls, with and without fingerprints and bound payload."""
    yield from programs.sealing(bench)


def _peers(world, source):
    """Two other programs that seal one file: name -> (sealing, opening, sealed file, opened file)."""
    key, passphrase, home = world.path / "age.key", world.path / "gpg.passphrase", world.path / "gnupg"
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    recipient = next(l.split()[-1] for l in key.read_text().splitlines() if l.startswith("# public key"))
    passphrase.write_text("a passphrase of many words\n")
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase-file",
           passphrase]
    sealed, opened = world.path / "peer.sealed", world.path / "peer.opened"
    # gpg does not compress here: on random bytes that would only make it slower.
    return {"age": (["age", "-r", recipient, "-o", sealed, source], ["age", "-d", "-i", key, "-o", opened, sealed]),
            "gpg": ([*gpg, "--cipher-algo", "AES256", "-z", "0", "-o", sealed, "--symmetric", source],
                    [*gpg, "-o", opened, "--decrypt", sealed])}, sealed, opened


def _to_stdout(command):
    """The same command with its output on standard output. Said outright: gpg left alone seals to a file beside."""
    at = command.index("-o") + 1
    return [*command[:at], "-", *command[at + 1:]]


def _pipe_works(world):
    """Whether this kesu can open to standard output."""
    small, out = world.path / "small", world.path / "small-out"
    small.write_bytes(b"to be read back\n")
    world.box.kesu("seal", "bench", small, "-o", out)
    done = world.box.run(*world.command("open", out / "small.kesu", "-o", "-", json=False), code=None)
    return done.code == 0 and done.raw == b"to be read back\n"


def whole(bench):
    """`kesu seal` and `kesu open` of one large file beside age and gpg: in memory as the system gives it, and in memory
    of huge pages, where making the new file's pages does not take most of everybody's time."""
    yield from _whole(bench, bench.ram, "ram", "to a new file", pipes=True)
    try:
        with measure.huge_pages(bench.ram) as huge:
            yield from _whole(bench, huge, "huge", "to a new file of huge pages", pipes=False)
    except measure.NoHugePages as why:
        bench.missing(f"memory of huge pages: {why}")


def _whole(bench, base, place, to_file, pipes):
    size = bench.size
    bench.place(base, place)
    measure.warm(base, 5 * size)
    with worlds.World(base) as world:
        bench.place(world.path, place)
        source = worlds.random_file(world.path / "source", size)
        peers, peer_sealed, peer_opened = _peers(world, source)
        out, back = world.path / "out", world.path / "back"
        sealed = out / "source.kesu"
        # What the peers do, and nothing more: the hash that binds the payload to the inventory has rows of its own.
        world.dataset("header-only", "--header-only")
        kesu_seal = world.command("seal", "header-only", source, "-o", out)
        kesu_bound = world.command("seal", "bench", source, "-o", out)
        kesu_open = world.command("open", sealed, "-o", back)

        peer_seconds = {}

        def compare(what, ours, theirs, before, wanted={"age": 3, "gpg": 6}, **options):
            for name, command in theirs.items():
                works = {"kesu": lambda: measure.run(ours, env=world.box.env, **options),
                         name: lambda: measure.run(command, env=world.box.env, **options)}
                costs = measure.alternate(bench.rounds, works, before)
                bench.peak(f"{what}, {size_text(size)}", costs["kesu"])
                peer_seconds[what, name] = measure.median(costs[name])
                yield Row(f"{what}, {size_text(size)}", rate(size, measure.median(costs["kesu"])), name,
                          rate(size, measure.median(costs[name])),
                          measure.paired_ratio(costs["kesu"], costs[name]), "×", target=wanted.get(name, 0),
                          command=bench.said(ours, **options), beside=bench.said(command, **options),
                          note=ALL_OF_IT)

        def clear_sealed(_):
            worlds.remove(out)
            worlds.remove(peer_sealed)

        if pipes and not _pipe_works(world):
            pipes = False
            bench.missing("/dev/null: this kesu neither seals nor opens to standard output")
        sealing = {name: c[0] for name, c in peers.items()}
        yield from compare(f"seal {to_file}", kesu_seal, sealing, clear_sealed)
        if pipes:
            yield from compare(f"seal {to_file}, payload bound", kesu_bound, sealing, clear_sealed, {})
            sealing = {name: _to_stdout(c) for name, c in sealing.items()}
            for what, dataset, wanted in (("seal to /dev/null", "header-only", {"age": 3, "gpg": 6}),
                                          ("seal to /dev/null, payload bound", "bench", {})):
                piped = world.command("seal", dataset, source, "-o", "-", json=False)
                yield from compare(what, piped, sealing, None, wanted, stdout="/dev/null")

        def clear_opened(_):
            worlds.remove(back)
            worlds.remove(peer_opened)

        clear_sealed(None)
        world.box.run(*kesu_seal)
        # Each peer opens what it sealed itself.
        for name, (sealing, opening) in peers.items():
            worlds.remove(peer_sealed)
            measure.run(sealing, env=world.box.env)
            yield from compare(f"open {to_file}", kesu_open, {name: opening}, clear_opened)
            clear_opened(None)
            if not pipes:
                continue
            piped = world.command("open", sealed, "-o", "-", json=False)
            yield from compare("open to /dev/null", piped, {name: _to_stdout(opening)}, None, stdout="/dev/null")
        clear_sealed(None)
        yield from _writing_beside(bench, base, to_file, peer_seconds)


def _writing_beside(bench, base, to_file, peer_seconds):
    """What writing alone reaches against the same peers: more is not to be had here, whoever encrypts."""
    said, lines = programs.lines_of(bench, "seal_bench", base, "--mib", bench.size >> 20, "--rounds", bench.rounds,
                                    "--only", "write-file")
    bare = lines[0]["bare"]
    for what in (f"seal {to_file}", f"open {to_file}"):
        for peer in ("age", "gpg"):
            if theirs := peer_seconds.get((what, peer)):
                yield Row(f"writing alone instead of kesu: {what}", rate(bench.size, bare), peer, rate(bench.size, theirs),
                          theirs / bare, "×", command=said, note="pwrite on as many threads: nothing is read or encrypted")


def small(bench):
    """Many small files, durable, on the disk, beside `cp -r` and `sync -f` of the same tree, and a bare loop."""
    with contextlib.ExitStack() as worlds_until_the_end:
        for keys, name in (("softhsm", "SoftHSM2 token"), ("soft", "keystore under a passphrase")):
            yield from _small(bench, worlds_until_the_end.enter_context(worlds.World(bench.disk, keys)), name)


def _small(bench, world, name):
    """Each run writes to a new place, and nothing is removed before the end: ext4 without a journal passes over inodes
    that were freed in the last minutes one by one, which costs either side many times the work itself."""
    bench.place(world.path, "disk")
    tree = worlds.tree_of_files(world.path / "tree", bench.files, 4096)
    run = itertools.count(1)

    def kesu(turn):
        return world.command("seal", f"run-{turn}", tree, "-o", world.path / f"out-{turn}")

    def copy(turn):
        return ["sh", "-c", 'cp -r "$1" "$2" && sync -f "$2"', "sh", tree, world.path / f"copy-{turn}"]

    def bare(turn):
        return [bench.kesu.parent / "small_bench", tree, world.path / f"bare-{turn}"]

    def before(_):
        world.dataset(f"run-{next(run)}")
        measure.settle_disk(world.path)

    turns = itertools.count(1)
    works = {"kesu": lambda: measure.run(kesu(next(turns)), env=world.box.env), "cp": lambda: measure.run(copy(next(turns)))}
    others = [("cp", "cp -r, sync -f", copy(2), 1.5)]
    if bare(0)[0].is_file():
        works["bare"] = lambda: measure.run(bare(next(turns)))
        others.append(("bare", "encrypt, write, rename; syncfs", bare(3), 0))
    else:
        bench.missing("small files beside a bare loop: small_bench is not built")
    costs = measure.alternate(bench.rounds, works, before)
    bench.peak(f"seal {count_text(bench.files)} files of 4 KiB, {name}", costs["kesu"])
    for against, name_of_it, command, wanted in others:
        yield Row(f"seal {count_text(bench.files)} files of 4 KiB, durable, {name}", seconds(measure.median(costs["kesu"])),
                  name_of_it, seconds(measure.median(costs[against])), 1 / measure.paired_ratio(costs["kesu"], costs[against]),
                  "×", "≤", wanted, command=bench.said(kesu(1)), beside=bench.said(command),
                  note="time as a multiple of the other's")
