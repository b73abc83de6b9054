"""A cloud without spot capacity: Ray's fake provider, refusing as EC2 refuses. Loaded by the autoscaler's process."""

from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE


class RefusesSpot(FakeMultiNodeProvider):
    def create_node_with_resources_and_labels(self, node_config: Any, tags: Any, *rest: Any) -> None:
        if tags[TAG_RAY_USER_NODE_TYPE] == "gpu.spot":
            raise NodeLaunchException("InsufficientInstanceCapacity", "there is no spot capacity", None)
        super().create_node_with_resources_and_labels(node_config, tags, *rest)  # type: ignore[no-untyped-call]
