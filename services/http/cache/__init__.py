"""A shared HTTP cache's decisions, with no I/O and no clock (RFC 9111, with 5861, 8246, 9211 and 9213).

deciding.decide says what becomes of a request, receiving.receive what becomes of the response that a forwarded one
brought, receiving.failed what may be sent when none came. stored.StoredResponse is what a store keeps.
"""
