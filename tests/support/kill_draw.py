"""Draws a point at which a command is to be killed, or a call of it to fail, from what commands of its kind did before.

A point drawn from all numbers misses short commands and, in long ones, falls nearly always into SQLite. So the calls of earlier
runs are counted by verb, place and name; a place is drawn first, then a call there, then how many of them are let pass.
"""
import collections
import random

import harness_fault
import harness_kill

NEVER = 10**9
TOKEN = ("key rotate", "erase run")  # they change its files
SELDOM = 0.15  # share of the points in what is derived


class Draw:
    """`roots`: directories whose parts are told apart; `alike`: those whose parts are not; `spare`: nothing is hit below these."""

    def __init__(self, seed, roots, alike=(), spare=()):
        self.chance, self.roots, self.alike, self.spare = random.Random(f"draw {seed}"), roots, alike, spare
        self.seen = collections.defaultdict(collections.Counter)  # verb -> {(prefix, call): number}

    def place(self, target):
        """The beginning of the path that stands for a place: a root and one component below it. None: not to be hit."""
        if any(target.startswith(str(s)) for s in self.spare):
            return None
        whole = next((str(a) for a in self.alike if target.startswith(f"{a}/")), None)
        for root in () if whole else self.roots:
            if target.startswith(f"{root}/"):
                part = target[len(str(root)) + 1:].split("/")[0]
                return f"{root}/" + next((p for p in ("ledger.db", "registers.db", "proofs.db") if part.startswith(p)), part)
        return whole

    def learn(self, verb, calls):
        """Of a run of `verb`: keeps the larger numbers, for a killed run has fewer."""
        counted = collections.Counter((self.place(c.target), c.name) for c in calls)
        for key, number in counted.items():
            if key[0]:
                self.seen[verb][key] = max(self.seen[verb][key], number)

    def point(self, verb):
        """(prefix, call, n) of a call as this verb made; None: nothing is known of it yet."""
        places = sorted({prefix for prefix, _ in self.seen[verb]})
        main = [p for p in places if not p.endswith(("registers.db", "proofs.db"))]
        if not places:
            return None
        prefix = self.chance.choice(places if not main or self.chance.random() < SELDOM else main)
        name = self.chance.choice(sorted(n for p, n in self.seen[verb] if p == prefix))
        return prefix, name, self.chance.randint(1, self.seen[verb][prefix, name])

    def killed(self, verb, command, never=False, **options):
        """Runs it, killed at a point, or only watched. Returns (exit code or None, what was hit, harness.Result)."""
        point = None if never else self.point(verb)
        only = ("--call", point[1], "--under", point[0]) if point else ()
        # Of a kind that is new here any call serves, but where it may be one of the token's.
        early = NEVER if never or verb in TOKEN else self.chance.randint(1, 120)
        calls, killed, result = harness_kill.traced(command, point[2] if point else early, only=only, **options)
        self.learn(verb, calls)
        return None if killed else result.code, f"{calls[-1].name} {calls[-1].target}" if killed else "not reached", result

    def failed(self, verb, command, **options):
        """Runs it with a call, or all from one on that need space, failing. Returns as killed()."""
        prefix, _, n = self.point(verb) or (str(self.roots[0]), None, 1)
        n = self.chance.randint(1, sum(m for (p, _), m in self.seen[verb].items() if p == prefix) or n)
        error, mode = self.chance.choice(("ENOSPC", "EIO")), self.chance.choice(("once", "once", "on"))
        calls, result = harness_fault.traced(command, n, error, mode, under=(prefix,), **options)
        hit = next((c for c in calls if c.failed), None)
        return result.code, f"{error} {mode}: {hit.name} {hit.target}" if hit else "not reached", result
