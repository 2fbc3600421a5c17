"""Writes decimals.csv: operation, a, b, result, computed by Python's decimal module (prec 34, ROUND_HALF_EVEN)."""
import decimal
import random

decimal.setcontext(decimal.Context(prec=34, rounding=decimal.ROUND_HALF_EVEN, Emin=-6143, Emax=6144, clamp=1))
random.seed(128)


def number():
    digits = random.choice([1, 2, 5, 12, 18, 19, 20, 33, 34])
    coefficient = random.randrange(10 ** digits)
    exponent = random.choice([0, 0, -2, -2, -1, -5, -18, -20, 3, 18, 20, 40, -40, 300, -300])
    return decimal.Decimal((random.randrange(2), tuple(map(int, str(coefficient))), exponent))


OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "<": lambda a, b: int(a < b),
    "=": lambda a, b: int(a == b),
}
with open("decimals.csv", "w") as out:
    for name, operation in OPERATIONS.items():
        for index in range(90):
            a, b = number(), number()
            if name == "=" and index % 2:
                b = a * decimal.Decimal("1.000") if len(a.as_tuple().digits) < 30 else a
            if name == "/" and b == 0:
                continue
            out.write(f"{name},{a},{b},{operation(a, b)}\n")
    for rounding, name in [(decimal.ROUND_HALF_EVEN, "even"), (decimal.ROUND_UP, "up"), (decimal.ROUND_DOWN, "down"),
                           (decimal.ROUND_HALF_UP, "halfup"), (decimal.ROUND_HALF_DOWN, "halfdown"),
                           (decimal.ROUND_FLOOR, "floor"), (decimal.ROUND_CEILING, "ceiling")]:
        for text in ["0.5", "1.5", "2.5", "-0.5", "-1.5", "-2.5", "2.45", "2.55", "1.125", "-1.125", "1234.5678", "0.005"]:
            for scale in (0, 1, 2):
                value = decimal.Decimal(text)
                out.write(f"{name},{value},{scale},{value.quantize(decimal.Decimal(1).scaleb(-scale), rounding=rounding)}\n")
