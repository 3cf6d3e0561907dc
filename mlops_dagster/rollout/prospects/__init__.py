"""Prospects: the proofs that a rollout policy can reach at a traffic."""
