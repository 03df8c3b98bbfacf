"""A thin torch harness: trains a real federated Mixture-of-Experts, its alignment solved and certified every round."""
