"""Where a sweep can be watched: Tune's TensorBoard files always, Weights & Biases where asked for. No account is needed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial

from ailot_ray.cluster.planning import trial_digest
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.errors import ConfigError

Wandb = Literal["online", "offline"]
PROJECT = "ailot_ray"
NAME_BYTES = 119
"""Of a trial's name before its digest: Weights & Biases takes 128 in all."""


def trial_name(sweep: Sweep, settings: dict[str, Any]) -> str:
    """``reward.tau=0.5,transport.k=2-<digest>``: a folder, a TensorBoard run, a name in Weights & Biases."""
    text = settings_text(settings) or sweep.base.method
    return f"{_short(text.replace('/', '_'), NAME_BYTES)}-{trial_digest(sweep, settings)[:8]}"


def _short(text: str, size: int) -> str:
    """The first `size` bytes of `text`, whole letters."""
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def settings_text(settings: Mapping[str, Any]) -> str:
    """``reward.tau=0.5,transport.k=2``, numbers to four digits."""
    texts = {path: f"{value:.4g}" if isinstance(value, float) else str(value) for path, value in settings.items()}
    return ",".join(f"{path}={text}" for path, text in texts.items())


class WandbTrials(WandbLoggerCallback):
    """A run for each trial: group = sweep, job type = the configuration, id = its digest, so that a second run continues it."""

    def __init__(self, sweep: Sweep, mode: Wandb, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if mode == "online" and not (os.environ.get("WANDB_API_KEY") or Path("~/.netrc").expanduser().exists()):
            raise ConfigError("--wandb online needs an account: run `wandb login`, set WANDB_API_KEY, or use --wandb offline")
        os.environ["WANDB_MODE"] = mode
        super().__init__(project=PROJECT, group=sweep.name, mode=mode, dir=str(folder))
        self.sweep = sweep

    def log_trial_start(self, trial: Trial) -> None:
        settings = trial.config["settings"]
        self.kwargs |= {
            "id": trial_digest(self.sweep, settings),
            "name": trial_name(self.sweep, settings),
            "job_type": _short(settings_text(settings), 60) or self.sweep.base.method,
            "resume": "allow",
        }
        super().log_trial_start(trial)
