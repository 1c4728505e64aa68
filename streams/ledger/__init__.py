"""The ledger: Merkle trees of leaves, written in blocks, signed in checkpoints. docs/ledger.md has every format."""
