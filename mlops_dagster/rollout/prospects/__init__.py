"""What a rollout policy can prove at a traffic."""
