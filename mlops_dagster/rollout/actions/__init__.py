"""Actions on champions outside the steps of a rollout: first champions, approvals, versions taken out."""
