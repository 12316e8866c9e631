# The second verifier of kesu's bundles, written from docs/spec alone; scripts/verify_certificate.py runs it.
