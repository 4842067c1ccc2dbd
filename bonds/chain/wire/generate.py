"""Regenerates node_pb2.py, node_pb2.pyi and node_pb2_grpc.py from node.proto: `python -m bonds.chain.wire.generate`.

Needs grpcio-tools (requirements-dev.txt). Run it after editing node.proto and commit what it writes; the generated files
are never edited by hand. The protobuf runtime in requirements.txt must be at least as new as the generator.
"""

from pathlib import Path

PROTO = "bonds/chain/wire/node.proto"
REPOSITORY = Path(__file__).resolve().parents[3]
OUTPUTS = ("node_pb2.py", "node_pb2.pyi", "node_pb2_grpc.py")
# Nobody reformats or type-checks what the compiler wrote.
HEADER = "# ruff: noqa\n# fmt: off\n# mypy: ignore-errors\n"


def generate(out: Path) -> None:
    """Writes the three modules under `out`/bonds/chain/wire. RuntimeError when the compiler refuses node.proto.

    The compiler is given the path from the repository's root, so that the import it writes into node_pb2_grpc.py is
    `from bonds.chain.wire import node_pb2` and needs no mending.
    """
    from grpc_tools import protoc  # type: ignore[import-untyped]

    arguments = ["protoc", f"--proto_path={REPOSITORY}"]
    arguments += [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main([*arguments, PROTO]) != 0:
        raise RuntimeError(f"protoc refused {PROTO}")
    for name in OUTPUTS:
        written = (out / PROTO).with_name(name)
        written.write_text(HEADER + written.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    generate(REPOSITORY)
