"""DNSSEC without I/O: signatures, keys, zone signing, denial of existence, trust anchors (RFC 4033-4035, 5155, 6840).

    module           does
    --------------   ------------------------------------------------------------------------
    algorithms       signature algorithms and digests: sign, verify (RFC 8624)
    keys             key tags, DS records, private keys and their files
    canonical        canonical form of an RRset, the octets that a signature covers (RFC 4034)
    signature        RRSIG records: creation and verification
    signer           signing of a whole zone, with NSEC or NSEC3 records
    nsec, nsec3      denial of existence: proofs by NSEC and NSEC3 records
    denial_cache     negative answers synthesized from validated NSEC and NSEC3 records (RFC 8198)
    secured          RRsets together with their signatures, as the resolver's caches hold them
    trust            trust anchors, and the zones whose keys were verified
    extended_error   extended DNS errors: the reason for which an answer failed (RFC 8914)

`algorithms` and `keys` import the library `cryptography` when a key is used, so that a server of signed zones works
without the library. The resolver's part that follows the chain of trust is recursion.validation, the server's part
zones.denial.
"""
