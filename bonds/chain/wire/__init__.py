"""What travels between the product and a node: node.proto and the modules generated from it. Holds no logic of either
side.

The generated modules are `node_pb2` (messages, with stubs in node_pb2.pyi) and `node_pb2_grpc` (client stub and
servicer base). They are committed and never edited by hand: change node.proto and run `python -m
bonds.chain.wire.generate`.
"""
