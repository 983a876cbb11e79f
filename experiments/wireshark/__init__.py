"""Export of a run to Wireshark (`lab7 wireshark`): annotated captures and a configuration."""
