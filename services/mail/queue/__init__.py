"""The queue of an MTA: messages on the disk from before the 250 until every recipient is settled."""
