"""For scripts/bench: one figure, what it stands beside, and whether it is what was wanted."""
import dataclasses

MIB, GIB = 1 << 20, 1 << 30


@dataclasses.dataclass
class Row:
    """`value` is what the target is about, `sense` how it is meant: "≥" (more is better) or "≤"."""
    what: str
    ours: str
    against: str
    theirs: str
    value: float
    unit: str            # of value: "×", "ms", "s", "MiB"
    sense: str = "≥"
    target: float = 0    # 0: nothing was asked; shown for comparison
    command: str = ""
    beside: str = ""     # the command of the other side
    note: str = ""

    @property
    def reached(self):
        """True, False, or None where nothing was asked."""
        if not self.target:
            return None
        return self.value >= self.target if self.sense == "≥" else self.value <= self.target

    @property
    def score(self):
        """How many times as good as asked; 1 is just reached."""
        if not self.target or not self.value:
            return None
        return self.value / self.target if self.sense == "≥" else self.target / self.value

    def value_text(self):
        return f"{self.value:.2f}×" if self.unit == "×" else f"{self.value:.3g} {self.unit}"

    def target_text(self):
        if not self.target:
            return "–"
        return f"{self.sense} {self.target:g}×" if self.unit == "×" else f"{self.sense} {self.target:g} {self.unit}"

    def reached_text(self):
        return {True: "yes", False: "**no**", None: "–"}[self.reached]


def rate(size, seconds):
    return f"{size / seconds / MIB:,.0f} MiB/s"


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def count_text(value):
    return f"{value:,}"


def size_text(value):
    return f"{value / GIB:g} GiB" if value >= GIB else f"{value / MIB:g} MiB"
