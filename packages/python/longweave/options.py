"""Options of a run without Node: from the file of --config to options with every choice made, as the command line makes them.

options.json has the schema with its defaults; `npx tsx scripts/options.mjs` writes it from ts/schema.ts."""
import json
import math
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
KNOWN = json.loads((HERE / "options.json").read_text(encoding="utf-8"))
MISSING = object()


class Failure(Exception):
    """An error of longweave, with its code and details."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.code, self.details = code, details

    def __reduce__(self):
        return _failure, (self.code, str(self), self.details)


def _failure(code, message, details):
    return Failure(code, message, **details)


def wrong(path, message):
    return Failure("OPTIONS_INVALID", f"`{path}`: {message}", option=path)


def read_config(path):
    """The options in a file of JSON in which comments and trailing commas are allowed."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure("INPUT_NOT_FOUND", f"the config file {path} cannot be read: {error.strerror}", file=str(path)) from error
    string = r'"(?:\\.|[^"\\])*"'
    text = re.sub(rf"{string}|//[^\n]*|/\*.*?\*/", lambda m: m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    text = re.sub(rf"{string}|,(?=\s*[}}\]])", lambda m: m[0] if m[0][0] == '"' else " ", text, flags=re.S)
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise Failure("OPTIONS_INVALID", f"{path}:{error.lineno}:{error.colno} is not JSON: {error.msg}", file=str(path)) from error
    if not isinstance(options, dict):
        raise Failure("OPTIONS_INVALID", f"{path} does not hold an object with options", file=str(path))
    return options


def resolve(options):
    """Options with every choice made. Raises `OPTIONS_INVALID`."""
    options = dict(options)
    preset = options.pop("preset", None)
    options.pop("engine", None)
    if preset is not None and preset not in KNOWN["presets"]:
        raise wrong("preset", f"must be one of {', '.join(KNOWN['presets'])}, but is {json.dumps(preset)}")
    method = options.get("method")
    if isinstance(method, str):
        options["method"] = method = {"name": method}
    if isinstance(method, dict) and method.get("name") is None:
        options["method"] = method = {**method, "name": "quest"}
    base = dict(KNOWN["presets"][preset]) if preset is not None else {}
    if isinstance(method, dict) and "method" in base and method["name"] != base["method"]["name"]:
        del base["method"]
    corpus_preset = options.get("corpusPreset")
    fields = KNOWN["corpusPresets"].get(corpus_preset, {}) if isinstance(corpus_preset, str) else {}
    if options.get("corpus") is None:
        options["corpus"] = []
    whole = merge(merge(fields, base), options)
    whole.setdefault("method", {"name": "quest"})
    resolved = take(KNOWN["schema"], whole, "")
    if resolved["output"]["format"] == "memory":
        raise wrong("output.format", "memory hands sequences to a program: it is for the API of JavaScript")
    if resolved["output"]["directory"] is None:
        raise Failure("OPTIONS_INVALID", "`output.directory` must be given", option="output.directory")
    return resolved


def merge(base, over):
    """`over` laid on `base`, section by section."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def take(schema, value, path):
    """The value at a path as the schema has it: defaults filled in, texts turned into numbers."""
    if value is MISSING:
        if "default" not in schema:
            raise wrong(path, "must be given")
        value = schema["default"]
    types = schema.get("type", [])
    if value is None and "null" in types:
        return None
    form = schema.get("form")
    if form in FORMS:
        value = FORMS[form](value, schema, path)
        if form in ("bytes", "share", "shares", "lengths"):
            return value
    forms = schema.get("anyOf")
    if forms is None:
        kind = types if isinstance(types, str) else next((kind for kind in types if kind != "null"), None)
        return TYPES[kind](schema, value, path) if kind else constant(schema, value, path)
    if isinstance(value, dict):
        named = [one for one in objects(forms) if value.get("name") == one["properties"].get("name", {}).get("const")]
        if not named:
            raise wrong(f"{path}.name", f"there is no {json.dumps(value.get('name'))}")
        return take(named[0], value, path)
    failures = []
    for one in forms:
        try:
            return take(one, value, path)
        except Failure as failure:
            failures.append(failure)
    raise next((failure for failure, one in zip(failures, forms) if one.get("type") != "null"), failures[0])


def objects(forms):
    for one in forms:
        yield from objects(one.get("anyOf", [])) if "type" not in one else [one] if one["type"] == "object" else []


def an_object(schema, value, path):
    if not isinstance(value, dict):
        raise wrong(path, f"must be an object, but is {json.dumps(value)}")
    unknown = next((key for key in value if key not in schema["properties"]), None)
    inside = lambda name: f"{path}.{name}" if path else name  # noqa: E731
    if unknown is not None:
        where = f"`{path}`" if path else "the options"
        raise Failure("OPTIONS_INVALID", f"{where} have no `{unknown}`", option=inside(unknown))
    return {name: take(below, value.get(name, MISSING), inside(name)) for name, below in schema["properties"].items()}


def an_array(schema, value, path):
    if not isinstance(value, list) or len(value) < schema.get("minItems", 0):
        raise wrong(path, f"must be a list of at least {schema.get('minItems', 0)}, but is {json.dumps(value)}")
    return [take(schema["items"], one, f"{path}.{i}") for i, one in enumerate(value)]


def a_string(schema, value, path):
    allowed = isinstance(value, str) and len(value) >= schema.get("minLength", 0)
    pattern = schema.get("pattern")
    if allowed and pattern is not None:
        allowed = (re.fullmatch if pattern.endswith("$") else re.match)(pattern, value, re.A) is not None
    if not allowed:
        raise wrong(path, f"must be {'a text' if pattern is None else f'a text like {pattern}'}, but is {json.dumps(value)}")
    return constant(schema, value, path)


def a_number(schema, value, path):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if is_number and schema["type"] == "integer":
        is_number = value == int(value)
        value = int(value)
    bounds = [("minimum", lambda b: value >= b), ("maximum", lambda b: value <= b), ("exclusiveMinimum", lambda b: value > b), ("exclusiveMaximum", lambda b: value < b)]
    broken = [f"{name} {schema[name]}" for name, holds in bounds if is_number and name in schema and not holds(schema[name])]
    if not is_number or broken:
        raise wrong(path, f"must be {'a whole' if schema['type'] == 'integer' else 'a'} number{', ' if broken else ''}{', '.join(broken)}, but is {json.dumps(value)}")
    return value


def constant(schema, value, path):
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if choices and value not in choices:
        raise wrong(path, f"must be {', '.join(map(str, choices))}, but is {json.dumps(value)}")
    return value


def exactly(kind):
    def check(schema, value, path):
        if not isinstance(value, kind):
            raise wrong(path, f"must be {schema['type']}, but is {json.dumps(value)}")
        return value

    return check


TYPES = {"object": an_object, "array": an_array, "string": a_string, "integer": a_number, "number": a_number, "boolean": exactly(bool), "null": exactly(type(None))}


def to_bytes(value, schema, path):
    """2G, 2Gi and 2GiB are 2³¹; 2GB is 2·10⁹."""
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?)(i?b?)", value.strip(), re.I)
        if match is None or (match[2] == "" and "i" in match[3].lower()) or match[1].count(".") > 1 or match[1] == ".":
            raise wrong(path, f'must be a number of bytes, like 1073741824, "1GiB" or "1G", but is {json.dumps(value)}')
        base = 1000 if match[3].lower() == "b" else 1024
        value = math.floor(float(match[1]) * base ** " kmgt".index(match[2].lower() or " ") + 0.5)
    return a_number({"type": "integer", "minimum": schema["minimum"], "maximum": schema["maximum"]}, value, path)


def to_share(value, _, path):
    """A share of all rows below 1, or a number of rows."""
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(%?)", value.strip())
        value = float(match[1]) / (100 if match[2] else 1) if match and not (match[2] and float(match[1]) >= 100) else value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0 or (value >= 1 and value != int(value)):
        raise wrong(path, f'must be a share of all rows below 100%, like "0.1%", or a number of rows, but is {json.dumps(value)}')
    return int(value) if value == int(value) else value


def to_local(value, _, path):
    if isinstance(value, str) and re.match(r"[a-z][a-z0-9+.-]*://", value, re.I):
        raise wrong(path, "must be a local directory; `output.upload` sends finished files to a URL")
    return value


def divided(value, path, what):
    """`NAME=NUMBER`, divided at the last `=`."""
    match = re.fullmatch(r"(.+)=([0-9]+(?:\.[0-9]+)?)", value, re.S) if isinstance(value, str) else None
    if match is None:
        raise wrong(path, f"must be a list of {what}, the part a number, but is {json.dumps(value)}")
    return match[1], a_number({"type": "number"}, float(match[2]), path)


def to_shares(value, schema, path):
    """Weights by name, from an object or from `NAME=WEIGHT` each."""
    if isinstance(value, list):
        pairs = [divided(one, path, "NAME=WEIGHT") for one in value]
        again = next((name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at])), None)
        if again is not None:
            raise wrong(path, f"names {json.dumps(again)} more than once")
        value = dict(pairs)
    if not isinstance(value, dict) or "" in value:
        raise wrong(path, f"must be weights by name, but is {json.dumps(value)}")
    return {name: a_number({"type": "number", "minimum": 0}, one, f"{path}.{name}") for name, one in value.items()}


def to_lengths(value, schema, path):
    """Lengths with their shares, from objects or from `LENGTH=SHARE` each."""
    if not isinstance(value, list):
        raise wrong(path, f"must be a list, but is {json.dumps(value)}")
    (form,) = objects(schema["items"]["anyOf"])
    taken = []
    for at, one in enumerate(value):
        if not isinstance(one, dict):
            length, share = divided(one, path, "LENGTH=SHARE")
            if not length.isdecimal():
                raise wrong(path, f"must be a list of LENGTH=SHARE, the part a number, but is {json.dumps(one)}")
            one = {"length": int(length), "share": share}
        taken.append(an_object(form, one, f"{path}.{at}"))
    return taken


FORMS = {
    "shares": to_shares,
    "lengths": to_lengths,
    "bytes": to_bytes,
    "share": to_share,
    "local": to_local,
    "list": lambda value, *_: [value] if isinstance(value, str) else value,
    "names": lambda value, *_: [name for one in value for name in (KNOWN["skipped"] if one == "standard" else [one])] if isinstance(value, list) else value,
    "escaped": lambda value, *_: value.replace("\\n", "\n").replace("\\t", "\t") if isinstance(value, str) else value,
}


if __name__ == "__main__":
    # Each file given, as a line of JSON: its options, or the error.
    for file in sys.argv[1:]:
        try:
            print(json.dumps(resolve(read_config(file))))
        except Failure as failure:
            print(json.dumps({"code": failure.code, "message": str(failure), "details": failure.details}))
