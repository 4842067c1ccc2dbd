"""The generated wire modules are what node.proto says; nobody edited one by hand or forgot to regenerate."""

from pathlib import Path

from bonds.chain.wire import generate


def test_the_committed_modules_are_those_that_node_proto_generates(tmp_path):
    generate.generate(tmp_path)
    committed = Path(generate.__file__).parent
    for name in generate.OUTPUTS:
        assert (tmp_path / generate.PROTO).with_name(name).read_text() == (committed / name).read_text(), name
