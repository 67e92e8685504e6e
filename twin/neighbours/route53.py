"""Amazon Route 53: hosted zones and their record sets. No name is resolved.

Source: Route 53 API (ListHostedZones, ListResourceRecordSets, sorted by reversed labels, ChangeResourceRecordSets,
CreateHostedZone); Route 53 developer guide, "DNS domain name format". A zone's NS and SOA records come with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import only

ZONES_PER_PAGE = 100
RECORDS_PER_PAGE = 300
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MEMBERS = {"Name", "Type", "TTL", "ResourceRecords", "AliasTarget", "SetIdentifier", "Weight"}
Key = tuple[tuple[str, ...], str, str]


@dataclass
class HostedZone:
    """A hosted zone; its record sets by (reversed labels, type, set identifier)."""

    zone_id: str
    name: str
    reference: str
    private: bool
    records: dict[Key, dict[str, Any]] = field(default_factory=dict)


class Route53(Api):
    """The API's operations on hosted zones and record sets.

    Attributes:
        zones: by id, without `/hostedzone/`.
    """

    service = "route53"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.zones: dict[str, HostedZone] = {}
        self._ids: Random = kernel.rng("route53/ids")

    def _id(self, prefix: str) -> str:
        return prefix + "".join(self._ids.choice(_LETTERS) for _ in range(20))

    # --- zones -------------------------------------------------------------------------------------------------------
    @operation("CreateHostedZone", ("Name", "CallerReference", "HostedZoneConfig"))
    def create_hosted_zone(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if any(one.reference == params["CallerReference"] for one in self.zones.values()):
            raise AwsError(
                "HostedZoneAlreadyExists",
                f"A hosted zone has already been created with the specified caller reference: "
                f"{params['CallerReference']}.",
                409,
            )
        config = params.get("HostedZoneConfig", {})
        only(config, {"Comment", "PrivateZone"}, "route53: HostedZoneConfig")
        if config.get("PrivateZone"):
            raise Unmodelled("route53: private hosted zones are not modelled")
        zone = HostedZone(self._id("Z"), _absolute(params["Name"]), params["CallerReference"], False)
        servers = [
            f"ns-{number}.awsdns-{number:02d}.{end}." for number, end in enumerate(("org", "com", "net", "co.uk"))
        ]
        self._put(zone, {"Name": zone.name, "Type": "NS", "TTL": 172_800, "ResourceRecords": _values(servers)})
        soa = f"{servers[0]} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        self._put(zone, {"Name": zone.name, "Type": "SOA", "TTL": 900, "ResourceRecords": _values([soa])})
        self.zones[zone.zone_id] = zone
        return {
            "HostedZone": _zone_view(zone),
            "ChangeInfo": self._change(),
            "DelegationSet": {"NameServers": [server.removesuffix(".") for server in servers]},
            "Location": f"https://route53.amazonaws.com/2013-04-01/hostedzone/{zone.zone_id}",
        }

    @operation("ListHostedZones", ("Marker", "MaxItems"))
    def list_hosted_zones(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 100 a page; the marker is the id of the first zone of the next one."""
        most = _most(params, ZONES_PER_PAGE)
        ids = list(self.zones)
        first = 0
        if params.get("Marker"):
            marker = params["Marker"].rpartition("/")[2]
            if marker not in self.zones:
                raise AwsError("InvalidInput", f"The marker {params['Marker']} names no hosted zone.")
            first = ids.index(marker)
        shown, rest = ids[first : first + most], ids[first + most :]
        answer: dict[str, Any] = {
            "HostedZones": [_zone_view(self.zones[zone_id]) for zone_id in shown],
            "IsTruncated": bool(rest),
            "MaxItems": str(most),
        }
        if params.get("Marker"):
            answer["Marker"] = params["Marker"]
        return answer | ({"NextMarker": rest[0]} if rest else {})

    # --- record sets -------------------------------------------------------------------------------------------------
    @operation(
        "ListResourceRecordSets",
        ("HostedZoneId", "StartRecordName", "StartRecordType", "StartRecordIdentifier", "MaxItems"),
    )
    def list_resource_record_sets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """At most 300 a page, from the record that the request names on; the answer names the next page's first."""
        zone, most = self._zone(params["HostedZoneId"]), _most(params, RECORDS_PER_PAGE)
        if "StartRecordType" in params and "StartRecordName" not in params:
            raise AwsError("InvalidInput", "StartRecordType must not be specified without StartRecordName.")
        start: Key = (
            _labels(params.get("StartRecordName", "")),
            params.get("StartRecordType", ""),
            params.get("StartRecordIdentifier", ""),
        )
        keys = [key for key in sorted(zone.records) if key >= start]
        shown, rest = keys[:most], keys[most:]
        answer: dict[str, Any] = {
            "ResourceRecordSets": [deepcopy(zone.records[key]) for key in shown],
            "IsTruncated": bool(rest),
            "MaxItems": str(most),
        }
        if rest:
            following = zone.records[rest[0]]
            answer |= {"NextRecordName": following["Name"], "NextRecordType": following["Type"]}
            if "SetIdentifier" in following:
                answer["NextRecordIdentifier"] = following["SetIdentifier"]
        return answer

    @operation("ChangeResourceRecordSets", ("HostedZoneId", "ChangeBatch"))
    def change_resource_record_sets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """All changes or none. In force at once."""
        zone = self._zone(params["HostedZoneId"])
        records = dict(zone.records)
        for change in params["ChangeBatch"]["Changes"]:
            record = _normal(change["ResourceRecordSet"])
            key = _key(record)
            if not record["Name"].endswith(zone.name):
                raise _bad(f"RRSet with DNS name {record['Name']} is not permitted in zone {zone.name}")
            if change["Action"] == "CREATE" and key in records:
                raise _bad(f"Tried to create resource record set {record['Name']} but it already exists")
            if change["Action"] == "DELETE":
                if records.get(key) != record:
                    raise _bad(f"Tried to delete resource record set {record['Name']} but it was not found")
                if record["Type"] in ("NS", "SOA") and record["Name"] == zone.name:
                    raise _bad(f"A HostedZone must contain at least one {record['Type']} record for the zone itself.")
                del records[key]
            else:
                records[key] = record
        zone.records = records
        return {"ChangeInfo": self._change()}

    def _put(self, zone: HostedZone, record: dict[str, Any]) -> None:
        zone.records[_key(record)] = record

    def _zone(self, zone_id: str) -> HostedZone:
        found = self.zones.get(zone_id.rpartition("/")[2])
        if found is None:
            raise AwsError("NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}", 404)
        return found

    def _change(self) -> dict[str, Any]:
        return {"Id": f"/change/{self._id('C')}", "Status": "INSYNC", "SubmittedAt": self.kernel.clock.now()}


def _zone_view(zone: HostedZone) -> dict[str, Any]:
    return {
        "Id": f"/hostedzone/{zone.zone_id}",
        "Name": zone.name,
        "CallerReference": zone.reference,
        "Config": {"PrivateZone": zone.private},
        "ResourceRecordSetCount": len(zone.records),
    }


def _most(params: Mapping[str, Any], limit: int) -> int:
    """MaxItems; a greater one counts as the limit."""
    most = int(params.get("MaxItems", limit))
    if most < 1:
        raise AwsError("InvalidInput", f"MaxItems must be at least 1, not {most}.")
    return min(most, limit)


def _absolute(name: str) -> str:
    lower = name.lower()
    return lower if lower.endswith(".") else f"{lower}."


def _labels(name: str) -> tuple[str, ...]:
    """The labels from the last to the first: in this order Route 53 sorts names."""
    return tuple(reversed(_absolute(name).removesuffix(".").split("."))) if name else ()


def _key(record: Mapping[str, Any]) -> Key:
    return _labels(record["Name"]), record["Type"], record.get("SetIdentifier", "")


def _normal(given: Mapping[str, Any]) -> dict[str, Any]:
    """A record set as Route 53 keeps it: names in lower case and absolute."""
    only(given, _MEMBERS, "route53: ResourceRecordSet")
    record = deepcopy(dict(given))
    record["Name"] = _absolute(record["Name"])
    if ("AliasTarget" in record) == ("ResourceRecords" in record):
        raise _bad("Exactly one of AliasTarget and ResourceRecords must be specified")
    if "AliasTarget" in record:
        record["AliasTarget"]["DNSName"] = _absolute(record["AliasTarget"]["DNSName"])
    elif "TTL" not in record:
        raise _bad(f"Missing field 'TTL' in {record['Name']}")
    return record


def _values(values: list[str]) -> list[dict[str, str]]:
    return [{"Value": value} for value in values]


def _bad(text: str) -> AwsError:
    return AwsError("InvalidChangeBatch", f"[{text}]")
