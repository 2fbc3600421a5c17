"""Holds all black-box traffic against the served openapi.yaml.

    session = ContractSession("http://127.0.0.1:8080", key)
    session.post("/v1/decide/retention-offer", json={"inputs": {"customer": "16791"}})
    session.post("/v1/events", data=b"{", invalid=True)     # deliberately wrong: only the answer is checked

Every response is checked: its status, its media type, its headers and its body. Every request is checked as well unless
it is marked ``invalid=True``: parameters, media type, and a JSON or YAML body. What does not fit raises
``ContractError``, an ``AssertionError`` that names the operation and the place.
"""

import datetime
import gzip
import json
import re
import threading
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema
import requests
import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z")
_METHODS = ("get", "put", "post", "delete", "patch")
_FORMATS = jsonschema.FormatChecker(formats=())


class ContractError(AssertionError):
    """Traffic that openapi.yaml does not describe."""


@_FORMATS.checks("date-time")
def _is_date_time(value):
    if not isinstance(value, str):
        return True
    if not _DATE_TIME.match(value):
        return False
    try:
        # A leap second is a real time of day, though not for this library.
        datetime.datetime.fromisoformat(re.sub(r":60$", ":59", value[:19].upper()))
    except ValueError:
        return False
    return True


@_FORMATS.checks("date")
def _is_date(value):
    if not isinstance(value, str):
        return True
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == 10


def _media_type(header):
    return (header or "").split(";", 1)[0].strip().lower()


def _unique_members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")


def parse_json(text):
    """Parses JSON strictly: no repeated keys, no NaN, no Infinity."""
    return json.loads(text, object_pairs_hook=_unique_members, parse_constant=_no_constant)


class Contract:
    """An OpenAPI 3.1 document, with a compiled validator per schema."""

    def __init__(self, document):
        self.document = document
        self._compiled = {}
        self._validator = jsonschema.validators.extend(
            jsonschema.Draft202012Validator, {"$ref": self._ref, "oneOf": self._one_of}
        )
        self.operations = [
            Operation(self, method, path, item[method])
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item
        ]
        # Concrete paths are matched before templated ones (OpenAPI 3.1, "Path Templating Matching").
        self.operations.sort(key=lambda operation: operation.path.count("{"))
        self.by_id = {operation.id: operation for operation in self.operations}

    @classmethod
    def parse(cls, text):
        """Reads the YAML text; equal texts give the same object."""
        with _CACHE_LOCK:
            contract = _CACHE.get(text)
            if contract is None:
                contract = _CACHE[text] = cls(yaml.load(text, Loader=_LOADER))
            return contract

    def find(self, method, path):
        """The operation of a request, or None."""
        method = "get" if method == "head" else method
        for operation in self.operations:
            if operation.method == method and operation.pattern.fullmatch(path):
                return operation
        return None

    def has_path(self, path):
        """Whether any operation has this path."""
        return any(operation.pattern.fullmatch(path) for operation in self.operations)

    def at(self, reference):
        """What a reference within the document names."""
        if not reference.startswith("#/"):
            raise ContractError(f"{reference} does not point into openapi.yaml")
        node = self.document
        for token in reference[2:].split("/"):
            node = node[token.replace("~1", "/").replace("~0", "~")]
        return node

    def resolve(self, node):
        """The node itself, or what its reference names."""
        while "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def errors(self, schema, value):
        """What is wrong with a value, one line each, at most ten."""
        lines = []
        for error in self._compile(schema).iter_errors(value):
            for leaf in error.context or [error]:
                pointer = "".join(f"/{token}" for token in leaf.absolute_path)
                lines.append(f"{pointer or '(root)'}: {leaf.message[:400]}")
            if len(lines) >= 10:
                break
        return lines[:10]

    def _compile(self, schema):
        key = id(schema)
        known = self._compiled.get(key)
        if known is None:
            # The schema is kept beside its validator, so that no other object can get its id.
            known = self._compiled[key] = (schema, self._validator(schema, format_checker=_FORMATS))
        return known[1]

    def _ref(self, validator, reference, instance, schema):
        """All references point into this one document, so each target is compiled once."""
        known = self._compiled.get(reference)
        if known is None:
            target = self.at(reference)
            known = self._compiled[reference] = (target, self._validator(target, format_checker=_FORMATS))
        return known[1].descend(instance, known[0])

    def _one_of(self, validator, branches, instance, schema):
        """Follows the discriminator: one branch is checked, and its own errors are told."""
        discriminator = schema.get("discriminator")
        if discriminator is None or not isinstance(instance, dict):
            yield jsonschema.ValidationError("oneOf needs an object and a discriminator")
            return
        name = discriminator["propertyName"]
        mapping = discriminator["mapping"]
        value = instance.get(name)
        if value not in mapping:
            yield jsonschema.ValidationError(f"{name} is {value!r}, not one of {sorted(mapping)}")
            return
        yield from self._ref(validator, mapping[value], instance, schema)


_CACHE = {}
_CACHE_LOCK = threading.Lock()


class Operation:
    """One method of one path."""

    def __init__(self, contract, method, path, node):
        self.contract = contract
        self.method = method
        self.path = path
        self.node = node
        self.id = node["operationId"]
        self.names = re.findall(r"{([^}]+)}", path)
        self.pattern = re.compile(re.sub(r"\\{[^}]+\\}", "([^/]+)", re.escape(path)))
        self.parameters = [contract.resolve(parameter) for parameter in node.get("parameters", [])]
        self.body = contract.resolve(node["requestBody"]) if "requestBody" in node else None
        self.responses = {status: contract.resolve(response) for status, response in node["responses"].items()}

    def fail(self, what, *lines):
        """Raises with the operation's name."""
        raise ContractError("\n  ".join([f"{self.id} ({self.method.upper()} {self.path}): {what}", *lines]))

    def check_response(self, response, is_head=False):
        """Checks a response of this operation."""
        described = self.responses.get(str(response.status_code))
        if described is None:
            self.fail(
                f"status {response.status_code} is not listed, only {', '.join(self.responses)}", response.text[:400]
            )
        for name, header in described.get("headers", {}).items():
            header = self.contract.resolve(header)
            if name in response.headers:
                self._check(f"header {name}", header["schema"], self._decode(header["schema"], response.headers[name]))
            elif header.get("required"):
                self.fail(f"status {response.status_code} without the header {name}")
        content = described.get("content")
        if is_head:
            return
        if content is None:
            if response.content:
                self.fail(f"status {response.status_code} has a body, none is described", response.text[:400])
            return
        media_type = _media_type(response.headers.get("Content-Type"))
        if media_type not in content:
            self.fail(
                f"status {response.status_code}: media type {media_type or '(none)'} is not listed",
                f"listed: {', '.join(content)}",
                response.text[:400],
            )
        what = f"body of {response.status_code}"
        self._check(what, content[media_type]["schema"], self._read(what, media_type, response.content))

    def check_request(self, request):
        """Checks a prepared request to this operation."""
        url = urlsplit(request.url)
        path = self.pattern.fullmatch(url.path)
        values = dict(zip(self.names, map(unquote, path.groups())))
        query = parse_qsl(url.query, keep_blank_values=True)
        for parameter in self.parameters:
            name, place, schema = parameter["name"], parameter["in"], parameter["schema"]
            if place == "path":
                found = values.get(name)
            elif place == "header":
                found = request.headers.get(name)
                found = found.decode("latin-1") if isinstance(found, bytes) else found
            else:
                found = self._query(parameter, query)
            if found is None:
                if parameter.get("required"):
                    self.fail(f"request without the {place} parameter {name}")
            else:
                self._check(f"{place} parameter {name}", schema, self._decode(schema, found))
        if query:
            self.fail(f"request has query parameters that are not described: {', '.join(name for name, _ in query)}")
        self._check_body(request)

    def _query(self, parameter, query):
        """Takes a parameter's pairs out of `query`; an exploded object takes all that no other parameter has."""
        name = parameter["name"]
        if self.contract.resolve(parameter["schema"]).get("type") == "object":
            others = {other["name"] for other in self.parameters if other["in"] == "query"}
            taken = {key: value for key, value in query if key not in others}
            query[:] = [pair for pair in query if pair[0] in others]
            return taken or None
        found = [value for key, value in query if key == name]
        query[:] = [pair for pair in query if pair[0] != name]
        if len(found) > 1:
            self.fail(f"query parameter {name} is there {len(found)} times")
        return found[0] if found else None

    def _check_body(self, request):
        body = request.body
        if body is None or body == b"" or body == "":
            if self.body and self.body.get("required"):
                self.fail("request without a body")
            return
        if self.body is None:
            self.fail("request has a body, none is described")
        content = self.body["content"]
        media_type = _media_type(request.headers.get("Content-Type"))
        if media_type not in content:
            self.fail(f"request media type {media_type or '(none)'} is not listed, only {', '.join(content)}")
        if not isinstance(body, (bytes, str)):
            return  # A stream cannot be read twice.
        body = body.encode() if isinstance(body, str) else body
        if _media_type(request.headers.get("Content-Encoding")) == "gzip":
            body = gzip.decompress(body)
        schema = content[media_type]["schema"]
        if media_type == "application/yaml":
            for index, document in enumerate(yaml.load_all(body, Loader=_LOADER)):
                if document is not None:
                    self._check(f"YAML document {index} of the request", schema, document)
        elif media_type.endswith("json") and not media_type.endswith("ndjson"):
            self._check("request body", schema, self._read("request body", media_type, body))

    def _read(self, what, media_type, body):
        if media_type.endswith("json") and not media_type.endswith("ndjson"):
            try:
                return parse_json(body)
            except ValueError as error:
                self.fail(f"{what} is not JSON: {error}", repr(body[:400]))
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            self.fail(f"{what} is not UTF-8: {error}")

    def _decode(self, schema, text):
        """A parameter's text as a value of its schema's type."""
        kind = self.contract.resolve(schema).get("type")
        try:
            if kind == "integer":
                return int(text)
            if kind == "number":
                return float(text)
            if kind == "boolean":
                return {"true": True, "false": False}[text]
        except (ValueError, KeyError):
            pass
        return text

    def _check(self, what, schema, value):
        errors = self.contract.errors(schema, value)
        if errors:
            self.fail(f"{what} does not fit its schema", *errors)


class ContractSession(requests.Session):
    """A session whose traffic is checked against the openapi.yaml that the server gives."""

    def __init__(self, base_url, key=None, contract=None):
        super().__init__()
        self.base_url = base_url.rstrip("/")
        if key:
            self.headers["Authorization"] = f"Bearer {key}"
        self._contract = contract
        # operationIds that were called, with the statuses that came back: for a test that all of them were.
        self.seen = {}

    @property
    def contract(self):
        """The contract; read from the server when it is first needed."""
        if self._contract is None:
            self.reload()
        return self._contract

    def reload(self):
        """Reads the contract again, as after definitions were applied."""
        response = requests.get(self.base_url + "/openapi.yaml", timeout=30)
        response.raise_for_status()
        self._contract = Contract.parse(response.content.decode())
        return self._contract

    def request(self, method, url, *args, invalid=False, **options):
        """As in requests, with paths relative to the server. `invalid` marks a deliberately wrong request."""
        if url.startswith("/"):
            url = self.base_url + url
        options.setdefault("timeout", 60)
        options.setdefault("allow_redirects", False)
        response = super().request(method, url, *args, **options)
        self.check(response, invalid=invalid)
        return response

    def check(self, response, invalid=False):
        """Checks a response and, unless `invalid`, the request that it answers."""
        request = response.request
        method = request.method.lower()
        path = urlsplit(request.url).path
        operation = self.contract.find(method, path)
        if operation is None:
            self._check_undescribed(method, path, response, invalid)
            return
        self.seen.setdefault(operation.id, set()).add(response.status_code)
        if not invalid:
            operation.check_request(request)
        operation.check_response(response, is_head=method == "head")

    def _check_undescribed(self, method, path, response, invalid):
        """A path that is not described is 404, a method 405 with `Allow`; OPTIONS tells the methods."""
        where = f"{method.upper()} {path} (not described)"
        if method == "options" and response.status_code in (200, 204):
            return
        if not invalid:
            raise ContractError(f"{where}: mark the request as invalid if that is the test")
        expected = (405, 501) if self.contract.has_path(path) else (404, 405, 501)
        if response.status_code not in (400, 401, 414, 431, 503, *expected):
            raise ContractError(f"{where}: status {response.status_code}")
        if response.status_code == 405 and not response.headers.get("Allow"):
            raise ContractError(f"{where}: 405 without Allow")
        if method == "head":
            return
        if _media_type(response.headers.get("Content-Type")) != "application/problem+json":
            raise ContractError(f"{where}: status {response.status_code} is not application/problem+json")
        errors = self.contract.errors({"$ref": "#/components/schemas/Problem"}, parse_json(response.content))
        if errors:
            raise ContractError("\n  ".join([f"{where}: the problem does not fit its schema", *errors]))
