#!/usr/bin/python3
# Verifies a bundle without kesu: an independent reader of docs/spec/certificate.md for Debian's python3 and
# python3-cryptography. Usage and exit codes are those of `kesu verify`.
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
try:
    from kesu_verifier import notices, verify
    from kesu_verifier import trust as trust_file
    from kesu_verifier.base import Bad, Usage
except ImportError as missing:
    sys.exit(f"verify_certificate: {missing}; it needs python3-cryptography, and kesu_verifier/ beside it")


def options(arguments):
    p = argparse.ArgumentParser(prog="verify_certificate.py", description="Verifies a bundle of kesu. Exit 0 complete, 6 "
                                "forged, altered or inconsistent, 7 genuine but not complete, 2 usage.")
    p.add_argument("bundle", metavar="BUNDLE", help="the bundle: a directory, or the zip file; or the directory of a notice")
    p.add_argument("--trust", metavar="FILE", help="whom the reader trusts (docs/spec/certificate.md)")
    p.add_argument("--require", choices=("low", "standard", "high"), default="high", help="the reader's bar")
    p.add_argument("--allow-test-grade", action="store_true", help="accept providers without a validation certificate")
    p.add_argument("--object", metavar="FILE", action="append", default=[], help="a sealed object that must be covered")
    p.add_argument("--ledger", metavar="EXTRACT", help="a newer extract of the ledger, or a later bundle: was it withdrawn, or superseded, since?")
    p.add_argument("--tables", metavar="DIR", help="where claims.json, profiles.json, providers.json, policy.jsonl lie")
    p.add_argument("--json", action="store_true", help="the report as JSON")
    return p.parse_args(arguments)


def printable(text):
    return "".join(c if c.isprintable() else "?" for c in text)


def show(report):
    lines = [f"certificate {report['certificate']} of {report['organisation']}, as of entry {report['as_of']}"]
    for claim in report["claims"]:
        short = "  " if claim["level"] == claim["least"] else " "
        lines.append(f"{short}{claim['id']:22}{claim['level']:10}{claim['detail']}")
    for name, title in (("premises", "premise"), ("limits", "limit")):
        lines += [f"  {title}: {item['en']}" for item in report[name]]
    lines += [f"  exception: {e['what']} {e['detail']} until {e['until']}: {e['reason']}" for e in report["exceptions"]]
    lines += [f"  object {o['path']}: {o['result']} {o['why'] or o['dataset']}" for o in report["objects"]]
    lines += [f"  short: {text}" for text in report["shortfalls"]]
    lines += [f"  error: {e['part']}: {e['what']}" for e in report["errors"]]
    lines.append(f"{report['verdict'].upper()} for profile {report['required_profile']}"
                 + (", TEST GRADE" if report["test_grade"] else "")
                 + f"; {'WITHDRAWN' if report['withdrawn'] else 'not withdrawn'} as of entry {report['as_of']}")
    return "\n".join(map(printable, lines))


def put(report, text, as_json):
    said = json.dumps(report, ensure_ascii=False, sort_keys=True) if as_json else text
    sys.stdout.buffer.write(said.encode("utf-8", "replace") + b"\n")


def main(arguments):
    chosen = options(arguments)
    try:
        tables = trust_file.Tables(chosen.tables)
        trust = trust_file.read_trust(chosen.trust) if chosen.trust else trust_file.Trust()
        if chosen.ledger and not os.path.exists(chosen.ledger):
            raise Usage(f"{chosen.ledger} is not there")
        if not os.path.isdir(chosen.bundle) and not os.path.isfile(chosen.bundle):
            raise Usage(f"{chosen.bundle} is neither a directory nor a file")
    except Usage as error:
        print(f"verify_certificate: {printable(str(error))}", file=sys.stderr)
        return 2
    if notices.is_notice(chosen.bundle):
        try:
            extract = verify.open_files(chosen.ledger) if chosen.ledger else None
        except Bad as error:
            print(f"verify_certificate: {chosen.ledger}: {printable(str(error))}", file=sys.stderr)
            return 2
        report = notices.verify(chosen.bundle, trust, extract)
        put(report, "\n".join(map(printable, notices.show(report))), chosen.json)
        return notices.EXITS[report["verdict"]]
    report = verify.verify(chosen.bundle, trust, tables, require=chosen.require,
                           allow_test_grade=chosen.allow_test_grade, objects=chosen.object, extract=chosen.ledger)
    put(report, show(report), chosen.json)
    return verify.EXITS[report["verdict"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
