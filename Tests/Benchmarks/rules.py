"""The section feel of deploy/bench: a condition and random decision tables, without a server, beside zen-engine.

    rules.py RULES FILE          writes the table and its rows for rule-benchmark
    rules.py --zen RULES         decides the same rows with zen-engine (in its own Python environment); prints figures as
                                 `name value`, then the rule's output per row
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

COUNTRIES = ["DE", "FR", "US", "GB", "PL", "ES", "IT", "NL"]
SEGMENTS = ["gold", "silver", "bronze", "new"]
INPUTS = [("age", "number"), ("score", "number"), ("income", "number"), ("country", "string"), ("segment", "string")]
ROWS = 2000


def generate(count):
    """Rules of hit policy FIRST with a default rule at the end, and rows. Wide tables have narrow rules, so that most
    rows fall through most of them."""
    chance = random.Random(7)
    narrow = count > 100
    rules = []
    for index in range(count):
        age, score = chance.randrange(18, 60), chance.randrange(300, 800)
        income = chance.randrange(10, 90) * 1000
        countries = chance.sample(COUNTRIES, 1 if narrow else 3)
        segments = chance.sample(SEGMENTS, 1 if narrow else 2)
        if index == count - 1:
            rules.append([None] * 5)
            continue
        rules.append([f"[{age}..{age + (1 if narrow else 15)}]", f"> {score}",
                      None if index % 3 == 0 else f">= {income}",
                      ", ".join(f'"{x}"' for x in countries), ", ".join(f'"{x}"' for x in segments)])
    rows = [[chance.randrange(18, 76), chance.randrange(250, 850), chance.randrange(10, 120) * 1000,
             chance.choice(COUNTRIES), chance.choice(SEGMENTS)] for _ in range(ROWS)]
    return rules, rows


def write(count, path):
    rules, rows = generate(count)
    with open(path, "w", encoding="utf-8") as file:
        for name, kind in INPUTS:
            file.write(f"input\t{name}\t{kind}\n")
        for index, cells in enumerate(rules):
            file.write("\t".join(["rule", *(cell or "-" for cell in cells), str(index)]) + "\n")
        for row in rows:
            file.write("\t".join(["row", *map(str, row)]) + "\n")


def zen_model(rules):
    def node(name, kind, **content):
        return dict({"id": name, "name": name, "type": kind, "position": {"x": 0, "y": 0}}, **content)

    table = {
        "hitPolicy": "first",
        "inputs": [{"id": name, "name": name, "field": name, "type": "expression"} for name, _ in INPUTS],
        "outputs": [{"id": "rule", "name": "rule", "field": "rule", "type": "expression"}],
        "rules": [dict({name: cell or "" for (name, _), cell in zip(INPUTS, cells)}, _id=f"r{index}", rule=str(index))
                  for index, cells in enumerate(rules)]}
    return {
        "nodes": [node("in", "inputNode"), node("table", "decisionTableNode", content=table), node("out", "outputNode")],
        "edges": [{"id": "e1", "sourceId": "in", "targetId": "table", "type": "edge"},
                  {"id": "e2", "sourceId": "table", "targetId": "out", "type": "edge"}]}


def zen(count):
    import zen as library  # only in the peers' environment

    rules, rows = generate(count)
    model = json.dumps(zen_model(rules))
    # The fastest way that its documentation shows: compiled content, kept by a loader.
    content = library.ZenDecisionContent(model)
    engine = library.ZenEngine({"loader": lambda key: content})
    contexts = [dict(zip((name for name, _ in INPUTS), row)) for row in rows]
    answers = [engine.evaluate("table", context) for context in contexts]
    for trace in (False, True):
        own, wall = [], []
        for _ in range(5):
            begin = time.perf_counter()
            results = [engine.evaluate("table", context, {"trace": trace}) for context in contexts]
            wall.append((time.perf_counter() - begin) / len(contexts) * 1e9)
            own.append(statistics.median(nanoseconds(result["performance"]) for result in results))
        suffix = "_trace" if trace else ""
        print(f"own{suffix} {min(own)}")
        print(f"wall{suffix} {min(wall)}")
    best = []
    for _ in range(3):
        begin = time.perf_counter()
        library.ZenDecisionContent(model)
        best.append(time.perf_counter() - begin)
    print(f"compile {min(best) * 1e3}")
    print("outputs", *(answer["result"].get("rule", "-") for answer in answers))


def nanoseconds(text):
    """`3.8µs`, `1.2ms` or `400ns` in nanoseconds."""
    for unit, factor in [("ns", 1), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)]:
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def section(directory):
    from harness import command, say, table

    say("## FEEL and decision tables, one thread, no server\n")
    program = os.environ.get("BENCH_RULES")
    if not program:
        say("BENCH_RULES names no rule-benchmark; this section is left out.\n")
        return
    seconds = str(max(1, int(os.environ.get("BENCH_SECONDS", "10")) // 3))
    figures, _ = run([program, "condition", seconds])
    command(f"rule-benchmark condition {seconds}; the best of ten rounds; allocations: every malloc of the process")
    table(["condition `amount > 1000 and country in (\"DE\",\"FR\") and not(vip)`", "time", "allocations"], [
        [text, nanoseconds_text(figures[name + " ns"]), f"{figures[name + ' allocations']:.2f}"]
        for name, text in [("condition_true", "true rows, as a truth"), ("condition_mixed", "mixed rows, as a truth"),
                           ("condition_value", "mixed rows, as a value"), ("condition_compile", "compiled from source")]])
    rows = []
    for count in (30, 1000):
        path = pathlib.Path(directory) / f"table{count}.tsv"
        write(count, path)
        ours, outputs = run([program, "table", str(path), seconds])
        theirs, expected = run([os.environ.get("BENCH_PYTHON", "python3"), __file__, "--zen", str(count)])
        rows.append([
            f"{count} rules x 5 inputs", nanoseconds_text(ours["table_evaluate ns"]),
            f"{ours['table_evaluate allocations']:.0f}", f"{ours['table_compile ms']:.2f} ms",
            *(nanoseconds_text(theirs[name]) if theirs else "not available" for name in ("own", "own_trace", "wall")),
            f"{theirs['own'] / ours['table_evaluate ns']:.1f}x" if theirs else "-",
            sum(a != b for a, b in zip(outputs, expected)) if theirs else "-"])
    command(f"rule-benchmark table FILE {seconds} (matched rules and inputs in every answer); "
            "rules.py --zen COUNT (ZenEngine with cached content; own: its own timer, median; wall: from Python)")
    table(["table, FIRST", "decisiond, with trace", "allocations", "compiled in", "zen own, no trace", "zen own, trace",
           "zen wall, no trace", "faster than zen own", f"answers that differ, of {ROWS}"], rows)


def run(line):
    """The figures and the outputs of a program; nothing when it fails."""
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        print(f"`{' '.join(line[:2])}` failed: {done.stderr.strip()[-200:]}\n", flush=True)
        return None, []
    figures, outputs = {}, []
    for text in done.stdout.splitlines():
        name, _, value = text.rpartition(" ")
        if text.startswith("outputs "):
            outputs = text.split()[1:]
        else:
            figures[name] = float(value)
    return figures, outputs


def nanoseconds_text(value):
    return f"{value:.0f} ns" if value < 1e4 else f"{value / 1e3:.1f} us"


if __name__ == "__main__":
    if sys.argv[1] == "--zen":
        zen(int(sys.argv[2]))
    else:
        write(int(sys.argv[1]), sys.argv[2])
