"""Gates at the boundaries and proofs of what passed them."""
