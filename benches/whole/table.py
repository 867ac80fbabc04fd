"""The figures as a Markdown table."""

from dataclasses import dataclass


@dataclass
class Row:
    """One figure: ours, what it is measured against, and what it must not exceed."""

    figure: str
    ours: str
    yardstick: str
    #: Median ratio of the pairs, or the measure itself where there is no yardstick.
    ratio: str
    bound: str
    #: `None`: there is no bound, or the figure could not be measured.
    met: bool | None

    @classmethod
    def compared(cls, figure, pairs, name, bound, measure="wall"):
        """A row of pairs of runs; `bound` is the largest ratio (ours by the other's), or `None`."""
        ratio = pairs.ratio(measure)
        return cls(
            figure=figure if measure == "wall" else f"{figure}, CPU",
            ours=duration(pairs.ours(measure)),
            yardstick=f"{name} {duration(pairs.theirs(measure))}",
            ratio=quotient(ratio),
            bound="" if bound is None else f"≤ {quotient(bound)}",
            met=None if bound is None else ratio <= bound,
        )

    @classmethod
    def limited(cls, figure, value, unit, bound, note=""):
        """A row of a measure with a limit of its own."""
        return cls(figure, f"{value:.3g} {unit}", note, "", f"≤ {bound:g} {unit}", value <= bound)

    @classmethod
    def unavailable(cls, figure, reason):
        return cls(figure, "not measured", reason, "", "", None)


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def quotient(ratio):
    """A ratio below a tenth reads better as `1/40`."""
    return f"1/{1 / ratio:.3g}" if 0 < ratio < 0.1 else f"{ratio:.2f}"


def markdown(rows):
    lines = ["| figure | ours | yardstick | ratio | bound | met |", "|---|---:|---|---:|---:|---|"]
    for row in rows:
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        cells = [row.figure, row.ours, row.yardstick, row.ratio, row.bound, met]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)
