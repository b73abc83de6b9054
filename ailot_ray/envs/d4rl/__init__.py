"""The bridge to D4RL's original environments, which run on mujoco-py under an interpreter of their own (docs/fidelity.md)."""
