"""What the section models makes of its measurements."""
import math
import statistics

COLUMNS = ["evaluator", "ns a row", "of decisiond's", "ns a row, 1/5 missing", "of decisiond's", "rows/s in batches of 10,000",
           "of decisiond's", "rows/s, 1/5 missing", "answers beside decisiond's"]
# What, model, figure, limit: nanoseconds at most, or rows a second at least.
TARGETS = [
    ("one row", "xgb3_speed_500x6", "single", 3_500), ("one row", "lgb4_speed_500x31", "single", 2_500),
    ("one row", "bench_1000x8", "single", 14_000), ("rows/s in batches", "xgb3_speed_500x6", "batch", 400_000),
    ("contributions of one row", "xgb3_speed_500x6", "shap", 300_000)]


class Result:
    """Figures of one evaluator, and how its answers compare with those of the first."""

    def __init__(self, worker, first):
        self.figures, self.first = worker.figures, first.figures
        self.different, self.largest, self.answers = 0, 0.0, 0
        for suffix in ("single", "batch"):
            for got, wanted in zip(worker.written(suffix), first.written(suffix), strict=True):
                self.answers += 1
                if got != wanted:
                    self.different += 1
                    self.largest = max(self.largest, abs(got - wanted)) if got == got else math.inf
        self.explained = self.compare_contributions(worker, first)

    @staticmethod
    def compare_contributions(worker, first):
        got, wanted = worker.written("shap"), first.written("shap")
        if not got or worker is first:
            return "-"
        width = len(wanted) // 200
        worst = 0.0
        for start in range(0, len(wanted), width):
            scale = max(1.0, *(abs(x) for x in wanted[start:start + width]))
            worst = max(worst, *(abs(a - b) / scale if a == a else math.inf
                                 for a, b in zip(got[start:start + width], wanted[start:start + width], strict=True)))
        return f"{worst:.1e}" if worst else "none"

    def median(self, name):
        return statistics.median(self.figures.get(name) or [math.nan])

    def ratio(self, name):
        return statistics.median(mine / other for mine, other in zip(self.figures[name], self.first[name]))

    def told(self):
        if not self.different:
            return "equal in every bit"
        return f"{self.different:,} of {self.answers:,} differ, by {self.largest:.1e} at most"


def rows(results):
    """Lines of one model's table, with nothing missing and with a fifth missing."""
    full, holes = results[0], results[20]
    lines = []
    for peer, result in full.items():
        other = holes.get(peer)
        lines.append([
            peer, f"{result.median('single'):,.0f}", f"{result.ratio('single'):.2f}",
            f"{other.median('single'):,.0f}" if other else "-", f"{other.ratio('single'):.2f}" if other else "-",
            f"{1e9 / result.median('batch'):,.0f}", f"{1 / result.ratio('batch'):.2f}",
            f"{1e9 / other.median('batch'):,.0f}" if other else "-",
            "-" if result.figures is result.first else result.told() + (f"; 1/5 missing: {other.told()}" if other else "")])
    return lines


def verdicts(found):
    """One line a target: what it is, what was measured, and whether it is met."""
    lines = []
    for what, model, figure, limit in TARGETS:
        told, met = [], True
        for missing in (0, 20):
            result = found[model][missing]["decisiond"]
            nanoseconds = result.median(figure)
            if math.isnan(nanoseconds):
                told.append("-")
            elif figure == "batch":
                told.append(f"{1e9 / nanoseconds:,.0f}")
                met = met and 1e9 / nanoseconds >= limit
            else:
                told.append(f"{nanoseconds / 1e3:,.2f} us")
                met = met and nanoseconds <= limit
        bound = f">= {limit:,}" if figure == "batch" else f"<= {limit / 1e3:g} us"
        lines.append([f"{model}: {what}", bound, *told, "met" if met else "**missed**"])
    return lines
