"""An entry of the queue as people and programs read it."""

from services.mail.queue.entry import Entry


def described(entry: Entry) -> dict[str, object]:
    """Return what there is to say of an entry: its envelope, and of each open recipient the last reply."""
    return {
        "id": entry.id,
        "accepted_s": round(entry.accepted_s, 3),
        "from": "" if entry.reverse_path is None else str(entry.reverse_path),
        "to": [str(entry.recipients[at].mailbox) for at in entry.open_recipients],
        "last": [str(entry.recipients[at].last or "") for at in entry.open_recipients],
        "size_octets": entry.size_octets,
        "tries": entry.tries,
        "next_s": round(entry.next_s, 3),
    }
