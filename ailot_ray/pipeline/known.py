"""What is known of datasets without opening them: a plan of ten thousand trials reads each file once, ever.

<store>/.data/<digest>.json     a dataset's SHA-256, its number of trajectories and its experts' digests, by the state of its
                                files, the task, the choice of the expert, and the code that reads data
"""

import contextlib
import functools
import hashlib
from collections.abc import Hashable
from pathlib import Path

import ailot_ray.data
from ailot_ray.config import Config
from ailot_ray.data import find_dataset
from ailot_ray.errors import StoreError
from ailot_ray.files import file_state, sha256_of
from ailot_ray.methods import get_method
from ailot_ray.pipeline.experiment import Experiment, facts_with
from ailot_ray.records import DataFacts, read_record
from ailot_ray.runtime import choose_device
from ailot_ray.stages import Facts
from ailot_ray.store import SHORT, Store, write_json
from ailot_ray.tasks import get_task


class KnownData:
    """The facts of configurations, for one command: what it has looked at is not looked at again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seen: dict[Hashable, DataFacts] = {}
        self._devices: set[str] = set()

    def facts(self, config: Config) -> Facts:
        """The facts of a resolved configuration. Raises what `Experiment.open` raises, where the data were not read before."""
        if config.device not in self._devices:
            choose_device(config.device)
            self._devices.add(config.device)
        return facts_with(config, get_task(config.task), self.data(config))

    def data(self, config: Config) -> DataFacts:
        """What keys hold of a resolved configuration's data."""
        expert = (config.expert, config.experts, config.expert_quantile) if get_method(config.method).aligned else ()
        asked = (config.task, config.data, config.data_dir, config.data_from, expert)
        if asked not in self._seen:
            self._seen[asked] = self._kept(config, expert)
        return self._seen[asked]

    def _kept(self, config: Config, expert: tuple[object, ...]) -> DataFacts:
        place = find_dataset(config)
        if place.path is None:  # Minari's, whose files are many
            return Experiment.open(config, self.store).data_facts
        states = [place.source, file_state(place.path), config.expert and file_state(config.expert)]
        about = repr([states, place.substituted, get_task(config.task), expert, _readers()])
        path = self.store.root / ".data" / f"{hashlib.sha256(about.encode()).hexdigest()[: 2 * SHORT]}.json"
        try:
            return read_record(path, DataFacts)
        except StoreError:  # not there yet, or of another shape
            found = Experiment.open(config, self.store).data_facts
            with contextlib.suppress(OSError, StoreError):  # a store that is full, or may only be read, keeps nothing
                write_json(path, found)
            return found


@functools.cache
def _readers() -> list[str]:
    """Digests of the code that reads data: what it made of a file before a change holds no more."""
    return [sha256_of(path) for path in sorted(Path(ailot_ray.data.__file__).parent.glob("*.py"))]
