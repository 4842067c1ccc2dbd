"""The Concordium adapter: the gateway's promises kept over a node's gRPC API (v2). Knows no ORM, no settings and
nothing of the devnet."""
