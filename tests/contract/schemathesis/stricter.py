"""The contract, where the sandbox is stricter than it: see ../DEVIATIONS.md.

Narrowing the contract instead of excusing answers has a second use: schemathesis now also checks that what was
taken out is refused.
"""

import json
import pathlib

import schemathesis

SECTIONS = pathlib.Path(__file__).parent.parent / "sections"
READ_ONLY = {"apns": ["teamId", "authKeyId", "filename"], "fcm": ["filename"]}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    schemas = raw_schema["components"]["schemas"]

    # 1. Unknown fields are refused.
    bodies = ["AppWrite", "KeysetUpdateRequest", "KeysetCreateRequest", "KeysetConfigPatch", "ApnsUpload", "FcmUpload"]
    for name in bodies + ["RotateSecretKeyRequest", "UpdateSecretKeyExpiryRequest"]:
        schemas[name]["additionalProperties"] = False
    schemas["KeysetCreateRequest"]["properties"]["keyset"]["additionalProperties"] = False

    sections = schemas["KeysetConfigPatch"]["properties"]
    for section in sections.values():
        section["additionalProperties"] = False

    # 2. What describes an upload is set by the upload only.
    for section, fields in READ_ONLY.items():
        for field in fields:
            del sections[section]["properties"][field]

    # 3. Sections that keyform's table does not have yet.
    known = {json.loads(path.read_text())["section"] for path in SECTIONS.glob("*.json")}
    for section in set(sections) - known:
        del sections[section]
