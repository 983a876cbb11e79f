"""Rules (requirements of the RFCs) for application messages, one module per protocol, and their checks on captures."""
