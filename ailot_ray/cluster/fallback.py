"""Spot nodes with on-demand nodes to fall back on, in Ray's own place for it: `RAY_AUTOSCALER_UTILIZATION_SCORER`.

Ray's autoscaler (version 1) notes which node types the cloud refused during the last 30 minutes, shows them in `ray status`,
and asks for the same type again all the same, because its scorer only looks at resources. The scorer below is Ray's with that
note in front. It runs in the autoscaler's process on the head node; `cluster.yaml` names it.
"""

from numbers import Real
from typing import Any

# the scorer is a plug-in of Ray whose types and whose usual order have no public names
from ray.autoscaler._private.node_provider_availability_tracker import NodeAvailabilitySummary
from ray.autoscaler._private.resource_demand_scheduler import _default_utilization_scorer


def score(
    node_resources: dict[str, Real],
    resources: list[dict[str, Real]],
    node_type: str,
    *,
    node_availability_summary: NodeAvailabilitySummary,
) -> tuple[Any, ...] | None:
    """How good it is to launch a `node_type` for the requests `resources`; the highest is launched, None where nothing fits.

    Types that were refused lately come after all others, in Ray's order among themselves. Of equal types Ray takes the one
    whose name comes last in the alphabet: `gpu.spot` before `gpu.on-demand`.
    """
    usual = _default_utilization_scorer(
        node_resources, resources, node_type, node_availability_summary=node_availability_summary
    )
    if usual is None:
        return None
    record = node_availability_summary.node_availabilities.get(node_type)
    return (record is None or record.is_available, *usual)
