"""What fuzzing begins with: small inputs of every kind, made here or by the tests' own scripts."""

import base64
import gzip
import json
import struct
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "tests/fixtures/preprocess"
FORMATS = {".bmp", ".gif", ".jpg", ".png", ".tiff", ".webp"}
BOUNDARY = b"line"
LARGEST = 4096  # bytes; what is larger is cut off by libFuzzer's -max_len
NO_HEAD = 0xFFFF  # of `v2_binary`: the whole body is JSON


def seeds(target: str) -> dict[str, bytes]:
    """The inputs of a target by their names."""
    makers = {"upload": uploads, "decode": pictures, "model_toml": manifests,
              "safetensors": weights, "onnx": graphs, "v2_binary": inferences}
    return {name: data for name, data in makers[target]().items() if len(data) <= LARGEST}


def write(target: str, folder: Path) -> int:
    """Adds the inputs of a target to a folder, and returns how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    found = seeds(target)
    for name, data in found.items():
        (folder / f"seed-{name}").write_bytes(data)
    return len(found)


def pictures() -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted(PICTURES.iterdir()) if path.suffix in FORMATS}
    return {**found, "tiny.png": png(1, 1), "flat.png": png(8, 3), "giant.png": png(60_000, 60_000, rows=0)}


def png(width: int, height: int, rows: int | None = None) -> bytes:
    """Gray pixels in rising order, or fewer rows than are declared."""
    rows = height if rows is None else rows
    pixels = b"".join(b"\0" + bytes((x * 16 + y) % 251 for x in range(width)) for y in range(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels, 9))
            + chunk(b"IEND", b""))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def uploads() -> dict[str, bytes]:
    """The first byte is the form: raw, multipart, JSON, gzip, deflate, JSON in gzip."""
    small = png(4, 4)
    found = {f"raw-{name}": b"\0" + data for name, data in pictures().items()}
    found |= {f"multipart-{name}": b"\1" + multipart(data) for name, data in pictures().items()}
    documents = {
        "one": {"image": text(small)}, "two": {"images": [text(small), text(png(1, 1))], "top_k": 3},
        "gif": {"image": text((PICTURES / "palette.gif").read_bytes())},
        "jpeg": {"image": text((PICTURES / "gray.jpg").read_bytes()), "top_k": 1},
        "no-base64": {"images": ["***"]}, "both": {"image": "", "images": []}, "unknown": {"picture": ""},
    }
    for name, document in documents.items():
        body = json.dumps(document).encode()
        found |= {f"json-{name}": b"\2" + body, f"json-gzip-{name}": b"\5" + gzip.compress(body, mtime=0)}
    many = b'{"images":[' + b",".join([b'""'] * 300_000) + b"]}"
    found["json-gzip-many"] = b"\5" + gzip.compress(many, mtime=0)
    found["multipart-two"] = b"\1" + multipart(small, png(2, 2))
    found["gzip"] = b"\3" + gzip.compress(small, mtime=0)
    found["gzip-bomb"] = b"\3" + gzip.compress(bytes(2 << 20), mtime=0)
    found["deflate"] = b"\4" + zlib.compress(small)
    return found


def multipart(*files: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: image/png\r\n\r\n'
    parts = b"".join(b"--" + BOUNDARY + b"\r\n" + head + file + b"\r\n" for file in files)
    return parts + b"--" + BOUNDARY + b"--\r\n"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def manifests() -> dict[str, bytes]:
    found = {path.parent.name: path.read_bytes() for path in sorted(ROOT.glob("models/*/model.toml"))}
    one = next(iter(found.values()))
    build = b'[weights.build]\nnetwork = "resnet18"\nseed = 7\n\n[input]'
    return {**found, "build": one.replace(b"[input]", build), "bytes": one.replace(b'"float32"', b'"uint8"'),
            "empty": b"\n"}


def weights() -> dict[str, bytes]:
    kinds = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}
    found = {kind: safetensors({"fc.bias": (kind, [10], bytes(10 * size))}) for kind, size in kinds.items()}
    several = {"conv1.weight": ("F32", [2, 3, 3, 3], bytes(216)), "bn1.num_batches_tracked": ("I64", [], bytes(8)),
               "fc.weight": ("F16", [2, 4], bytes(16))}
    return {**found, "several": safetensors(several), "none": safetensors({}), "short": bytes(7)}


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, shape, values) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    words = json.dumps(header).encode()
    return struct.pack("<Q", len(words)) + words + data


def inferences() -> dict[str, bytes]:
    """Two bytes with the length of the JSON, the JSON, and what stands behind it."""
    pair = [png(4, 4), png(2, 1)]
    floats = struct.pack("<48f", *range(48))
    network = {"name": "input", "datatype": "FP32", "shape": [1, 3, 4, 4]}
    framed = b"".join(struct.pack("<I", len(picture)) + picture for picture in pair)
    image = {"name": "image", "datatype": "BYTES", "shape": [2]}
    classes = [{"name": "probabilities", "parameters": {"classification": 2, "binary_data": False}}]
    numbers = {**network, "data": list(range(48))}
    nested = {**network, "data": [[[[n] * 4] * 4 for n in (0.5, 1, -2e3)]]}
    return {
        "binary-floats": inference([sized(network, floats)], floats, {"binary_data_output": True}),
        "binary-pictures": inference([sized(image, framed)], framed, {"timeout": 5_000_000}),
        "classes": inference([sized(image, framed)], framed, outputs=classes),
        "short": inference([sized(network, floats)], floats[:-3]),
        "numbers": inference([numbers]), "nested": inference([nested]),
        "base64": inference([{**image, "data": [text(picture) for picture in pair]}]),
        "objects": inference([{**image, "shape": [1], "data": [{"b64": text(pair[0])}]}]),
        "one-picture": b"\0\0" + pair[0],
    }


def sized(tensor: dict, data: bytes) -> dict:
    return {**tensor, "parameters": {"binary_data_size": len(data)}}


def inference(inputs: list, binary: bytes = b"", parameters: dict | None = None, outputs: list | None = None) -> bytes:
    document = {"id": "a", "inputs": inputs, "parameters": parameters or {}}
    words = json.dumps(document | ({"outputs": outputs} if outputs else {})).encode()
    return struct.pack("<H", len(words) if binary else NO_HEAD) + words + binary


def graphs() -> dict[str, bytes]:
    """A small network as exporters write it, and a graph for each operator that has a rule of its own."""
    pair, four = [1, 1], [2, 0, 2, 0]
    nodes = {
        "Conv": (["x", "w"], {"pads": [1] * 4, "strides": [2, 2], "dilations": pair}),
        "MaxPool": (["x"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1, "auto_pad": b"SAME_UPPER"}),
        "GlobalAveragePool": (["x"], {}), "Flatten": (["x"], {"axis": 1}), "Gemm": (["m", "m"], {"transB": 1}),
        "MatMul": (["m", "m"], {}), "Transpose": (["x"], {"perm": [0, 2, 3, 1]}), "Shape": (["x"], {}),
        "Concat": (["x", "x"], {"axis": 1}), "Gather": (["x", "i"], {"axis": 1}), "Slice": (["x", "i", "e"], {}),
        "Pad": (["x"], {"pads": four * 2}), "ReduceMean": (["x"], {"axes": [-1, -2], "keepdims": 0}),
        "Reshape": (["x", "i"], {}), "Resize": (["x", "", "s"], {}), "Squeeze": (["x"], {"axes": [0]}),
        "Unsqueeze": (["x"], {"axes": [0, 2]}), "BatchNormalization": (["x", "f", "f", "f", "f"], {}),
        "Add": (["x", "f"], {}), "Softmax": (["x"], {}), "Unknown": (["x"], {}),
    }
    found = {name: graph([node(name, inputs, "y", given)]) for name, (inputs, given) in nodes.items()}
    chain = [node("Conv", ["x", "w"], "c"), node("Relu", ["c"], "r"), node("Shape", ["r"], "h"),
             node("Gather", ["h", "i"], "n"), node("Concat", ["n", "e"], "t", {"axis": 0}),
             node("Reshape", ["r", "t"], "f"), node("MatMul", ["f", "m"], "y")]
    return {**found, "chain": graph(chain), "no-graph": field(1, 8)}


def graph(nodes: list[bytes]) -> bytes:
    constants = [tensor("w", [2, 3, 3, 3], 1, bytes(216)), tensor("m", [2, 2], 1, bytes(16)),
                 tensor("f", [3, 1, 1], 1, bytes(12)), tensor("s", [4], 1, struct.pack("<4f", 1, 1, 2, 2)),
                 tensor("i", [2], 7, struct.pack("<2q", 0, -1)), tensor("e", [1], 7, struct.pack("<q", 2))]
    parts = [field(1, part) for part in nodes] + [field(5, part) for part in constants]
    body = b"".join(parts) + field(11, value("x", ["n", 3, 8, 8])) + field(12, value("y", []))
    remark = field(1, b"normalized_channels") + field(2, b"4")
    return field(1, 8) + field(2, b"seeds") + field(7, body) + field(8, field(2, 17)) + field(14, remark)


def node(operator: str, inputs: list[str], output: str, attributes: dict | None = None) -> bytes:
    names = b"".join(field(1, name.encode()) for name in inputs) + field(2, output.encode())
    given = b"".join(field(5, attribute(name, value)) for name, value in (attributes or {}).items())
    return names + field(4, operator.encode()) + given


def attribute(name: str, value: int | bytes | list[int]) -> bytes:
    kinds = {int: (3, 2), bytes: (4, 3)}
    if isinstance(value, list):
        body = b"".join(field(8, entry) for entry in value) + field(20, 7)
    else:
        number, kind = kinds[type(value)]
        body = field(number, value) + field(20, kind)
    return field(1, name.encode()) + body


def tensor(name: str, dimensions: list[int], kind: int, raw: bytes) -> bytes:
    return b"".join(field(1, side) for side in dimensions) + field(2, kind) + field(8, name.encode()) + field(9, raw)


def value(name: str, dimensions: list[int | str]) -> bytes:
    sides = [field(1, side) if isinstance(side, int) else field(2, side.encode()) for side in dimensions]
    shape = b"".join(field(1, side) for side in sides)
    return field(1, name.encode()) + field(2, field(1, field(1, 1) + field(2, shape)))


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protobuf message: an integer, or bytes behind their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % (1 << 64))
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
