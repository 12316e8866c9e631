# Scans for what survives of the plaintext (docs/spec/fingerprints.md, "Scan"; docs/spec/certificate.md, `residue-scanned`).
from .base import is_kind

_NUMBERS = ("objects", "superseded", "without", "common", "whole", "files", "bytes", "unreadable", "hits")


def _form(record):
    return (record.get("format") == "kesu-residue-scan-v1"
            and all(is_kind(record.get(n), "number") and record[n] >= 0 for n in _NUMBERS)
            and is_kind(record.get("stored", 0), "number") and record.get("stored", 0) >= 0
            and isinstance(record.get("places"), list) and record["places"] and is_kind(record.get("process"), "text"))


def scan_of(facts, dataset):
    """(entry, record) of the dataset's last scan, where that knew all its objects, saw all of its places and found nothing;
    else None."""
    ledger, first = facts.ledger, facts.first_intended()
    scans = ledger.about(dataset, "residue-scanned")
    if not scans or first is None or scans[-1].seq > first.seq:
        return None
    header = scans[-1]
    item = next(i for i in header.nodes if i["id"] == dataset)
    body = facts.body(header)
    if body is None or not item.get("d") or body.get("document") != item["d"]:
        return None
    record = facts.evidence_json(item["d"], f"entry {header.seq} (residue-scanned) names it")
    if record is None or not _form(record):
        return None
    done = [h.seq for b in facts.sealed(dataset) for h in ledger.about(b.id, "seal-done")]
    if any(seq > header.seq for seq in done):
        return None
    process = record["process"]
    good = (record.get("vault") == facts.plan.get("vault") and record.get("dataset") == dataset
            and any(i["id"] == process for i in header.nodes)
            and record["hits"] == 0 == item.get("n") and record["bytes"] == item.get("b")
            and record["without"] == 0 == record["unreadable"]
            and record["objects"] + record["superseded"] == facts.objects(dataset)
            and record["whole"] <= record["objects"] and record.get("stored", 0) <= record["objects"] and record["files"] > 0 and record["bytes"] > 0)
    began = any(h.seq < header.seq and [process, dataset] in [list(e) for e in h.edges]
                for h in ledger.about(process, "process-started"))
    ended = any(header.seq < h.seq < first.seq for h in ledger.about(process, "process-ended"))
    return (header, record) if good and began and ended else None
