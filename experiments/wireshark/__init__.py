"""Export of an experiment run to Wireshark (`lab7 wireshark`): captures with frame comments, and a configuration."""
