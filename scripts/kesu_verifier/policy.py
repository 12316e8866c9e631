# Which algorithm, for what, until when: docs/spec/policy.md over the lines of policy.jsonl (profile `current`).
import json

from .base import Usage, sha256_hex

RANK = ("listed", "outside-categories", "candidate", "monitored", "not-listed")
NO_LIMIT = 9999


def _fold(text):
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


class Verdict:
    """`refusals`: what is wrong; `horizon(mode)`: the last end year allowed, 0 none, NO_LIMIT."""

    def __init__(self):
        self.category, self.strength, self.refusals, self.year_refusals = "not-listed", 0, [], []
        self.new = self.process = 0

    @property
    def allowed(self):
        return not self.refusals and not self.year_refusals

    @property
    def listed(self):
        """Listed, or in a category that the list does not have, with nothing wrong but the years."""
        return self.category in RANK[:2] and not self.refusals


class Policy:
    def __init__(self, data):
        self.digest = sha256_hex(data)
        self.algorithms, self.names, self.listed, self.hashes = {}, {}, {}, {}
        self.strengths, self.cells, self.words = [], {}, {}
        try:
            for line in data.decode("utf-8").splitlines():
                self._line(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Usage(f"policy.jsonl cannot be read: {error}") from None
        self.last_year = max((to for _, _, _, to in self.cells), default=0)
        self.first_year = min((begin for _, _, begin, _ in self.cells), default=0)

    def _line(self, row):
        kind = row["kind"]
        if kind == "algorithm":
            for name in (row["name"], *row["aliases"]):
                self.algorithms[_fold(name)] = row
        elif kind == "name":
            for name in (row["name"], *row["aliases"]):
                self.names[_fold(name)] = row
        elif kind == "entry":
            # Table 2 does not take from table 1 what it gives.
            self.listed.setdefault(row["name"], {"recommended": "listed"}.get(row["list"], row["list"]))
        elif kind == "hash":
            self.hashes[_fold(row["name"])] = row
        elif kind == "strength":
            self.strengths.append(row)
        elif kind == "period":
            self.cells[row["strength"], row["mode"], row["from"], row["to"]] = row["cell"]
        elif kind == "word":
            self.words[row["word"]] = row

    # A query: NAME[:member=value,…].

    def judge(self, query, purpose="", until=None, mode="new", now=0):
        """`until`: the end year, None without one."""
        out = Verdict()
        row, params = self._resolve(query, out)
        if row is None:
            # A row of the lists that is only ever a part of something, a mode for one.
            out.category = self.listed.get(query, "not-listed")
            return out
        if purpose and purpose not in row["purposes"]:
            out.refusals.append(f"is not for {purpose}")
        if row.get("part"):
            out.refusals.append("is only a part")
        categories = [row.get("verdict", "listed")]
        if row.get("verdict") == "not-listed":
            out.refusals.append(row["why"])
        if row.get("verdict") == "outside-categories" and not row.get("allow"):
            out.refusals.append(row["why"])
        for part in row.get("parts", []):
            categories.append(self.listed.get(part.replace("{bits}", str(params.get("bits", ""))), "not-listed"))
        bits = self._strength(row, params, categories, out)
        out.strength = max((s for s in (112, 128, 192, 256) if s <= bits), default=0)
        out.category = max(categories, key=RANK.index)
        if out.category == "not-listed" and not out.refusals:
            out.refusals.append("a part of it is not listed")
        self._limits(row, params, mode, out)
        self._years(row, until, mode, now, out)
        return out

    def _resolve(self, query, out):
        name, _, rest = query.partition(":")
        key, params = _fold(name), {}
        if key in self.names:
            params = dict(self.names[key]["set"])
            key = _fold(self.names[key]["of"])
        row = self.algorithms.get(key)
        if row is None:
            out.refusals.append("is not known")
            return None, params
        fixed = set(params)
        for item in filter(None, rest.split(",")):
            member, _, value = item.partition("=")
            if member in ("bits", "subgroup", "iv", "output", "blocks"):
                value = int(value) if value.isdigit() and len(value) < 10 else -1
            if member not in row["params"]:
                out.refusals.append(f"takes no {member}")
            elif member in fixed and params[member] != value:
                out.refusals.append(f"{member} is fixed by the name")
            else:
                params[member] = value
        return row, params

    def _family(self, row, params, out):
        family = row["family"]
        if family == "hash":
            return self._hash(row["name"], "collision", params.get("output"))
        if family in ("none", "digest", "keyed-hash", "with"):
            return row.get("fixed", 10 ** 6 if family != "none" else 0)
        if "curve" in row["params"]:
            for s in self.strengths:
                if s["family"] == family and _fold(str(params.get("curve"))) in map(_fold, (s.get("curve", ""),
                                                                                           *s.get("aliases", ()))):
                    return s["bits"]
            out.refusals.append("its curve is not stated, or not judged")
            return 0
        bits = params.get("bits")
        if bits is None and len(row.get("sizes", ())) == 1:
            bits = row["sizes"][0]
        if bits is None:
            out.refusals.append("its size is not stated")
            return 0
        best = 0
        for s in self.strengths:
            if s["family"] == family and (bits == s["exactly"] if "exactly" in s else
                                          bits >= s.get("at_least", 10 ** 9)
                                          and params.get("subgroup", 0) >= s.get("subgroup", 0)):
                best = max(best, s["bits"])
        if not best:
            out.refusals.append("its size is below what is judged")
        return best

    def _hash_row(self, name):
        known = self.algorithms.get(_fold(str(name)))
        return self.hashes.get(_fold(known["name"] if known else str(name)))

    def _hash(self, name, role, output=None):
        row = self._hash_row(name)
        if not row:
            return 0
        bits = row.get(role, 0)
        if row.get("xof"):
            return min(bits, output // 2) if output and output > 0 else 0
        return bits

    def _strength(self, row, params, categories, out):
        bits = self._family(row, params, out)
        role = row.get("hash_role")
        if not role:
            if row["family"] == "with":
                inner = self.judge(str(params.get("with", "")), until=self.first_year)
                known, _ = self._resolve(str(params.get("with", "")), Verdict())
                if known is None or known["family"] == "with" or inner.refusals:
                    out.refusals.append("what it runs on is not stated, or refused")
                categories.append("listed" if known is None and "with" not in params else inner.category)
                return 0 if known is not None and known["family"] == "with" else inner.strength
            return bits
        name = params.get("hash", row.get("hash_default"))
        if name is None:
            out.refusals.append("its hash is not stated")
            return 0
        hashes = {name, params.get("mgf", name)}
        for h in hashes:
            entry = self.algorithms.get(_fold(str(h)))
            category = self.listed.get(entry["name"], "not-listed") if entry else "not-listed"
            categories.append(category)
        if "hashes" in row and name not in row["hashes"]:
            out.refusals.append("is not used with that hash")
        known = self._hash_row(name)
        if known and known.get("xof") and role != "listed":
            out.refusals.append("an extendable-output function does not serve here")
        if role != "listed":
            bits = min(bits, self._hash(name, role))
        if row["family"] == "keyed-hash" and isinstance(params.get("bits"), int):
            bits = min(bits, params["bits"])
        if isinstance(params.get("output"), int) and row["family"] == "keyed-hash":
            bits = min(bits, params["output"])
        return 0 if bits == 10 ** 6 else bits

    def _limits(self, row, params, mode, out):
        if "iv" in row and params.get("iv", row["iv"]) != row["iv"]:
            out.refusals.append("its nonce has another size")
        if "sizes" in row and params.get("bits", row["sizes"][0]) not in row["sizes"]:
            out.refusals.append("its size is not one that it has")
        if "min_output" in row and params.get("output", 0) < row["min_output"]:
            out.refusals.append("its output is too short")
        if "max_blocks" in row and params.get("blocks", 0) > row["max_blocks"]:
            out.refusals.append("more blocks than it may process")
        if mode == "new" and row.get("min_bits_new", 0) > params.get("bits", 0):
            out.refusals.append("its key is too short for new use")

    def _cell(self, strength, mode, year):
        for (bits, of_mode, begin, to), cell in self.cells.items():
            if bits == strength and of_mode == mode and begin <= year <= to:
                return self.words[cell]["new" if mode == "new" else "processing"]
        return None

    def _allowed_in(self, strength, mode, year):
        if year is None or year > self.last_year:
            return strength >= 192
        return bool(self._cell(strength, mode, year))

    def _years(self, row, until, mode, now, out):
        exempt = row.get("exempt")
        if until is not None:
            until = max(until, now)
            if until < self.first_year:
                out.year_refusals.append("an end year before the first that is judged")
        if not exempt and not self._allowed_in(out.strength, mode, until):
            out.year_refusals.append("is not strong enough for so long")
        if until is None and row.get("open_ended") and mode == "new":
            out.year_refusals.append("without an end year by exception only")
        if mode == "new" and out.category in ("candidate", "monitored"):
            out.year_refusals.append(f"is {out.category}: for processing only")
        for of_mode in ("new", "processing"):
            setattr(out, "new" if of_mode == "new" else "process", self._horizon(row, of_mode, out))

    def _horizon(self, row, mode, out):
        if out.refusals or mode == "new" and out.category in ("candidate", "monitored"):
            return 0
        if row.get("exempt"):
            return NO_LIMIT
        years = sorted({to for bits, m, _, to in self.cells if bits == out.strength and m == mode})
        good = 0
        for to in years:
            if not self._cell(out.strength, mode, to):
                break
            good = to
        if good == self.last_year and out.strength >= 192:
            return self.last_year if row.get("open_ended") and mode == "new" else NO_LIMIT
        return good
