"""Models of the shared data behind the scoring protocols: published, with the rows that their libraries predicted."""
import hashlib
import json

import numpy

import conftest


def publish(daemon, artifact, name, **spec):
    """Uploads a model's file and publishes it; `artifact` is a path below models/."""
    content = conftest.shared_path(f"data/models/{artifact}").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    answer = daemon.admin.put(
        f"/v1/artifacts/{digest}", data=content, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code in (200, 201), answer.text
    document = {
        "kind": "Model", "name": name, "owner": "ann", "domain": "tests", "description": "A model of the shared data.",
        "spec": {"artifact": {"sha256": digest}, **spec}}
    answer = daemon.admin.post("/v1/definitions/apply", json={"definitions": [document]})
    assert answer.status_code == 200, answer.text


class Golden:
    """The golden rows of a model: `features`, `x` (None is missing), `pred`, `margin`."""

    def __init__(self, name):
        document = json.loads(conftest.shared_path(f"data/models/golden/{name}.json").read_text())
        self.features = document["features"]
        self.rows = document["rows"]
        self.x = [row["x"] for row in self.rows]
        self.pred = [row["pred"] for row in self.rows]
        self.margin = [row["margin"] for row in self.rows]

    def columns(self, rows=slice(None)):
        """Lists of cells by name."""
        return {name: [row[index] for row in self.x[rows]] for index, name in enumerate(self.features)}

    def array(self, rows=slice(None)):
        """The rows as an array; NaN is missing."""
        return numpy.array([[float("nan") if cell is None else cell for cell in row] for row in self.x[rows]], dtype="float64")


def flat(rows):
    """Values of rows one after the other."""
    return [value for row in rows for value in row]


def same_bits(found, wanted, dtype):
    """Whether numbers are the same in a width, bit for bit."""
    found, wanted = numpy.array(found, dtype=dtype), numpy.array(wanted, dtype=dtype)
    return found.shape == wanted.shape and found.tobytes() == wanted.tobytes()
