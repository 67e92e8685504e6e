"""AWS WAF."""

from __future__ import annotations

from caretaker.aws import rates
from caretaker.aws.listing import Listing

# The answer is empty for a resource that no web ACL protects.
GET_WEB_ACL_FOR_RESOURCE = Listing(
    "wafv2:GetWebACLForResource", "wafv2", "get_web_acl_for_resource", ("WebACL",), rates.WAF
)
